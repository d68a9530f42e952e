"""Who does not keep to HTTP/2 loses the connection, or the one call, and nobody else is held up by it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest
from hpack import Encoder

from countersign.runtime.rpc import Call, frames
from countersign.runtime.rpc.connection import CALL_WINDOW
from countersign.runtime.rpc.frames import Code, Frame, FrameReader
from tests.unit.runtime.rpc.place import path_of, serving, within

_END = frames.END_HEADERS


async def _echo(request: bytes, call: Call) -> bytes:
    await asyncio.sleep(0)
    return request


async def _hold(request: bytes, call: Call) -> bytes:
    await asyncio.Event().wait()
    return request


METHODS: Mapping[str, Any] = {
    "Echo": grpc.unary_unary_rpc_method_handler(_echo),
    "Hold": grpc.stream_stream_rpc_method_handler(_hold),
}


def _head(method: str = "Echo", **more: str) -> bytes:
    fields = {":method": "POST", ":scheme": "http", ":path": path_of(method), "content-type": "application/grpc"}
    return Encoder().encode([*(fields | more).items()])


def _begin(block: bytes, flags: int = _END, stream: int = 1) -> bytes:
    return frames.frame(frames.HEADERS, flags, stream, block)


def _data(payload: bytes, flags: int = frames.END_STREAM, stream: int = 1) -> bytes:
    return frames.frame(frames.DATA, flags, stream, payload)


async def _told(folder: Path, sent: bytes) -> list[Frame]:
    """What the server says of what was sent, until it has said all that it will."""
    async with serving(folder, METHODS):
        reader, writer = await asyncio.open_unix_connection(folder / "s")
        writer.write(frames.PREFACE + sent + frames.frame(frames.PING, 0, 0, b"the last"))
        found = list[Frame]()
        frame_reader = FrameReader()
        list(frame_reader.take(frames.PREFACE))
        while data := await within(reader.read(65_536)):
            found += frame_reader.take(data)
            answered = any(each.stream == 1 and each.flags & frames.END_STREAM for each in found)
            if answered or any(each.kind == frames.RST_STREAM for each in found):
                break
        writer.close()
        return found


def _codes(found: list[Frame], kind: int) -> Iterator[int]:
    for each in found:
        if each.kind == kind:
            yield int.from_bytes(each.payload[-4:], "big")


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"\xff\xff\xff" + bytes(6), Code.FRAME_SIZE_ERROR),
        (_begin(_head(), 0) + _data(b""), Code.PROTOCOL_ERROR),
        (_begin(_head(), 0) + frames.frame(frames.CONTINUATION, _END, 3), Code.PROTOCOL_ERROR),
        (frames.frame(frames.CONTINUATION, _END, 1), Code.PROTOCOL_ERROR),
        (_begin(b"\x80"), Code.COMPRESSION_ERROR),
        (_begin(_head(), stream=2), Code.PROTOCOL_ERROR),
        (_data(b"", stream=7), Code.PROTOCOL_ERROR),
        (_begin(b"\x09" + _head(), _END | frames.PADDED)[:9] + b"\xff" + _head(), Code.PROTOCOL_ERROR),
        (frames.frame(frames.PUSH_PROMISE, 0, 1), Code.PROTOCOL_ERROR),
        (frames.frame(frames.SETTINGS, 0, 0, b"abc"), Code.FRAME_SIZE_ERROR),
        (frames.frame(frames.WINDOW_UPDATE, 0, 0, b"a"), Code.FRAME_SIZE_ERROR),
        (frames.frame(frames.SETTINGS, 0, 0, b"\x00\x04\xff\xff\xff\xff"), Code.FLOW_CONTROL_ERROR),
        (_begin(_head("Hold")) + _data(b"", frames.END_STREAM) + _data(b"x"), Code.STREAM_CLOSED),
        (_begin(_head("Hold")) + _data(bytes(16_384), 0) * (CALL_WINDOW // 16_384 + 1), Code.FLOW_CONTROL_ERROR),
        (_begin(_head(), 0) + frames.frame(frames.CONTINUATION, 0, 1, bytes(16_384)) * 5, Code.PROTOCOL_ERROR),
    ],
)
async def test_who_breaks_the_protocol_is_told_why_and_cut_off(tmp_path: Path, sent: bytes, code: Code) -> None:
    found = await _told(tmp_path, sent)
    assert list(_codes(found, frames.GOAWAY)) == [code]


async def test_who_speaks_no_http2_is_cut_off(tmp_path: Path) -> None:
    async with serving(tmp_path, METHODS):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        await within(reader.read())
        writer.close()


@pytest.mark.parametrize("cuts", [[], [3], [1, 10, 30]])
async def test_a_head_in_pieces_with_padding_and_priority_is_served(tmp_path: Path, cuts: list[int]) -> None:
    block = _head()
    pieces = [block[start:end] for start, end in zip([0, *cuts], [*cuts, len(block)], strict=True)]
    flags = frames.PADDED | frames.PRIORITY | (0 if cuts else _END)
    sent = _begin(b"\x04" + bytes(5) + pieces[0] + bytes(4), flags)
    for piece in pieces[1:]:
        sent += frames.frame(frames.CONTINUATION, _END if piece is pieces[-1] else 0, 1, piece)
    sent += _data(b"\x03" + b"\0\0\0\0\x02hi" + bytes(3), frames.END_STREAM | frames.PADDED)
    found = await _told(tmp_path, sent)
    assert [each.payload for each in found if each.kind == frames.DATA] == [b"\0\0\0\0\x02hi"]


@pytest.mark.parametrize(
    "sent",
    [
        _data(b""),
        _data(b"\0\0\0\0"),
        _data(b"\0\0\0\0\x05ab"),
        _data(b"\x01\0\0\0\x02ab"),
    ],
)
async def test_a_call_whose_message_is_none_ends_by_itself(tmp_path: Path, sent: bytes) -> None:
    found = await _told(tmp_path, _begin(_head()) + sent)
    assert not list(_codes(found, frames.GOAWAY))
    assert not [each for each in found if each.kind == frames.DATA]
    assert b"grpc-status" in b"".join(each.payload for each in found if each.kind == frames.HEADERS)


async def test_what_is_no_call_is_unimplemented(tmp_path: Path) -> None:
    found = await _told(tmp_path, _begin(_head(**{":method": "GET"}), _END | frames.END_STREAM))
    assert b"grpc-status\x0212" in b"".join(each.payload for each in found if each.kind == frames.HEADERS)
