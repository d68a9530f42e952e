"""One JSON-RPC message of a client: its kind, its id, its call."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeGuard

from countersign.jsontext import Document, JsonValue, Number, quote, value_span
from countersign.mcp.call import PARAMS_KEYS, KnownKeys, read_name
from countersign.mcp.eras import (
    LEGACY_METHODS,
    META_CAPABILITIES,
    META_CLIENT_INFO,
    META_LOG_LEVEL,
    META_RELATED_TASK,
    META_VERSION,
    MODERN_VERSION,
    NOTIFICATION_PREFIX,
    REQUEST_METHODS,
    SUPPORTED_VERSIONS,
    Era,
    unsupported_version,
)
from countersign.mcp.errors import METHOD_NOT_FOUND, McpRefused, bad_params, malformed, mismatch
from countersign.model.call import Call
from countersign.model.methods import ANSWERED_METHODS, OTHER_ANSWER

MAX_ID_LENGTH = 256
MAX_METHOD_LENGTH = 128

BARE_METHODS = frozenset({"GET", "DELETE"})
"""Method names of calls without a message; no message may borrow them."""

TARGETS_METHODS = (ANSWERED_METHODS - {"ping"}) | {OTHER_ANSWER}
"""Method names of what only targets ask, by which answers to it are judged; no client's request may borrow them."""

METHOD_PATTERN = re.compile(rf"[!-~]{{1,{MAX_METHOD_LENGTH}}}")
_METHODS_IN_LOWER_CASE = frozenset(map(str.lower, REQUEST_METHODS))
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,15}")
_MAX_EXACT_INTEGER = 2**53 - 1
_MESSAGE_KEYS = KnownKeys("jsonrpc", "id", "method", "params", "result", "error")
_ANSWER_KEYS = KnownKeys("_meta", "action", "content", "model", "role", "roots", "stopReason", "task", "taskId")
_ERROR_KEYS = KnownKeys("code", "data", "message")
META_KEYS = KnownKeys(
    META_VERSION, META_CAPABILITIES, META_CLIENT_INFO, META_LOG_LEVEL, META_RELATED_TASK, "progressToken"
)


class MessageKind(StrEnum):
    """What a client may send; ``BARE`` is a GET or DELETE, which carries no JSON-RPC message."""

    REQUEST = "request"
    NOTIFICATION = "notification"
    RESPONSE = "response"
    BARE = "bare"


