"""Arguments as approvers read them: indented JSON, nothing hidden, of a bounded length that says what it leaves out."""

from __future__ import annotations

from typing import Final

from countersign.jsontext import JsonValue, Number, quote
from countersign.model.visible import visible

MOST_BYTES: Final = 16 * 1024
"""Of the arguments that are shown, in UTF-8, without the line that says what was cut."""

# What is too long is written with shorter and shorter strings before any of its keys is left out.
_LONGEST_STRINGS: Final = (MOST_BYTES, 1_000, 100)


def written(value: JsonValue) -> str:
    """Return ``value`` as JSON, a member a line; a string or an end that is cut says how much of it is not shown.

    What says so stands outside of all quotes, so that no string can say it of itself.
    """
    for longest in _LONGEST_STRINGS:
        text = _Writer(longest, MOST_BYTES).written(value)
        if text is not None and len(text.encode()) <= MOST_BYTES:
            return text
    whole = _Writer(_LONGEST_STRINGS[-1], None).written(value)
    return shortened(whole or "", MOST_BYTES)


def shortened(text: str, most_bytes: int) -> str:
    """Return ``text``, or its beginning (at most that many bytes in UTF-8) and how much of it is not shown."""
    data = text.encode()
    if len(data) <= most_bytes:
        return text
    shown = data[:most_bytes].decode(errors="ignore")
    return f"{shown}\n{_more(len(text) - len(shown))}"


class _Writer:
    """Writes values as indented JSON.

    ``longest`` is how many characters of a string are shown, ``most_pieces`` of how many pieces it may be at most.
    """

    def __init__(self, longest: int, most_pieces: int | None) -> None:
        self._longest = longest
        self._most_pieces = most_pieces
        self._pieces: list[str] = []

    def written(self, value: JsonValue) -> str | None:
        """Return a value's text, or nothing when it is of too many pieces."""
        self._write(value, "\n")
        return None if self._is_full() else "".join(self._pieces)

    def _is_full(self) -> bool:
        return self._most_pieces is not None and len(self._pieces) > self._most_pieces

    def _write(self, value: JsonValue, line: str) -> None:
        """Write a value; ``line`` begins the line that it stands on."""
        if isinstance(value, dict) and value:
            self._write_members([(f"{self._text(key)}: ", each) for key, each in value.items()], line, "{}")
        elif isinstance(value, list) and value:
            self._write_members([("", each) for each in value], line, "[]")
        else:
            self._pieces.append(self._scalar(value))

    def _write_members(self, members: list[tuple[str, JsonValue]], line: str, brackets: str) -> None:
        inner = f"{line}  "
        separator = brackets[0]
        for key, value in members:
            if self._is_full():
                return
            self._pieces += (separator, inner, key)
            self._write(value, inner)
            separator = ","
        self._pieces += (line, brackets[1])

    def _scalar(self, value: JsonValue) -> str:
        match value:
            case dict():
                return "{}"
            case list():
                return "[]"
            case Number():
                return str(value)
            case str():
                return self._text(value)
            case None:
                return "null"
            case _:
                return "true" if value else "false"

    def _text(self, value: str) -> str:
        if len(value) <= self._longest:
            return visible(quote(value))
        return f"{visible(quote(value[: self._longest]))} {_more(len(value) - self._longest)}"


def _more(count: int) -> str:
    return f"… {count:,} more characters are not shown"
