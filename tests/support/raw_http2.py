"""HTTP/2 frame by frame, for what no library would send: heads with any bytes, and exactly how it ends."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from hpack import Decoder
from hyperframe.frame import DataFrame, Frame, GoAwayFrame, HeadersFrame, RstStreamFrame, SettingsFrame

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
TIMEOUT_S = 10.0
Fields = Sequence[tuple[str, str]]


@dataclass(slots=True)
class Told:
    """What came back: statuses by stream, streams that were reset, and whether the connection was ended."""

    statuses: dict[int, list[int]] = field(default_factory=dict)
    bodies: dict[int, bytes] = field(default_factory=dict)
    resets: dict[int, int] = field(default_factory=dict)
    ended: bool = False

    @property
    def refused(self) -> bool:
        """Whether nothing was answered: a stream was reset, or the whole connection ended."""
        return not self.statuses and (bool(self.resets) or self.ended)


def block(fields: Fields) -> bytes:
    """A head as literals (RFC 7541, section 6.2.2), so that any bytes can stand in names and values."""
    return b"".join(b"\x00" + _text(name) + _text(value) for name, value in fields)


def headers(fields: Fields, stream: int = 1, *, last: bool = False, flags: Iterable[str] = ("END_HEADERS",)) -> bytes:
    """A HEADERS frame."""
    return _frame(HeadersFrame(stream, block(fields)), [*flags, *(["END_STREAM"] if last else [])])


def data(body: bytes, stream: int = 1, *, last: bool = True) -> bytes:
    """A DATA frame."""
    return _frame(DataFrame(stream, body), ["END_STREAM"] if last else [])


def spoken(port: int, frames: Iterable[bytes], stream: int = 1) -> Told:
    """Send these frames to 127.0.0.1 and read until that stream, or the connection, is over."""
    told = Told()
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as connection:
        with suppress(OSError):  # It may be ended before all is sent.
            connection.sendall(PREFACE + _frame(SettingsFrame(0), []))
            for frame in frames:
                connection.sendall(frame)
        _read(connection, told, stream)
    return told


def _read(connection: socket.socket, told: Told, stream: int) -> None:
    decoder, kept = Decoder(), b""
    while not told.ended:
        try:
            more = connection.recv(1 << 16)
        except ConnectionResetError:
            more = b""
        told.ended = not more
        kept += more
        while len(kept) >= 9:
            frame, length = Frame.parse_frame_header(memoryview(kept[:9]))
            if len(kept) < 9 + length:
                break
            frame.parse_body(memoryview(kept[9 : 9 + length]))
            kept = kept[9 + length :]
            if _is_over(frame, told, decoder, stream):
                return


def _is_over(frame: Any, told: Told, decoder: Decoder, stream: int) -> bool:
    if isinstance(frame, HeadersFrame):
        statuses = [int(value) for name, value in decoder.decode(frame.data, raw=True) if name == b":status"]
        told.statuses.setdefault(frame.stream_id, []).extend(statuses)
    elif isinstance(frame, DataFrame):
        told.bodies[frame.stream_id] = told.bodies.get(frame.stream_id, b"") + bytes(frame.data)
    elif isinstance(frame, RstStreamFrame):
        told.resets[frame.stream_id] = frame.error_code
    elif isinstance(frame, GoAwayFrame):
        told.ended = True
        return True
    over = isinstance(frame, RstStreamFrame) or "END_STREAM" in frame.flags
    return bool(over) and frame.stream_id == stream


def _frame(frame: Any, flags: Iterable[str]) -> bytes:
    for flag in flags:
        frame.flags.add(flag)
    whole: bytes = frame.serialize()
    return whole


def _text(text: str) -> bytes:
    raw = text.encode("latin-1")
    length, prefix = len(raw), b""
    if length < 127:
        return bytes([length]) + raw
    length -= 127
    while length >= 128:
        prefix += bytes([length % 128 + 128])
        length //= 128
    return b"\x7f" + prefix + bytes([length]) + raw
