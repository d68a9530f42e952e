"""How the official Python SDK reads a request: the steps of its two transports and of its dispatch, one by one."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pydantic_core
from mcp.shared.inbound import InboundLadderRejection, classify_inbound_request, find_duplicated_routing_header
from mcp_types import JSONRPCNotification, JSONRPCRequest, jsonrpc_message_adapter, methods
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, LATEST_HANDSHAKE_VERSION
from pydantic import TypeAdapter, ValidationError

from tests.differential.drafts import Case
from tests.differential.readings import Reading

_VERSION = "mcp-protocol-version"


def read(case: Case) -> list[Reading]:
    """What its server would act on; nothing when it refuses the request."""
    stated = next((value for name, value in case.headers if name == _VERSION), None)
    if stated is not None and stated not in HANDSHAKE_PROTOCOL_VERSIONS:
        return _modern(case, stated)
    return _legacy(case, stated or LATEST_HANDSHAKE_VERSION)


def _legacy(case: Case, version: str) -> list[Reading]:
    """As ``StreamableHTTPServerTransport._handle_post_request`` does."""
    try:
        raw = pydantic_core.from_json(case.body)
        message = jsonrpc_message_adapter.validate_python(raw, by_name=False)
    except ValueError:
        return []
    if isinstance(message, JSONRPCRequest):
        return _typed("request", message.method, message.id, message.params, "legacy", version)
    if isinstance(message, JSONRPCNotification):
        return _typed("notification", message.method, None, message.params, "legacy", version)
    return [Reading("response", "", message.id, None, "legacy")]


def _modern(case: Case, version: str) -> list[Reading]:
    """As ``handle_modern_request`` does; it drops notifications."""
    try:
        decoded = json.loads(case.body)
    except (ValueError, RecursionError):
        return []
    if isinstance(decoded, dict) and "id" not in decoded:
        try:
            told = JSONRPCNotification.model_validate(decoded)
        except ValidationError:
            return []
        return [Reading("notification", told.method, None, told.params, "modern")]
    try:
        request = JSONRPCRequest.model_validate(decoded)
    except ValidationError:
        return []
    if find_duplicated_routing_header(case.headers) is not None:
        return []
    verdict = classify_inbound_request(decoded, headers=dict(case.headers))
    if isinstance(verdict, InboundLadderRejection):
        return []
    return _typed("request", request.method, request.id, request.params, "modern", verdict.protocol_version)


def _typed(kind: str, method: str, rpc_id: Any, params: Any, era: str, version: str) -> list[Reading]:
    known = methods.SPEC_CLIENT_METHODS if kind == "request" else methods.SPEC_CLIENT_NOTIFICATION_METHODS
    if method not in known:
        return [Reading(kind, method, rpc_id, params, era)]
    parse = methods.parse_client_request if kind == "request" else methods.parse_client_notification
    try:
        typed = parse(method, version, params)
    except (KeyError, ValidationError, ValueError):
        return []
    given = _dumper(type(typed)).dump_python(typed, by_alias=True, exclude_unset=True).get("params")
    return [Reading(kind, method, rpc_id, params, era, given)]


@cache
def _dumper(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
