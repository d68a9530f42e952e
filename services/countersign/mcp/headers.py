"""What the HTTP headers of an MCP request say, and that they say it once and truly."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping

from countersign.jsontext import JsonValue
from countersign.mcp.eras import MIRRORED_PARAMS
from countersign.mcp.errors import INVALID_REQUEST, McpRefused, malformed, mismatch

MAX_SESSION_ID_LENGTH = 1024

MAX_EVENT_ID_LENGTH = 256
"""Of an event in a stream. Official servers need some 60; those that put ids of session and stream in it up to 150."""


_VERSION = re.compile(r"[0-9A-Za-z._-]{1,32}")
_SESSION_ID = re.compile(rf"[!-+\--~]{{1,{MAX_SESSION_ID_LENGTH}}}")  # visible ASCII without the joining comma
_EVENT_ID = re.compile(rf"[!-~]{{0,{MAX_EVENT_ID_LENGTH}}}")
_JSON_TYPE = re.compile(r"application/json[ \t]*(?:;[ \t]*charset=(?:utf-8|\"utf-8\")[ \t]*)?", re.IGNORECASE)
_PLAIN = re.compile(r"[ -~]*")
_ENCODED = re.compile(r"=\?base64\?(.*)\?=")
_INTEGRAL = re.compile(r"-?[0-9]+\.0+")
_STREAM_RANGES = frozenset({"text/event-stream", "text/*", "*/*"})


def version_header(headers: Mapping[str, str]) -> str:
    """Read ``MCP-Protocol-Version``: one token, known or not; empty when absent. Raises :class:`McpRefused`."""
    value = headers.get("mcp-protocol-version")
    if value is None:
        return ""
    if not _VERSION.fullmatch(value):
        raise mismatch("the header MCP-Protocol-Version is doubled or malformed")
    return value


def session_header(headers: Mapping[str, str]) -> str:
    """Read ``Mcp-Session-Id``: visible ASCII, sent once; empty when absent. Raises :class:`McpRefused`."""
    value = headers.get("mcp-session-id")
    if value is None:
        return ""
    if not _SESSION_ID.fullmatch(value):
        raise malformed("the header Mcp-Session-Id is doubled, too long or not visible ASCII")
    return value


def check_last_event(headers: Mapping[str, str]) -> None:
    """Check that ``Last-Event-ID`` could be the id of an event that was let pass. Raises :class:`McpRefused`."""
    if not _EVENT_ID.fullmatch(headers.get("last-event-id", "")):
        raise malformed("the header Last-Event-ID is too long or not visible ASCII")


def accepts_stream(headers: Mapping[str, str]) -> bool:
    """Whether ``Accept`` admits ``text/event-stream``, by name or wildcard (RFC 9110 section 12.5.1)."""
    ranges = headers.get("accept", "").split(",")
    return any(part.partition(";")[0].strip().lower() in _STREAM_RANGES for part in ranges)


def check_body_headers(headers: Mapping[str, str]) -> None:
    """Demand a body of plain UTF-8 JSON (RFC 8259 section 8.1). Raises :class:`McpRefused` with 415."""
    check_no_encoding(headers)
    content_type = headers.get("content-type", "")
    if content_type != "application/json" and not _JSON_TYPE.fullmatch(content_type):
        raise McpRefused(415, INVALID_REQUEST, "the content type must be application/json in UTF-8, stated once")


def check_no_encoding(headers: Mapping[str, str]) -> None:
    """Refuse any ``Content-Encoding``: the target could read other bytes than we judged."""
    if "content-encoding" in headers:
        raise McpRefused(415, INVALID_REQUEST, "a content encoding is not accepted")


def check_no_mirrors(headers: Mapping[str, str]) -> None:
    """Refuse ``Mcp-Method``, ``Mcp-Name`` and ``Mcp-Param-*`` where there is no one request that they could repeat."""
    if any(name in ("mcp-method", "mcp-name") or name.startswith("mcp-param-") for name in headers):
        raise mismatch("the headers Mcp-Method, Mcp-Name and Mcp-Param-* have no request to describe")


def check_mirrors(headers: Mapping[str, str], method: str, params: dict[str, JsonValue], *, required: bool) -> None:
    """Demand that ``Mcp-Method`` and ``Mcp-Name`` repeat the body (MCP 2026-07-28, Streamable HTTP).

    When not ``required`` they may be absent, but still must not lie: something behind us may route by them. A method
    that we do not know may repeat any string member of its params. Raises :class:`McpRefused` with -32020.
    """
    claimed = headers.get("mcp-method")
    if claimed is None:
        if required:
            raise mismatch("the header Mcp-Method is missing")
    elif claimed != method:
        raise mismatch("the header Mcp-Method does not match the body")
    claimed = headers.get("mcp-name")
    key = MIRRORED_PARAMS.get(method)
    if claimed is None:
        if required and key is not None and key in params:
            raise mismatch("the header Mcp-Name is missing")
        return
    named = [params.get(key)] if key is not None else list(params.values())
    name = decoded_header(claimed)
    if name is None or not any(type(value) is str and value == name for value in named):
        raise mismatch("the header Mcp-Name does not match the body")


def check_param_mirrors(headers: Mapping[str, str], params: dict[str, JsonValue]) -> None:
    """Demand that each ``Mcp-Param-*`` repeats some value in ``params.arguments`` (MCP 2026-07-28, x-mcp-header).

    Which argument it stands for only the tool's schema tells, so any will do: what matters is that nothing reaches the
    target that was neither judged nor recorded. Raises :class:`McpRefused` with -32020.
    """
    claimed = _param_mirrors(headers)
    if not claimed:
        return
    held = {_plain_number(text) for text in _texts(params.get("arguments"))}
    if not all(text is not None and _plain_number(text) in held for text in claimed.values()):
        raise mismatch("a header Mcp-Param-* does not match the arguments")


def moved_param_mirrors(
    headers: Mapping[str, str], before: dict[str, JsonValue], after: dict[str, JsonValue]
) -> dict[str, str | None]:
    """Return what those ``Mcp-Param-*`` must say whose value is another in the changed params of a request.

    ``before`` and ``after`` differ in values only. ``None`` for a header that must go: nothing says what it repeats.
    """
    claimed = _param_mirrors(headers)
    if not claimed or before == after:
        return {}
    old, new = list(_texts(before.get("arguments"))), list(_texts(after.get("arguments")))
    if len(old) != len(new):
        return dict.fromkeys(claimed)
    became: dict[str, set[str]] = {}
    for was, is_now in zip(old, new, strict=True):
        became.setdefault(_plain_number(was), set()).add(is_now)
    moved: dict[str, str | None] = {}
    for name, text in claimed.items():
        values = became.get(_plain_number(text), set()) if text is not None else set()
        value = values.pop() if len(values) == 1 else None
        if value is None:
            moved[name] = None
        elif _plain_number(value) != _plain_number(str(text)):
            moved[name] = encoded_header(value)
    return moved


def _param_mirrors(headers: Mapping[str, str]) -> dict[str, str | None]:
    return {name: decoded_header(value) for name, value in headers.items() if name.startswith("mcp-param-")}


def _plain_number(text: str) -> str:
    """Write 42.0 as 42: clients and servers may hold an integer either way."""
    return text.partition(".")[0] if _INTEGRAL.fullmatch(text) else text


def _texts(value: JsonValue) -> Iterator[str]:
    if isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            yield from _texts(child)
    elif isinstance(value, bool):
        yield "true" if value else "false"
    elif value is not None:
        yield str(value)


def decoded_header(value: str) -> str | None:
    """Undo the ``=?base64?...?=`` form of a header value.

    ``None`` when it holds more than printable ASCII, or when its base64 is not the one text for UTF-8 bytes.
    """
    if not _PLAIN.fullmatch(value):
        return None
    match = _ENCODED.fullmatch(value)
    if match is None:
        return value
    try:
        data = base64.b64decode(match[1], validate=True)
        text = data.decode()
    except (binascii.Error, ValueError):
        return None
    return text if base64.b64encode(data).decode() == match[1] else None


def encoded_header(text: str) -> str:
    """Write a text as a header value that ``decoded_header`` reads back."""
    if _PLAIN.fullmatch(text) and text == text.strip() and not _ENCODED.fullmatch(text):
        return text
    return f"=?base64?{base64.b64encode(text.encode()).decode()}?="
