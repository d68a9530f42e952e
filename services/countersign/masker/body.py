"""The body of an answer, held once, however it is asked for. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from countersign.masker.withheld import Withheld


class Body:
    """A body that is whole: bytes until it is asked for as text, and text from then on."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._data: bytes | None = b"".join(pieces)
        self._text = ""
        self.size_bytes = len(self._data)

    def data(self) -> bytes:
        """Return it as bytes."""
        return self._text.encode() if self._data is None else self._data

    def text(self) -> str:
        """Return it as text, for what claims to be JSON. Raises ``Withheld`` when it is not UTF-8."""
        if self._data is not None:
            text = decoded(self._data)
            if text is None:
                raise Withheld("the answer is not the JSON that it claims to be: not UTF-8")
            self._text, self._data = text, None
        return self._text


def decoded(data: bytes) -> str | None:
    """Return what bytes in UTF-8 say, else ``None``: an exception would carry the bytes along."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None
