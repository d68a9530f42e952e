"""By what the masker knows a credential that it never sees, so that a target cannot send it to a caller by mistake."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass

HEADER = "x-countersign-shown"
"""Of an answer to a second attempt: by what to know the credential that this one carried. No caller gets it."""
SHORTEST_BYTES = 8
"""Shorter ones would be found everywhere."""
MOST_TELLTALES = 64
MOST_CANDIDATES = 10_000
_PROBE_BYTES = 8
_ESCAPED_CODE = re.compile(rb"\\u00([2-7][0-9A-Fa-f])")

Mark = Callable[[bytes], str]
"""Makes the mark of a value: the same for the same value, and of no use to find the value by."""


@dataclass(frozen=True, slots=True)
class Telltale:
    """Of one value: some bytes of its middle (as Latin-1), where in it they stand, its length, and its mark."""

    probe: str
    at: int
    length: int
    mark: str


def telltales_of(values: Iterable[bytes], mark: Mark) -> tuple[Telltale, ...]:
    """Return those of all values that are long enough, each once."""
    found = dict.fromkeys(value for value in values if len(value) >= SHORTEST_BYTES)
    return tuple(_telltale(value, mark) for value in found)


def holds(data: bytes, telltales: Iterable[Telltale], mark: Mark) -> bool:
    """Whether one of the values stands in ``data``, as it is or behind the escapes of JSON; in doubt, it does."""
    if not telltales:
        return False
    views = [data, _unescaped(data)] if b"\\" in data else [data]
    return any(_stands(view, telltale, mark) for view in views for telltale in telltales)


def written(telltales: Iterable[Telltale]) -> str:
    """Return the text that ``read`` reads: ASCII without line ends."""
    return json.dumps([astuple(telltale) for telltale in telltales], separators=(",", ":"))


def read(text: str) -> tuple[Telltale, ...]:
    """Return what ``written`` was given. Raises ``ValueError``, also for more than ``MOST_TELLTALES``."""
    try:
        return from_listed(json.loads(text))
    except RecursionError:
        raise ValueError("not a list of telltales") from None


def from_listed(listed: object) -> tuple[Telltale, ...]:
    """Return the telltales whose fields are listed. Raises ``ValueError`` as ``read`` does."""
    if not isinstance(listed, list) or len(listed) > MOST_TELLTALES:
        raise ValueError("not a list of telltales")
    found = []
    for entry in listed:
        match entry:
            case [str(probe), int(at), int(length), str(mark)] if len(probe) == _PROBE_BYTES and 0 <= at < length:
                found.append(Telltale(probe, at, length, mark))
            case _:
                raise ValueError("not a telltale")
    return tuple(found)


def _telltale(value: bytes, mark: Mark) -> Telltale:
    # Of the middle: tokens of one kind begin alike.
    at = (len(value) - _PROBE_BYTES) // 2
    return Telltale(value[at : at + _PROBE_BYTES].decode("latin-1"), at, len(value), mark(value))


def _stands(data: bytes, telltale: Telltale, mark: Mark) -> bool:
    probe = telltale.probe.encode("latin-1")
    place = data.find(probe)
    candidates = 0
    while place >= 0:
        candidates += 1
        start = place - telltale.at
        if start >= 0 and mark(data[start : start + telltale.length]) == telltale.mark:
            return True
        if candidates == MOST_CANDIDATES:
            # Nobody sends that by chance, and each costs a mark.
            return True
        place = data.find(probe, place + 1)
    return False


def _unescaped(data: bytes) -> bytes:
    """Undo those escapes of JSON that write printable ASCII, each once."""
    # In what stands between escaped backslashes, each backslash begins an escape of its own.
    parts = [part.replace(rb"\"", b'"').replace(rb"\/", b"/") for part in data.split(rb"\\")]
    if rb"\u00" in data:
        parts = [_ESCAPED_CODE.sub(_written_by, part) for part in parts]
    return b"\\".join(parts)


def _written_by(match: re.Match[bytes]) -> bytes:
    return bytes([int(match[1], 16)])
