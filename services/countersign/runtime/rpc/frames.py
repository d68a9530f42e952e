"""HTTP/2 as far as gRPC needs it: frames read and written (RFC 9113, sections 4 and 6). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import Final, NamedTuple

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_BYTES: Final = 9
MOST_FRAME_BYTES: Final = 16_384
"""Of a frame's payload: what nobody has to ask for."""
FIRST_WINDOW: Final = 65_535
MOST_WINDOW: Final = 2**31 - 1


# Kinds of frames, and flags: plain numbers, as each frame is compared with them. Other kinds are passed over.
DATA: Final = 0
HEADERS: Final = 1
RST_STREAM: Final = 3
SETTINGS: Final = 4
PUSH_PROMISE: Final = 5
PING: Final = 6
GOAWAY: Final = 7
WINDOW_UPDATE: Final = 8
CONTINUATION: Final = 9
ACK: Final = 1
END_STREAM: Final = 1
END_HEADERS: Final = 4
PADDED: Final = 8
PRIORITY: Final = 32


class Code(IntEnum):
    """Why a stream or a connection ends (section 7)."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    FLOW_CONTROL_ERROR = 3
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9


class Setting(IntEnum):
    """Settings that matter here (section 6.5.2)."""

    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6


class BrokenConnection(Exception):
    """The peer does not keep to HTTP/2: the connection ends with ``code``. The message quotes nothing of it."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code


class Frame(NamedTuple):
    """One frame."""

    kind: int
    flags: int
    stream: int
    payload: bytes


class FrameReader:
    """Cuts what comes into frames. Holds less than one frame."""

    def __init__(self) -> None:
        self._rest = b""
        self._greeted = False

    def take(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that are whole now. Raises ``BrokenConnection``."""
        data = self._rest + data if self._rest else data
        self._rest = b""
        at, size = 0, len(data)
        if not self._greeted:
            if not PREFACE.startswith(data[: len(PREFACE)]):
                raise BrokenConnection(Code.PROTOCOL_ERROR, "no HTTP/2")
            if size < len(PREFACE):
                self._rest = data
                return
            self._greeted = True
            at = len(PREFACE)
        while size - at >= HEAD_BYTES:
            length = int.from_bytes(data[at : at + 3], "big")
            if length > MOST_FRAME_BYTES:
                raise BrokenConnection(Code.FRAME_SIZE_ERROR, "a frame is too large")
            end = at + HEAD_BYTES + length
            if end > size:
                break
            stream = int.from_bytes(data[at + 5 : at + 9], "big") & MOST_WINDOW
            yield Frame(data[at + 3], data[at + 4], stream, data[at + HEAD_BYTES : end])
            at = end
        self._rest = data[at:]


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return the bytes of a frame, whose payload must be small enough for the peer."""
    return b"%b%c%c%b%b" % (len(payload).to_bytes(3, "big"), kind, flags, stream.to_bytes(4, "big"), payload)


def settings(values: dict[Setting, int]) -> bytes:
    """Return the frame that states these settings."""
    pairs = (setting.to_bytes(2, "big") + value.to_bytes(4, "big") for setting, value in values.items())
    return frame(SETTINGS, 0, 0, b"".join(pairs))


def read_settings(payload: bytes) -> Iterator[tuple[int, int]]:
    """Yield the settings of a frame, in its order. Raises ``BrokenConnection``."""
    if len(payload) % 6:
        raise BrokenConnection(Code.FRAME_SIZE_ERROR, "settings are cut")
    for at in range(0, len(payload), 6):
        yield int.from_bytes(payload[at : at + 2], "big"), int.from_bytes(payload[at + 2 : at + 6], "big")


def window_update(stream: int, size: int) -> bytes:
    """Return the frame that lets the peer send ``size`` bytes more; stream 0 is the connection."""
    return frame(WINDOW_UPDATE, 0, stream, size.to_bytes(4, "big"))


def reset(stream: int, code: Code) -> bytes:
    """Return the frame that ends a stream."""
    return frame(RST_STREAM, 0, stream, code.to_bytes(4, "big"))


def goaway(last: int, code: Code) -> bytes:
    """Return the frame that says that streams after ``last`` are not served."""
    return frame(GOAWAY, 0, 0, last.to_bytes(4, "big") + code.to_bytes(4, "big"))


def number_of(payload: bytes) -> int:
    """Return the one number of four bytes that a frame holds. Raises ``BrokenConnection``."""
    if len(payload) != 4:
        raise BrokenConnection(Code.FRAME_SIZE_ERROR, "a frame is cut")
    return int.from_bytes(payload, "big")


def without_padding(found: Frame) -> bytes:
    """Return what DATA or HEADERS carry beside padding and priority. Raises ``BrokenConnection``."""
    payload, flags = found.payload, found.flags
    padding, start = 0, 0
    if flags & PADDED:
        padding, start = (payload[0] if payload else 0), 1
    if found.kind == HEADERS and flags & PRIORITY:
        start += 5
    if start + padding > len(payload):
        raise BrokenConnection(Code.PROTOCOL_ERROR, "padding is longer than its frame")
    return payload[start : len(payload) - padding]
