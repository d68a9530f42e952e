"""Read one HTTP request of an MCP client: strictly, once, and in the era that header and body agree on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from countersign.jsontext import Document, JsonRefused, element_spans, outline, parse
from countersign.mcp.eras import BATCH_VERSION, MODERN_VERSION, SUPPORTED_VERSIONS, Era, unsupported_version
from countersign.mcp.errors import INVALID_REQUEST, PARSE_ERROR, McpRefused, malformed
from countersign.mcp.headers import (
    accepts_stream,
    check_body_headers,
    check_last_event,
    check_mirrors,
    check_no_encoding,
    check_no_mirrors,
    check_param_mirrors,
    session_header,
    version_header,
)
from countersign.mcp.message import (
    Envelope,
    Message,
    MessageKind,
    read_envelope,
    read_era,
    read_id,
    read_offer,
    to_message,
)
from countersign.model.call import Call

MAX_BATCH_MESSAGES = 32
_INHERITED = "__proto__"
# It, or the escape of one of its characters.
_MAY_BE_INHERITED = re.compile(r"__proto__|\\u00(?:5[fF]|6[fF]|7[024])")


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What came: the verb, the headers by lower-case name (repeated ones joined by ``,``), the whole body."""

    verb: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked.

    ``messages`` holds one message, or those of a 2025-03-26 batch in their order (``is_batch`` tells an array of one
    from a single message). ``protocol_version`` is the stated one, 2025-03-26 when none is stated, and the offered
    one for ``initialize``. ``session_id`` is ``Mcp-Session-Id`` as sent, in either era: the modern era has no
    sessions, so there it must not reach the target. ``wants_stream`` tells whether the client accepts an event stream.
    """

    era: Era
    messages: tuple[Message, ...]
    protocol_version: str
    session_id: str
    wants_stream: bool
    is_batch: bool = False

    @property
    def id_json(self) -> str:
        """By which id an answer to all of it is known: the message's, as JSON; empty for a batch."""
        return "" if self.is_batch else self.messages[0].id_json


def read_request(target: str, request: HttpRequest, *, max_depth: int) -> Request:
    """Read a request for the target of this name; ``max_depth`` bounds the nesting of its JSON.

    Raises :class:`~countersign.mcp.errors.McpRefused`, and nothing else, for whatever is malformed or could be read
    in two ways. Sources: MCP 2025-03-26 to 2025-11-25 and 2026-07-28, Streamable HTTP; JSON-RPC 2.0; RFC 8259.
    """
    if request.verb == "POST":
        return _read_post(target, request, max_depth)
    return _read_bare(target, request)


def _read_bare(target: str, request: HttpRequest) -> Request:
    headers = request.headers
    if request.verb not in ("GET", "DELETE"):
        raise _method_not_allowed("only POST, GET and DELETE are served", "GET, POST, DELETE")
    version = version_header(headers)
    if version == MODERN_VERSION:
        raise _method_not_allowed("this protocol version is served by POST only", "POST")
    if version and version not in SUPPORTED_VERSIONS:
        raise unsupported_version(version)
    if request.body:
        raise malformed("GET and DELETE have no body")
    check_no_encoding(headers)
    check_no_mirrors(headers)
    session_id = session_header(headers)
    wants_stream = accepts_stream(headers)
    if request.verb == "GET":
        check_last_event(headers)
    if request.verb == "GET" and not wants_stream:
        raise McpRefused(406, INVALID_REQUEST, "a GET must accept text/event-stream")
    if request.verb == "DELETE" and not session_id:
        raise malformed("a DELETE must name its session")
    message = Message(Call(target, request.verb), MessageKind.BARE, None, "", Era.LEGACY)
    return Request(Era.LEGACY, (message,), version or BATCH_VERSION, session_id, wants_stream)


def _method_not_allowed(message: str, allow: str) -> McpRefused:
    return McpRefused(405, INVALID_REQUEST, message, allow=allow)


