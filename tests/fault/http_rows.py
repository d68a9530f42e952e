"""What is no HTTP, or not for this gateway, in the words of docs/mcp.md: for each line the requests that meet it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.fault.rig import TARGET
from tests.fault.strict_rows import CALL

PATH = f"/{TARGET}/mcp"
AUTHORITY = "AUTHORITY"
"""In place of the gateway's host and port."""


@dataclass(frozen=True, slots=True)
class Wire:
    """A good call but for this: another request line, lines that are added (first, or last) or taken away, framing.

    ``body`` stands behind the head as it is; ``length`` says whether its length is announced.
    """

    line: str = f"POST {PATH} HTTP/1.1"
    lines: tuple[bytes, ...] = ()
    first: tuple[bytes, ...] = ()
    without: tuple[str, ...] = ()
    body: bytes = CALL
    length: bool = True
    end: bytes = b"\r\n"

    def sent(self, authority: str, headers: Mapping[str, str]) -> bytes:
        """The whole request."""
        named = {"host": authority, **headers} | ({"content-length": str(len(self.body))} if self.length else {})
        kept = [f"{name}: {value}".encode() for name, value in named.items() if name not in self.without]
        head = [self.line.encode("latin-1"), *self.first, *kept, *self.lines, b""]
        whole = b"".join(line + self.end for line in head) + self.body
        return whole.replace(AUTHORITY.encode(), authority.encode())


@dataclass(frozen=True, slots=True)
class HttpRow:
    """A line of the table. A ``status`` of 0 is a connection that is ended without an answer.

    With ``ends`` the connection is ended, so that nothing behind the request is read as another one.
    """

    kind: str
    status: int
    code: int
    cases: Mapping[str, Wire] = field(default_factory=dict)
    ends: bool = True


def lengths(*values: str) -> dict[str, Wire]:
    return {f"length {value!r}": Wire(lines=(f"content-length: {value}".encode(),), length=False) for value in values}


def codings(*values: bytes) -> dict[str, Wire]:
    return {
        f"coding {value!r}": Wire(lines=(b"transfer-encoding: " + value,), length=False, body=CHUNKS)
        for value in values
    }


def added(*lines: bytes) -> dict[str, Wire]:
    return {repr(line[:40]): Wire(lines=(line,)) for line in lines}


def chunked(body: bytes, *lines: bytes) -> Wire:
    return Wire(lines=(b"transfer-encoding: chunked", *lines), length=False, body=body)


def request_lines(*texts: str) -> dict[str, Wire]:
    return {text[:60]: Wire(line=text) for text in texts}


def hosts(*texts: str) -> dict[str, Wire]:
    return {f"host {text!r}": Wire(without=("host",), lines=(f"host: {text}".encode("latin-1"),)) for text in texts}


SIZE = b"%x" % len(CALL)
LAST = b"\r\n0\r\n\r\n"
CHUNKS = SIZE + b"\r\n" + CALL + LAST
_TE = b"transfer-encoding: chunked"

