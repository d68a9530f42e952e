"""Just enough HTTP/1.1 to send one prepared request again and again and to know when its answer is whole."""

from __future__ import annotations

from collections.abc import Mapping

_HEAD_END = b"\r\n\r\n"


class BadAnswer(ValueError):
    """What arrived is no HTTP/1.1 answer with a length."""


def request_bytes(port: int, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """A POST with that body, ready to be written."""
    lines = [f"POST {path} HTTP/1.1", f"host: 127.0.0.1:{port}", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def response_bytes(body: bytes) -> bytes:
    """A 200 with that JSON body, ready to be written."""
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body


class AnswerReader:
    """Collects one answer; ``feed`` returns True when it is whole. There is nothing behind it: we do not pipeline."""

    def __init__(self) -> None:
        self.status = 0
        self.body = b""
        self._data = b""
        self._body_at = -1
        self._length: int | None = None

    def feed(self, data: bytes) -> bool:
        """Take what arrived. Raises ``BadAnswer``."""
        self._data = self._data + data if self._data else data
        if self._body_at < 0 and not self._read_head():
            return False
        if self._length is None:
            return self._read_chunks()
        if len(self._data) - self._body_at < self._length:
            return False
        self.body = self._data[self._body_at :]
        return True

    def _read_head(self) -> bool:
        end = self._data.find(_HEAD_END)
        if end < 0:
            return False
        head = self._data[:end].lower()
        if not head.startswith(b"http/1.1 ") or not head[9:12].isdigit():
            raise BadAnswer("no HTTP/1.1 status line")
        self.status = int(head[9:12])
        self._body_at = end + len(_HEAD_END)
        length_at = head.find(b"\r\ncontent-length:")
        if length_at >= 0:
            self._length = int(head[length_at + 17 :].split(b"\r\n", 1)[0])
        elif b"\r\ntransfer-encoding: chunked" not in head:
            raise BadAnswer("neither a length nor chunks")
        return True

    def _read_chunks(self) -> bool:
        if not self._data.endswith(b"0\r\n\r\n"):
            return False
        pieces: list[bytes] = []
        at = self._body_at
        while True:
            line_end = self._data.find(b"\r\n", at)
            if line_end < 0:
                return False
            size = int(self._data[at:line_end], 16)
            if size == 0:
                self.body = b"".join(pieces)
                return True
            at = line_end + 2 + size + 2
            if at > len(self._data):
                return False
            pieces.append(self._data[line_end + 2 : at - 2])