@dataclass(frozen=True, slots=True)
class Message:
    """One judged unit.

    ``call`` is ``None`` for a response only, until it is known what that answers. ``rpc_id`` keeps its JSON type;
    ``id_json`` is its JSON text (a number exactly as it was sent), empty when there is none. ``answer_json`` is what a
    response says: the JSON text of an object with its ``result`` or its ``error``.
    """

    call: Call | None
    kind: MessageKind
    rpc_id: str | int | None
    id_json: str
    era: Era
    answer_json: str = ""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message whose JSON-RPC frame is checked; its era, version and names are not yet."""

    document: Document
    kind: MessageKind
    rpc_id: str | int | None
    id_json: str
    method: str
    params: dict[str, JsonValue]


def read_id(members: dict[str, JsonValue]) -> tuple[str | int | None, str]:
    """Read a JSON-RPC id and its JSON text; ``(None, "")`` when there is none.

    Strings are bounded; numbers are integers that every parser holds exactly (within 2**53 - 1, no fraction, no
    exponent, no ``-0``). Anything else, ``null`` too, raises :class:`~countersign.mcp.errors.McpRefused`.
    """
    if "id" not in members:
        return None, ""
    value = members["id"]
    if not _is_exact(value):
        raise malformed("id must be a string of bounded length or an exact integer")
    return (int(value), str(value)) if isinstance(value, Number) else (value, quote(value))


def id_text(value: JsonValue) -> str:
    """Return the JSON text of an id that nobody checked; empty when it is none."""
    if isinstance(value, Number):
        return str.__str__(value)
    return quote(value) if isinstance(value, str) else ""


def _is_exact(value: JsonValue) -> TypeGuard[str]:
    """Whether a value is an id or a token that every parser holds as it is, in its type."""
    if isinstance(value, Number):
        return _INTEGER.fullmatch(value) is not None and abs(int(value)) <= _MAX_EXACT_INTEGER
    return isinstance(value, str) and len(value) <= MAX_ID_LENGTH


def check_frame(members: dict[str, JsonValue]) -> None:
    """Check what requests and answers have in common: the version, and no key that is nearly a known one.

    Raises :class:`~countersign.mcp.errors.McpRefused`.
    """
    if _MESSAGE_KEYS.twin_in(members):
        raise malformed("a key differs from a known one only in case")
    version = members.get("jsonrpc")
    if type(version) is not str or version != "2.0":
        raise malformed('jsonrpc must be "2.0"')


def read_envelope(document: Document, rpc_id: str | int | None, id_json: str) -> Envelope:
    """Check the frame of one message, whose id was read already (JSON-RPC 2.0 sections 4 and 5).

    Raises :class:`~countersign.mcp.errors.McpRefused`.
    """
    members = document.root
    if not isinstance(members, dict):
        raise malformed("a message must be an object")
    check_frame(members)
    if "method" not in members:
        _check_response(members, id_json)
        return Envelope(document, MessageKind.RESPONSE, rpc_id, id_json, "", {})
    if "result" in members or "error" in members:
        raise malformed("a message is either a request or a response")
    method = _read_method(members["method"], has_id=bool(id_json))
    params = members.get("params", {})
    if not isinstance(params, dict):
        raise malformed("params must be an object")
    if PARAMS_KEYS.twin_in(params):
        raise malformed("a key of params differs from a known one only in case")
    kind = MessageKind.REQUEST if id_json else MessageKind.NOTIFICATION
    return Envelope(document, kind, rpc_id, id_json, method, params)


def read_era(envelope: Envelope, header_version: str) -> tuple[Era, str]:
    """Decide the era of a request or notification, and the protocol version that it states.

    The version is empty when none is stated. Raises :class:`~countersign.mcp.errors.McpRefused` when header and body
    disagree, when the version is unknown, or when a modern request lacks what it must carry.
    """
    meta = _read_meta(envelope.params)
    stated = meta.get(META_VERSION)
    if META_VERSION in meta and type(stated) is not str:
        raise bad_params("the protocol version in params._meta must be a string")
    if stated is not None and stated != header_version:
        raise mismatch("the header MCP-Protocol-Version does not match params._meta")
    if stated is not None and stated != MODERN_VERSION:
        raise unsupported_version(header_version, (MODERN_VERSION,))
    if header_version and header_version not in SUPPORTED_VERSIONS:
        raise unsupported_version(header_version)
    if header_version != MODERN_VERSION:
        return Era.LEGACY, header_version
    if envelope.method == "initialize" and stated is None:
        raise mismatch("initialize belongs to the versions before the one that MCP-Protocol-Version states")
    if envelope.kind is MessageKind.REQUEST:
        if stated is None:
            raise bad_params("params._meta lacks the protocol version")
        if not isinstance(meta.get(META_CAPABILITIES), dict):
            raise bad_params("params._meta lacks the client capabilities")
        if envelope.method in LEGACY_METHODS:
            raise McpRefused(404, METHOD_NOT_FOUND, "this protocol version has no such method")
    return Era.MODERN, header_version


def read_offer(params: dict[str, JsonValue]) -> str:
    """Read the version that an ``initialize`` offers; versions that we do not know are for the target to counter."""
    offered = params.get("protocolVersion")
    if type(offered) is not str or not 0 < len(offered) <= 32:
        raise bad_params("params.protocolVersion must be a short string")
    return offered


def to_message(target: str, envelope: Envelope, era: Era) -> Message:
    """Make the judged unit of a checked envelope. Raises :class:`~countersign.mcp.errors.McpRefused` for bad names."""
    if envelope.kind is MessageKind.RESPONSE:
        answer_json = _answer_json(envelope.document)
        return Message(None, envelope.kind, envelope.rpc_id, envelope.id_json, era, answer_json)
    kind, name = read_name(envelope.method, envelope.params)
    span = value_span(envelope.document, ("params",))
    params_json = "" if span is None else envelope.document.text[span[0] : span[1]]
    call = Call(target, envelope.method, name, kind, params_json)
    return Message(call, envelope.kind, envelope.rpc_id, envelope.id_json, era)


def _answer_json(document: Document) -> str:
    for key in ("result", "error"):
        span = value_span(document, (key,))
        if span is not None:
            return f'{{"{key}":{document.text[span[0] : span[1]]}}}'
    raise malformed("a message has either a method, a result or an error")


def _read_method(method: JsonValue, *, has_id: bool) -> str:
    if type(method) is not str or not METHOD_PATTERN.fullmatch(method) or method in BARE_METHODS:
        raise malformed("method must be a short string of visible ASCII")
    if method in TARGETS_METHODS:
        raise malformed("this method is for servers to ask, and for clients to answer")
    if method not in REQUEST_METHODS and method.lower() in _METHODS_IN_LOWER_CASE:
        raise malformed("method differs from a known one only in case")
    if has_id and method.startswith(NOTIFICATION_PREFIX):
        raise malformed("a notification must not have an id")
    if not has_id and method in REQUEST_METHODS:
        raise malformed("a request must have an id")
    return method


def _read_meta(params: dict[str, JsonValue]) -> dict[str, JsonValue]:
    meta = params.get("_meta", {})
    if not isinstance(meta, dict):
        raise bad_params("params._meta must be an object")
    if META_KEYS.twin_in(meta):
        raise malformed("a key of params._meta differs from a known one only in case")
    for holder in (meta, params):
        if "progressToken" in holder and not _is_exact(holder["progressToken"]):
            raise bad_params("a progress token must be a string of bounded length or an exact integer")
    return meta


def _check_response(members: dict[str, JsonValue], id_json: str) -> None:
    if "params" in members or ("result" in members) == ("error" in members):
        raise malformed("a message has either a method, a result or an error")
    if not id_json:
        raise malformed("a response must have the id of its request")
    if "result" in members:
        result = members["result"]
        if not isinstance(result, dict):
            raise malformed("result must be an object")
        if _ANSWER_KEYS.twin_in(result):
            raise malformed("a key of result differs from a known one only in case")
        return
    error = members["error"]
    if (
        not isinstance(error, dict)
        or not isinstance(error.get("code"), Number)
        or type(error.get("message")) is not str
    ):
        raise malformed("error must be an object with a code and a message")
    if _ERROR_KEYS.twin_in(error):
        raise malformed("a key of error differs from a known one only in case")