def _read_post(target: str, request: HttpRequest, max_depth: int) -> Request:
    check_body_headers(request.headers)
    try:
        document = parse(request.body, max_depth=max_depth)
    except JsonRefused as refused:
        refusal = McpRefused(400, PARSE_ERROR, f"the body is not acceptable JSON: {refused}")
    else:
        # What copies objects in JavaScript drops such a member, or has its members stand in for those that are missing.
        if _MAY_BE_INHERITED.search(document.text) and _INHERITED in outline(document).keys:
            raise malformed("a key is __proto__, which not every parser reads alike")
        if isinstance(document.root, list):
            return _read_batch(target, request, document)
        return _read_single(target, request, document)
    raise refusal


def _read_single(target: str, request: HttpRequest, document: Document) -> Request:
    if not isinstance(document.root, dict):
        raise malformed("the body must be one JSON-RPC message")
    rpc_id, id_json = read_id(document.root)
    try:
        envelope = read_envelope(document, rpc_id, id_json)
        return _read_enveloped(target, request.headers, envelope)
    except McpRefused as refusal:
        refusal.id_json = id_json
        raise


def _read_enveloped(target: str, headers: Mapping[str, str], envelope: Envelope) -> Request:
    header_version = version_header(headers)
    if envelope.kind is MessageKind.RESPONSE:
        era, version = _era_of_responses(header_version), header_version
        check_no_mirrors(headers)
    else:
        era, version = read_era(envelope, header_version)
        required = era is Era.MODERN and envelope.kind is MessageKind.REQUEST
        check_mirrors(headers, envelope.method, envelope.params, required=required)
        check_param_mirrors(headers, envelope.params)
    message = to_message(target, envelope, era)
    if envelope.method == "initialize":
        version = read_offer(envelope.params)
    return Request(era, (message,), version or BATCH_VERSION, session_header(headers), accepts_stream(headers))


def _era_of_responses(header_version: str) -> Era:
    if header_version and header_version not in SUPPORTED_VERSIONS:
        raise unsupported_version(header_version)
    if header_version == MODERN_VERSION:
        raise malformed("clients of this protocol version send no responses")
    return Era.LEGACY


def _read_batch(target: str, request: HttpRequest, document: Document) -> Request:
    headers = request.headers
    version = version_header(headers)
    if version and version not in SUPPORTED_VERSIONS:
        raise unsupported_version(version)
    if version not in ("", BATCH_VERSION):
        raise malformed("this protocol version has no batches")
    check_no_mirrors(headers)
    envelopes = _read_elements(document)
    for envelope in envelopes:
        if envelope.kind is not MessageKind.RESPONSE:
            read_era(envelope, version)
        if envelope.method == "initialize":
            raise malformed("initialize must not be part of a batch")
    messages = tuple(to_message(target, envelope, Era.LEGACY) for envelope in envelopes)
    return Request(Era.LEGACY, messages, BATCH_VERSION, session_header(headers), accepts_stream(headers), is_batch=True)


def _read_elements(document: Document) -> list[Envelope]:
    elements = document.root
    if not isinstance(elements, list) or not 0 < len(elements) <= MAX_BATCH_MESSAGES:
        raise malformed(f"a batch holds 1 to {MAX_BATCH_MESSAGES} messages")
    envelopes: list[Envelope] = []
    for element, (start, end) in zip(elements, element_spans(document, ()), strict=True):
        if not isinstance(element, dict):
            raise malformed("every element of a batch must be an object")
        rpc_id, id_json = read_id(element)
        envelopes.append(read_envelope(Document(document.text[start:end], element), rpc_id, id_json))
    ids = [envelope.id_json for envelope in envelopes if envelope.id_json]
    if len(set(ids)) != len(ids):
        raise malformed("an id is repeated within the batch")
    if len({envelope.kind is MessageKind.RESPONSE for envelope in envelopes}) > 1:
        raise malformed("a batch holds either responses or requests and notifications")
    return envelopes
