"""Requests as bytes on the wire: honest framing and the tricks of HTTP/1.1 that tell two servers apart."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.differential.drafts import Case

Framing = Callable[["Parts", random.Random], bytes]


@dataclass(frozen=True, slots=True)
class Parts:
    """What a request is put together from. ``hidden`` is a whole request that must never be executed."""

    path: str
    lead: tuple[str, ...]
    headers: tuple[str, ...]
    body: bytes
    hidden: bytes

    def head(
        self, *more: str, verb: str = "POST", path: str = "", version: str = "HTTP/1.1", end: str = "\r\n"
    ) -> bytes:
        """Request line and headers, and the empty line."""
        lines = [f"{verb} {path or self.path} {version}", *self.lead, *self.headers, *more, "", ""]
        return end.join(lines).encode("latin-1", "replace")

    @property
    def length(self) -> str:
        """The honest ``Content-Length``."""
        return f"content-length: {len(self.body)}"


def lines_of(case: Case) -> tuple[str, ...]:
    """The headers of a case as lines, without such as frame it."""
    framing = ("content-length", "transfer-encoding")
    return tuple(f"{name}: {value}" for name, value in case.headers if name not in framing)


def plain(parts: Parts, _: random.Random) -> bytes:
    return parts.head(parts.length) + parts.body


def chunked(parts: Parts, chance: random.Random) -> bytes:
    return parts.head("transfer-encoding: chunked") + _chunks(parts.body, chance)


def chunked_oddly(parts: Parts, chance: random.Random) -> bytes:
    trailer = chance.choice(("", "mcp-name: delete_all\r\n", "content-length: 3\r\n", "authorization: Bearer x\r\n"))
    return parts.head("transfer-encoding: chunked") + _chunks(parts.body, chance, odd=True, trailer=trailer)


def both_framings(parts: Parts, chance: random.Random) -> bytes:
    kinds = (
        "chunked",
        "Chunked",
        "chunked, chunked",
        "identity",
        "xchunked",
        "chunked\x0b",
        "gzip, chunked",
        "\x00chunked",
    )
    coding = f"transfer-encoding: {chance.choice(kinds)}"
    lengths = (parts.length, "content-length: 0", "content-length: 6")
    more = [coding, chance.choice(lengths)]
    chance.shuffle(more)
    body = parts.body if chance.random() < 0.4 else b"0\r\n\r\n" + parts.hidden
    return parts.head(*more) + (body if chance.random() < 0.5 else _chunks(parts.body, chance) + parts.hidden)


def odd_coding(parts: Parts, chance: random.Random) -> bytes:
    lines = (
        *(
            "transfer-encoding:\tchunked",
            "transfer-encoding : chunked",
            "Transfer-Encoding:\r\n chunked",
            "te: chunked",
        ),
        *(
            "transfer-encoding: chunked\r\ntransfer-encoding: identity",
            "transfer_encoding: chunked",
            "x: y\r\n\ttransfer-encoding: chunked",
        ),
        *("transfer-encoding\x00: chunked", 'transfer-encoding: "chunked"', "transfer-encoding: chunked;q=1"),
    )
    return parts.head(chance.choice(lines)) + _chunks(parts.body, chance) + parts.hidden


def odd_length(parts: Parts, chance: random.Random) -> bytes:
    size = len(parts.body)
    lengths = (
        *(f"+{size}", f"{size} ", f"0x{size:x}", f"{size},{size}", f"-{size}", f"{size}.0", f"0{size}", "", f" {size}"),
        *(
            f"{size}\r\ncontent-length: {size}",
            f"{size}\r\ncontent-length: 0",
            f"0\r\ncontent-length: {size}",
            "0",
            f"{size + 40}",
        ),
        *(f"{size}\x00", f"{size}\r\n {size}", f"{size // 2}", "99999999999999999999", f"{size + len(parts.hidden)}"),
    )
    name = chance.choice(("content-length", "content-length", "Content-Length ", "content_length"))
    return parts.head(f"{name}: {chance.choice(lengths)}") + parts.body + parts.hidden


def odd_lines(parts: Parts, chance: random.Random) -> bytes:
    whole = parts.head(parts.length) + parts.body
    match chance.randrange(5):
        case 0:
            return parts.head(parts.length, end="\n") + parts.body
        case 1:
            return parts.head(parts.length, end="\r") + parts.body
        case 2:
            return b"\r\n\r\n" + whole
        case 3:
            return parts.head(parts.length, "mcp-name: query\r\n delete_all") + parts.body
        case _:
            return parts.head(parts.length, "x:\x00y", "bad name: 1") + parts.body


def odd_start(parts: Parts, chance: random.Random) -> bytes:
    paths = (
        *(
            f"{parts.path}/",
            f"/{parts.path}",
            f"{parts.path}?x=1",
            f"{parts.path}#x",
            parts.path.upper(),
            f"{parts.path};a",
        ),
        *(
            f"/other/..{parts.path}",
            f"/%2e%2e{parts.path}",
            parts.path.replace("/mcp", "/%6dcp"),
            parts.path.replace("/mcp", "\\mcp"),
        ),
        *(
            f"http://127.0.0.1{parts.path}",
            "*",
            parts.path.replace("/mcp", "//mcp"),
            f"{parts.path}/../mcp",
            f"{parts.path}%00",
        ),
    )
    verbs = ("POST", "post", "POST ", "PUT", "GET", "DELETE", "PATCH", "CONNECT", "OPTIONS", "POST\t", "TRACE", "X")
    versions = ("HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/1.1 ", "http/1.1", "HTTP/1.2")
    which = chance.randrange(3)
    return (
        parts.head(
            parts.length,
            verb=chance.choice(verbs) if which == 0 else "POST",
            path=chance.choice(paths) if which == 1 else parts.path,
            version=chance.choice(versions) if which == 2 else "HTTP/1.1",
        )
        + parts.body
    )


def odd_headers(parts: Parts, chance: random.Random) -> bytes:
    more = (
        *(
            "host: other.example",
            "x-http-method-override: DELETE",
            "expect: 100-continue",
            "mcp_name: delete_all",
            "connection: mcp-name",
        ),
        *(
            "connection: keep-alive, authorization, mcp-protocol-version",
            "upgrade: h2c\r\nhttp2-settings: AAMAAABk",
            "x-envoy-original-path: /x",
        ),
        *(
            ":path: /x",
            "content-type: text/plain",
            "mcp-protocol-version: 2025-03-26",
            "x-forwarded-host: other",
            "proxy: x",
            "trailer: mcp-name",
        ),
        *(
            "x-envoy-internal: true",
            "forwarded: host=other",
            "x-original-url: /other/mcp",
            "x-rewrite-url: /other/mcp",
            "content-encoding: identity",
        ),
    )
    return parts.head(parts.length, chance.choice(more)) + parts.body


def pipelined(parts: Parts, chance: random.Random) -> bytes:
    whole = parts.head(parts.length) + parts.body
    return b"".join(chance.choice((whole, parts.hidden)) for _ in range(chance.randrange(2, 5)))


def within(parts: Parts, _: random.Random) -> bytes:
    """A request for a body."""
    return parts.head(f"content-length: {len(parts.hidden)}") + parts.hidden


def _chunks(body: bytes, chance: random.Random, *, odd: bool = False, trailer: str = "") -> bytes:
    written: list[bytes] = []
    while body:
        size = chance.randrange(1, len(body) + 1)
        text = f"{size:x}"
        if odd:
            text = chance.choice(
                (
                    text.upper(),
                    f"00{text}",
                    f"{text};a=b",
                    f"{text} ",
                    f"0x{text}",
                    f"+{text}",
                    f"{text};\x00",
                    f"{text}\t",
                )
            )
        written.append(
            f"{text}\r\n".encode()
            + body[:size]
            + chance.choice((b"\r\n",) if not odd else (b"\r\n", b"\r\n", b"\n", b""))
        )
        body = body[size:]
    return b"".join(written) + b"0\r\n" + trailer.encode() + b"\r\n"


HONEST: tuple[Framing, ...] = (plain, chunked)
TRICKS: Mapping[str, Framing] = {
    trick.__name__: trick
    for trick in (
        chunked_oddly,
        both_framings,
        odd_coding,
        odd_length,
        odd_lines,
        odd_start,
        odd_headers,
        pipelined,
        within,
    )
}
