"""Base64 within a text, read."""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_right
from collections.abc import Iterable

from countersign.masking.detectors.base import ByteSpan, Pattern

_RUN = r"[A-Za-z0-9+/_-]{24,}={0,2}"
_RUNS = Pattern(_RUN)
_LONGEST_RUN_BYTES = 262_144
_BETWEEN = b"\n\n"

# Four times three bytes of ASCII text: what the first, second and third character of a group of four can be.
GATE = (r"(?:[I-Za-f][C-HS-Xi-ny-z0-3][ABEFIJMNQRUVYZcdghklopstwx014589][A-Za-z0-9+/_-]){4}",)


class Decoded:
    """All of a text's Base64 that holds text itself, as one text, so that one look at it is enough."""

    def __init__(self, data: bytes) -> None:
        self._runs: list[ByteSpan] = []
        self._starts: list[int] = []
        parts: list[bytes] = []
        size = 0
        for run in _RUNS.spans(data):
            text = _text(data[slice(*run)]) if run[1] - run[0] <= _LONGEST_RUN_BYTES else None
            if text is not None:
                self._runs.append(run)
                self._starts.append(size)
                parts += (text, _BETWEEN)
                size += len(text) + len(_BETWEEN)
        self.text = b"".join(parts)

    def runs_of(self, spans: Iterable[ByteSpan]) -> list[ByteSpan]:
        """The runs, as encoded, that hold these spans of the text."""
        return [self._runs[bisect_right(self._starts, start) - 1] for start, _ in spans]


def _text(run: bytes) -> bytes | None:
    """What a run encodes; ``None`` unless that is readable text."""
    bare = run.rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
    try:
        decoded = base64.b64decode(bare + b"=" * (-len(bare) % 4))
        readable = decoded.decode()
    except (binascii.Error, ValueError):
        return None
    return decoded if readable.isprintable() or "".join(readable.split()).isprintable() else None
