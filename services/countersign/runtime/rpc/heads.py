"""The heads of calls: which method, what beside the messages, and for how long (RFC 7541; RFC 9113, section 8)."""

from __future__ import annotations

import binascii
from base64 import b64decode
from dataclasses import dataclass
from typing import Final

from hpack import Decoder
from hpack.exceptions import HPACKError

from countersign.runtime.rpc.frames import BrokenConnection, Code
from countersign.runtime.rpc.messages import timeout_of

MOST_HEAD_BYTES: Final = 64 * 1024
_MOST_KNOWN = 64
# How a field begins (RFC 7541, section 6): what stands in the table; a new size of it. Between: what is put there.
_INDEXED, _RESIZED = 0x80, 0x20
_OURS = frozenset({"te", "content-type", "grpc-timeout", "grpc-encoding", "grpc-accept-encoding"})

Metadata = tuple[tuple[str, str | bytes], ...]


@dataclass(frozen=True, slots=True)
class Head:
    """What a call begins with. ``method`` is the path, empty for what is no call of gRPC."""

    method: str
    metadata: Metadata
    timeout_s: float | None


class HeadReader:
    """Reads the heads of one connection, in their order.

    A peer that calls the same over and over writes the same few bytes each time: these are read once, for as long as
    the table that they refer to stays as it is.
    """

    def __init__(self) -> None:
        self._decoder = Decoder(MOST_HEAD_BYTES)
        self._known: dict[bytes, Head] = {}

    def read(self, block: bytes) -> Head:
        """Read a head. Raises ``BrokenConnection``: after that no other can be read."""
        known = self._known.get(block)
        if known is not None:
            return known
        try:
            fields = [(bytes(name), bytes(value)) for name, value in self._decoder.decode(block, raw=True)]
            head = _head(fields)
        except (HPACKError, UnicodeDecodeError):
            raise BrokenConnection(Code.COMPRESSION_ERROR, "a head cannot be read") from None
        if _changes_table(block):
            self._known.clear()
        elif len(self._known) < _MOST_KNOWN:
            self._known[block] = head
        return head


def _changes_table(block: bytes) -> bool:
    """Whether a block that was read without error puts something into the table, or makes that larger or smaller."""
    at = 0
    while at < len(block):
        first = block[at]
        if first >= _INDEXED:
            _, at = _number(block, at, 7)
        elif first >= _RESIZED:
            return True
        else:
            name, at = _number(block, at, 4)
            for _ in range(1 if name else 2):
                size, at = _number(block, at, 7)
                at += size
    return False


def _number(block: bytes, at: int, bits: int) -> tuple[int, int]:
    """A number whose first byte has so many bits of it, and where it ends (section 5.1)."""
    most = (1 << bits) - 1
    value = block[at] & most
    at += 1
    if value < most:
        return value, at
    shift = 0
    while True:
        byte = block[at]
        value += (byte & 0x7F) << shift
        at += 1
        shift += 7
        if byte < 0x80:
            return value, at


def _head(fields: list[tuple[bytes, bytes]]) -> Head:
    named = dict(fields)
    is_call = named.get(b":method") == b"POST" and named.get(b"content-type", b"").startswith(b"application/grpc")
    metadata = tuple(
        (name.decode("ascii"), _value(name, value))
        for name, value in fields
        if not name.startswith(b":") and name.decode("ascii") not in _OURS
    )
    timeout = named.get(b"grpc-timeout")
    return Head(
        named.get(b":path", b"").decode("ascii") if is_call else "",
        metadata,
        None if timeout is None else timeout_of(timeout.decode("ascii")),
    )


def _value(name: bytes, value: bytes) -> str | bytes:
    if not name.endswith(b"-bin"):
        return value.decode("ascii", "replace")
    try:
        return b64decode(value + b"=" * (-len(value) % 4))
    except binascii.Error:
        return b""
