"""HTTP/1.1 as bytes on a socket: requests that no client would send, and exactly what comes back."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPResponse

TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """One answer; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def error(self) -> tuple[int, object]:
        """Code and id of the JSON-RPC error that it is; fails when it is none."""
        message = json.loads(self.body)
        assert message.keys() == {"jsonrpc", "id", "error"}, message
        assert message["jsonrpc"] == "2.0"
        assert isinstance(message["error"]["message"], str)
        code = message["error"]["code"]
        assert type(code) is int
        return code, message["id"]


def head(verb: str, path: str, lines: Iterable[tuple[str, str] | bytes]) -> bytes:
    """The head of a request: each line a header, or bytes that stand there as they are."""
    whole = [f"{verb} {path} HTTP/1.1".encode("latin-1")]
    whole += [line if isinstance(line, bytes) else f"{line[0]}: {line[1]}".encode("latin-1") for line in lines]
    return b"\r\n".join([*whole, b"", b""])


def exchanged(port: int, sent: bytes, *, verb: str = "POST") -> RawAnswer:
    """Send the bytes to 127.0.0.1, return the first answer, and hang up."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as connection:
        _send(connection, sent)
        return _answer(connection, verb)


def until_ended(port: int, sent: bytes) -> bytes:
    """Send the bytes to 127.0.0.1 and return all that comes until the other side hangs up."""
    came = b""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as connection, suppress(ConnectionResetError):
        _send(connection, sent)
        while more := connection.recv(1 << 16):
            came += more
    return came


def _send(connection: socket.socket, sent: bytes) -> None:
    with suppress(OSError):  # It may be refused before it is all sent.
        connection.sendall(sent)


def _answer(connection: socket.socket, verb: str) -> RawAnswer:
    answer = HTTPResponse(connection, method=verb)
    answer.begin()
    return RawAnswer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
