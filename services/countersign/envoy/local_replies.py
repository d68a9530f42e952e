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

from countersign.mcp.errors import INVALID_REQUEST, Failure

_NO_HTTP = "the request is not acceptable HTTP"
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
    ("response.code_details == 'overload'", Failure.UNAVAILABLE, "the gateway has too much to do; nothing was sent"),
)
# What is no request at all, for which no route is looked up.
_NO_REQUESTS = (
    ("response.code == 431", 431, "the head of the request is larger, or has more headers, than this gateway takes"),
    ("response.code == 426", 426, "this gateway speaks HTTP/1.1 and HTTP/2"),
    ("response.code_details == 'upgrade_failed'", 403, "this gateway speaks nothing but HTTP"),
    ("response.code_details == 'route_not_found'", 404, "nothing is served at this path"),
    ("response.code_details == 'absolute_path_rejected'", 404, "nothing is served at this path"),
    ("response.code_details == 'path_normalization_failed'", 400, "the path is not acceptable"),
    ("response.code_details == 'missing_host_header'", 400, "the request does not say whom it is for"),
    ("response.code_details.startsWith('http1.')", 400, _NO_HTTP),
    ("response.code_details.startsWith('http2.')", 400, _NO_HTTP),
    ("response.code_details.startsWith('http.')", 400, _NO_HTTP),
)


def local_replies() -> LocalReplyConfig:
    """Return status and body for each reason; Envoy takes the first that fits."""
    return LocalReplyConfig(
        mappers=[
            *(_mapper(when, failure.status, failure.code, text) for when, failure, text in _LOCAL_REPLIES),
            *(_mapper(when, status, INVALID_REQUEST, text) for when, status, text in _NO_REQUESTS),
        ]
    )


def _mapper(expression: str, status: int, code: int, text: str) -> ResponseMapper:
    body = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": text}}
    return ResponseMapper(
        filter=AccessLogFilter(
            extension_filter=ExtensionFilter(
                name="envoy.access_loggers.extension_filters.cel",
                typed_config=pack(ExpressionFilter(expression=expression)),
            )
        ),
        status_code=UInt32Value(value=status),
        body_format_override=SubstitutionFormatString(json_format=body),
    )