HTTP_ROWS: tuple[HttpRow, ...] = (
    HttpRow(
        "`Content-Length` beside `Transfer-Encoding`, twice, in a list, or that is no plain number",
        400,
        -32600,
        {
            "both": Wire(lines=(_TE,), body=CHUNKS),
            "both, the other way": chunked(CHUNKS, b"content-length: 5"),
            "twice alike": Wire(lines=(f"content-length: {len(CALL)}".encode(),)),
            "twice unlike": Wire(lines=(b"content-length: 5",)),
            **lengths(f"{len(CALL)}, {len(CALL)}", f"+{len(CALL)}", "-1", "0x10", "1 0", "", "9" * 23, "1e2", "5;"),
        },
    ),
    HttpRow(
        "a `Transfer-Encoding` other than `chunked`, once",
        400,
        -32600,
        {
            **codings(b"chunked, identity", b"identity", b"xchunked", b"gzip, chunked", b"chunked, chunked"),
            **codings(b'"chunked"', b"\x0bchunked", b"", b"chunked;q=1", b"chunked\x00", b",chunked", b"chunked,"),
            "twice": chunked(CHUNKS, _TE),
            "with a length": Wire(lines=(b"transfer-encoding: identity",)),
        },
    ),
    HttpRow(
        "a line of the head without a colon, with white space before it, or folded right behind the request line; a "
        "name that is empty, no token, or has `_`; a value with control characters",
        400,
        -32600,
        {
            **added(b"x-a", b"x-a : b", b"x-a\t: b", b"transfer-encoding : chunked", b": b", b"x a: b"),
            **added(b"x\xff: b", b"x-\x00a: b", b"x-a\r: b", b"x-a: b\x00c", b"x-a: b\x01c", b"x-a: b\x7fc"),
            **added(b"mcp_name: export", b"x_y: 1", b"(x): y", b"x-a: b\ntransfer-encoding: chunked"),
            "folded first": Wire(first=(b" x: y",)),
        },
    ),
    HttpRow(
        "a request line other than a known verb, a path and `HTTP/1.1`; a path with a fragment or with escaped slashes",
        400,
        -32600,
        {
            **request_lines(f"POST {PATH} /x HTTP/1.1", f"POST {PATH} HTTP/1.1 x", f" POST {PATH} HTTP/1.1"),
            **request_lines(f"post {PATH} HTTP/1.1", f"MOVEON {PATH} HTTP/1.1", f"POST {PATH} http/1.1"),
            **request_lines(f"POST ftp://{AUTHORITY}{PATH} HTTP/1.1", f"POST {AUTHORITY} HTTP/1.1", "POST  HTTP/1.1"),
            **request_lines(
                f"POST {PATH}#x HTTP/1.1", f"POST /{TARGET}%2Fmcp HTTP/1.1", f"POST /{TARGET}%5cmcp HTTP/1.1"
            ),
            **request_lines(f"P\x00ST {PATH} HTTP/1.1", f"POST {PATH}\x00 HTTP/1.1"),
        },
    ),
    HttpRow(
        "no `Host`, or one that is no host",
        400,
        -32600,
        {"none": Wire(without=("host",)), **hosts(f"{AUTHORITY}, evil.test", "a b", "a\xe4")},
    ),
    HttpRow(
        "a head with more than 100 headers, or larger than 64 KiB",
        431,
        -32600,
        {
            "many": Wire(lines=tuple(b"x-%d: a" % number for number in range(120))),
            "long": Wire(lines=(b"x-a: " + b"a" * 70_000,)),
            "a long path": Wire(line=f"POST {PATH}?{'a' * 70_000} HTTP/1.1"),
        },
    ),
    HttpRow(
        "HTTP/1.0, HTTP/0.9, or what calls itself another version",
        426,
        -32600,
        request_lines(
            f"POST {PATH} HTTP/1.0", f"POST {PATH}", f"POST {PATH} HTTP/0.9", f"POST {PATH} HTTP/1.2", f"GET {PATH}"
        ),
    ),
    HttpRow(
        "an `Upgrade` to WebSocket or to anything but HTTP",
        403,
        -32600,
        {name: Wire(lines=(b"connection: upgrade", f"upgrade: {name}".encode())) for name in ("websocket", "tls/1.2")},
    ),
    HttpRow(
        "`CONNECT`",
        404,
        -32600,
        {
            authority: Wire(line=f"CONNECT {authority} HTTP/1.1", length=False, body=b"")
            for authority in (AUTHORITY, "127.0.0.1:80")
        },
    ),
    HttpRow(
        "a `Host` (`:authority`) that is not the gateway's",
        421,
        4210,
        {
            **hosts("evil.test", "127.0.0.1", "localhost", f"a@{AUTHORITY}", f"{AUTHORITY}.", "127.0.0.1.evil.test"),
            "empty": Wire(without=("host",), lines=(b"host: ",)),
            "twice": Wire(lines=(b"host: evil.test",)),
            "in the request line": Wire(line=f"POST http://evil.test{PATH} HTTP/1.1"),
        },
        ends=False,
    ),
    HttpRow(
        "an `Origin` that is not the gateway's own and not listed in `gateway.origins`, or sent twice",
        403,
        4033,
        {
            **added(b"origin: http://evil.test", b"origin: null", b"origin: ", b"origin: http://localhost"),
            **added(b"origin: https://AUTHORITY", b"origin: http://AUTHORITY.evil.test", b"origin: http://AUTHORITY/"),
            "twice": Wire(lines=(b"origin: http://AUTHORITY", b"origin: http://AUTHORITY")),
            "own and foreign": Wire(lines=(b"origin: http://AUTHORITY", b"origin: http://evil.test")),
        },
        ends=False,
    ),
    HttpRow(
        "chunks whose size is no plain hexadecimal number, that are longer than they say, or whose extension holds a "
        "line break: the connection is ended",
        0,
        0,
        {
            "0x": chunked(b"0x" + CHUNKS),
            "negative": chunked(b"-1\r\n" + CALL + LAST),
            "a space first": chunked(b" " + CHUNKS),
            "a line feed alone": chunked(SIZE + b"\n" + CALL + LAST),
            "too large": chunked(b"f" * 18 + b"\r\n" + CALL + LAST),
            "wrapping round": chunked(b"1" + SIZE.rjust(16, b"0") + b"\r\n" + CALL + LAST),
            "no line break behind": chunked(SIZE + b"\r\n" + CALL + b"0\r\n\r\n"),
            "an extension with a line feed": chunked(SIZE + b";a\nb\r\n" + CALL + LAST),
            "an extension with a carriage return": chunked(SIZE + b";a\rb\r\n" + CALL + LAST),
        },
    ),
)

