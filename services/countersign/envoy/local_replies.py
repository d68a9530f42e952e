"""What Envoy says when it answers by itself: JSON-RPC errors, so that an MCP client can show them."""

from __future__ import annotations

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLogFilter, ExtensionFilter
from envoy.config.core.v3.substitution_format_string_pb2 import SubstitutionFormatString
from envoy.extensions.access_loggers.filters.cel.v3.cel_pb2 import ExpressionFilter
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    LocalReplyConfig,
    ResponseMapper,
)
from google.protobuf.any import pack
from google.protobuf.wrappers_pb2 import UInt32Value

from countersign.mcp import Failure

_LOCAL_REPLIES = (
    ("response.code == 413", Failure.TOO_LARGE, "the request is larger than this gateway takes"),
    (
        "response.code_details == 'ext_authz_error'",
        Failure.UNAVAILABLE,
        "the gateway cannot judge this call now; nothing was sent",
    ),
    (
        "response.code_details.startsWith('ext_proc')",
        Failure.BAD_GATEWAY,
        "the call or its answer could not be masked and is withheld",
    ),
    # Before its head the masker answers in the target's place; after it Envoy does, with details of the inside.
    (
        "response.code_details.startsWith('upstream_')",
        Failure.BAD_GATEWAY,
        "who was to answer is away or broke off, and nothing of the answer is passed on",
    ),
    # Usually the target's silence; whoever waits for humans hears from authz before.
    (
        "response.code_details.startsWith('stream_idle_timeout')",
        Failure.BAD_GATEWAY,
        "nothing came for too long; whatever else comes is not passed on",
    ),
    (
        "response.code_details.startsWith('request_overall_timeout')",
        Failure.UNAVAILABLE,
        "the request took too long and was broken off",
    ),
)


def local_replies() -> LocalReplyConfig:
    """Return status and body for each reason; Envoy takes the first that fits."""
    return LocalReplyConfig(mappers=[_mapper(*reply) for reply in _LOCAL_REPLIES])


def _mapper(expression: str, failure: Failure, text: str) -> ResponseMapper:
    body = {"jsonrpc": "2.0", "id": None, "error": {"code": failure.code, "message": text}}
    return ResponseMapper(
        filter=AccessLogFilter(
            extension_filter=ExtensionFilter(
                name="envoy.access_loggers.extension_filters.cel",
                typed_config=pack(ExpressionFilter(expression=expression)),
            )
        ),
        status_code=UInt32Value(value=failure.status),
        body_format_override=SubstitutionFormatString(json_format=body),
    )
