"""gRPC on top of HTTP/2: messages with their lengths, heads and trailers, time limits. Pure.

Source: the gRPC project, "gRPC over HTTP2".
"""

from __future__ import annotations

import re
from typing import Final

import grpc

_HEAD_BYTES: Final = 5
_TIMEOUT = re.compile(r"([0-9]{1,8})([HMSmun])")
_UNITS_S: Final = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
# RFC 7541: ":status: 200" is the static table's number 8; the other fields stand as literals that no table remembers.
_STATUS_200: Final = b"\x88"


class BadMessage(Exception):
    """What was sent is no message for us: the call ends with ``status``. The message quotes nothing of it."""

    def __init__(self, status: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.status = status


class MessageReader:
    """Puts messages together that come in pieces; at most one of ``most_bytes`` is held."""

    __slots__ = ("_most_bytes", "_pieces", "_size", "_wanted")

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._pieces: list[bytes] = []
        self._size = 0
        self._wanted = _HEAD_BYTES

    def take(self, piece: bytes) -> list[bytes]:
        """Return the messages that are whole now. Raises ``BadMessage``."""
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size < self._wanted:
            return []
        data = piece if len(self._pieces) == 1 else b"".join(self._pieces)
        found: list[bytes] = []
        at = 0
        while (end := self._end_of_message(data, at)) and end <= len(data):
            found.append(data[at + _HEAD_BYTES : end])
            at = end
        self._wanted = (end or at + _HEAD_BYTES) - at
        self._pieces = [data[at:]] if at < len(data) else []
        self._size = len(data) - at
        return found

    @property
    def halfway(self) -> bool:
        """Whether a message has begun and not ended."""
        return self._size > 0

    def _end_of_message(self, data: bytes, at: int) -> int:
        """Where the message ends that begins at ``at``; 0 while that is not known."""
        if len(data) - at < _HEAD_BYTES:
            return 0
        if data[at]:
            raise BadMessage(grpc.StatusCode.UNIMPLEMENTED, "messages must not be compressed")
        size = int.from_bytes(data[at + 1 : at + _HEAD_BYTES], "big")
        if size > self._most_bytes:
            raise BadMessage(grpc.StatusCode.RESOURCE_EXHAUSTED, f"a message may have {self._most_bytes} bytes")
        return at + _HEAD_BYTES + size


def framed(message: bytes) -> bytes:
    """Return a message with its length before it."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def timeout_of(text: str) -> float | None:
    """Return the seconds that a ``grpc-timeout`` states; ``None`` for what states none."""
    match = _TIMEOUT.fullmatch(text)
    return None if match is None else int(match[1]) * _UNITS_S[match[2]]


def _literal(name: bytes, value: bytes) -> bytes:
    # Without Huffman's code, so that lengths of seven bits suffice: what we send is shorter.
    return b"\0" + bytes((len(name),)) + name + bytes((len(value),)) + value


HEAD: Final = _STATUS_200 + _literal(b"content-type", b"application/grpc")
"""The fields of every answer's head, as HPACK writes them."""

ALL_IS_WELL: Final = _literal(b"grpc-status", b"0")
"""The fields of the trailers of a call that succeeded."""

_LONGEST_DETAILS = 120


def trailers(status: grpc.StatusCode, details: str) -> bytes:
    """Return the fields of the trailers; of ``details`` the beginning."""
    number: int = status.value[0]
    fields = _literal(b"grpc-status", b"%d" % number)
    if not details:
        return fields
    written = b"".join(
        bytes((byte,)) if 0x20 <= byte <= 0x7E and byte != 0x25 else b"%%%02X" % byte
        for byte in details.encode("utf-8", "replace")
    )
    kept = written[:_LONGEST_DETAILS]
    # Not half an escape.
    return fields + _literal(b"grpc-message", re.sub(rb"%[0-9A-F]?$", b"", kept) if len(written) > len(kept) else kept)