LENIENT: Mapping[str, Wire] = {
    "lines that end in a line feed alone": Wire(end=b"\n"),
    "a folded line": Wire(lines=(b"x-a: b\r\n c",)),
    "a folded transfer-encoding": Wire(lines=(b"transfer-encoding:\r\n\tchunked",), length=False, body=CHUNKS),
    "a carriage return in a value": Wire(lines=(b"x-a: b\rmcp-name: export",)),
    "empty lines first": Wire(line=f"\r\n\r\nPOST {PATH} HTTP/1.1"),
    "two spaces": Wire(line=f"POST  {PATH} HTTP/1.1"),
    "tabs": Wire(line=f"POST\t{PATH}\tHTTP/1.1"),
    "an absolute form": Wire(line=f"POST http://{AUTHORITY}{PATH} HTTP/1.1"),
    "an absolute form above another host": Wire(
        line=f"POST http://{AUTHORITY}{PATH} HTTP/1.1", without=("host",), lines=(b"host: evil.test",)
    ),
    "bytes beyond ASCII": Wire(lines=(b"x-a: \xff",)),
    "a coding in capitals": Wire(lines=(b"Transfer-Encoding: cHuNkEd",), length=False, body=CHUNKS),
    "an extension of a chunk": chunked(SIZE + b";a=b\r\n" + CALL + LAST),
    "a space behind a chunk's size": chunked(SIZE + b" \r\n" + CALL + LAST),
    "zeros before a chunk's size": chunked(b"000" + CHUNKS),
    "trailers": chunked(SIZE + b"\r\n" + CALL + b"\r\n0\r\nmcp-name: export\r\ncontent-length: 3\r\n\r\n"),
    "an upgrade to HTTP/2": Wire(
        lines=(b"connection: upgrade, http2-settings", b"upgrade: h2c", b"http2-settings: AAMAAABkAAQAAP__")
    ),
    "an expectation that is none": Wire(lines=(b"expect: 200-ok",)),
    "headers that are for one hop": Wire(lines=(b"connection: close, x-a", b"keep-alive: 5", b"te: trailers")),
    "its own origin": Wire(lines=(b"origin: http://AUTHORITY",)),
    "its own host, in the request line too": Wire(line=f"POST http://{AUTHORITY}{PATH} HTTP/1.1"),
}
"""What Envoy takes although it is written oddly: it goes on as Envoy writes it."""
