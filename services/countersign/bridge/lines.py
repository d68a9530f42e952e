"""From a server's output to its lines, however it comes. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

TAIL_BYTES = 64


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its end, as far as it was kept: of one that was ``too_long``, the start and the ``tail``.

    ``size`` are the bytes that it had in all.
    """

    data: bytes
    size: int
    too_long: bool = False
    tail: bytes = b""


class LineReader:
    """Cuts what a server writes into lines, and keeps at most ``most_bytes`` of one that has not ended yet."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._begun = bytearray()
        self._size = 0
        self._tail = b""

    def feed(self, data: bytes) -> Iterator[Line]:
        """Take what came; yield each line that ended in it."""
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            self._keep(data[start:end])
            yield self._whole()
            start = end + 1
        self._keep(data[start:])

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        self._begun += piece[: max(0, self._most - len(self._begun))]
        self._tail = (self._tail + piece[-TAIL_BYTES:])[-TAIL_BYTES:]

    def _whole(self) -> Line:
        too_long = self._size > self._most
        line = Line(bytes(self._begun).removesuffix(b"\r"), self._size, too_long, self._tail if too_long else b"")
        self._begun, self._size, self._tail = bytearray(), 0, b""
        return line
