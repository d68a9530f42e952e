"""What happens to every request: limits, ext_authz, ext_proc, router; and what is logged of it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLog, AccessLogFilter, ExtensionFilter, ResponseFlagFilter
from envoy.config.common.mutation_rules.v3.mutation_rules_pb2 import HeaderMutationRules
from envoy.config.core.v3.config_source_pb2 import ApiVersion, ConfigSource, PathConfigSource
from envoy.config.core.v3.http_service_pb2 import HttpService
from envoy.config.core.v3.http_uri_pb2 import HttpUri
from envoy.config.core.v3.protocol_pb2 import Http2ProtocolOptions, HttpProtocolOptions
from envoy.config.core.v3.substitution_format_string_pb2 import SubstitutionFormatString
from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.trace.v3.http_tracer_pb2 import Tracing
from envoy.config.trace.v3.opentelemetry_pb2 import OpenTelemetryConfig
from envoy.extensions.access_loggers.file.v3.file_pb2 import FileAccessLog
from envoy.extensions.access_loggers.filters.cel.v3.cel_pb2 import ExpressionFilter
from envoy.extensions.access_loggers.grpc.v3.als_pb2 import CommonGrpcAccessLogConfig, HttpGrpcAccessLogConfig
from envoy.extensions.filters.http.buffer.v3.buffer_pb2 import Buffer
from envoy.extensions.filters.http.ext_authz.v3.ext_authz_pb2 import BufferSettings, ExtAuthz
from envoy.extensions.filters.http.ext_proc.v3.ext_proc_pb2 import ExternalProcessor, MetadataOptions
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
    HttpFilter,
    LocalReplyConfig,
    Rds,
    ResponseMapper,
)
from envoy.type.tracing.v3.custom_tag_pb2 import CustomTag
from envoy.type.v3.http_status_pb2 import HttpStatus, StatusCode
from envoy.type.v3.percent_pb2 import Percent
from google.protobuf.any import pack
from google.protobuf.wrappers_pb2 import BoolValue, UInt32Value

from countersign.config import GatewayConfig
from countersign.envoy.clusters import grpc_service
from countersign.envoy.routes import (
    AUTHZ_FILTER,
    BUFFER_FILTER,
    IDLE_MARGIN_S,
    MASKER_FILTER,
    MAX_PAGE_REQUEST_BYTES,
    ROUTES,
    processing,
)
from countersign.envoy.wiring import AUTHZ_CLUSTER, MASKER_CLUSTER, OTLP_CLUSTER, Wiring, address_of
from countersign.mcp import Failure

_NEVER = timedelta(0)
# Fields in which unset is not false.
_YES = BoolValue(value=True)
# JSON-RPC bodies for answers that Envoy makes by itself, so that an MCP client can show them.
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
# Envoy calls the matched metadata by the name of the filter that made it.
_FROM_AUTHZ = f"%DYNAMIC_METADATA({AUTHZ_FILTER}:{{}})%"


def listener(config: GatewayConfig, wiring: Wiring, routes_file: Path) -> Listener:
    """Return the gateway's only listener; its routes come from ``routes_file``, which Envoy watches."""
    manager = HttpConnectionManager(
        codec_type=HttpConnectionManager.CodecType.AUTO,
        stat_prefix="countersign",
        rds=Rds(
            route_config_name=ROUTES,
            config_source=ConfigSource(path_config_source=PathConfigSource(path=str(routes_file))),
        ),
        http_filters=[
            HttpFilter(name=AUTHZ_FILTER, typed_config=pack(_authz(config, wiring))),
            HttpFilter(name=MASKER_FILTER, typed_config=pack(_masker(wiring))),
            # Only routes that say so hold requests here: those that authz does not see, and so does not bound.
            HttpFilter(name=BUFFER_FILTER, typed_config=pack(_buffer()), disabled=True),
            HttpFilter(name="envoy.filters.http.router", typed_config=pack(Router(suppress_envoy_headers=True))),
        ],
        access_log=[_access_log(wiring.access_log), _unanswered_calls(wiring)],
        tracing=_tracing(config.otlp_endpoint) if config.otlp_endpoint else None,
        local_reply_config=LocalReplyConfig(mappers=[_local_reply(*reply) for reply in _LOCAL_REPLIES]),
        # Whom the connection comes from, not whom a header names.
        use_remote_address=_YES,
        normalize_path=_YES,
        merge_slashes=True,
        path_with_escaped_slashes_action=HttpConnectionManager.PathWithEscapedSlashesAction.REJECT_REQUEST,
        common_http_protocol_options=HttpProtocolOptions(
            headers_with_underscores_action=HttpProtocolOptions.HeadersWithUnderscoresAction.REJECT_REQUEST,
            max_headers_count=UInt32Value(value=100),
            idle_timeout=timedelta(hours=1),
        ),
        http2_protocol_options=Http2ProtocolOptions(
            max_concurrent_streams=UInt32Value(value=1000),
            initial_stream_window_size=UInt32Value(value=1 << 20),
            initial_connection_window_size=UInt32Value(value=8 << 20),
        ),
        max_request_headers_kb=UInt32Value(value=64),
        request_headers_timeout=timedelta(seconds=10),
        # It runs on while authz holds a request without a body.
        request_timeout=timedelta(seconds=max(60.0, config.approvals.longest_hold_s + IDLE_MARGIN_S)),
        # Streams may be quiet for long; each route bounds how long (idle_timeout).
        stream_idle_timeout=_NEVER,
        # So long a caller of HTTP/1.1 may take to read what we end; one whose answer is cut hears of it only then.
        delayed_close_timeout=timedelta(milliseconds=200),
    )
    chain = FilterChain(filters=[Filter(name="envoy.http_connection_manager", typed_config=pack(manager))])
    return Listener(
        name="gateway",
        address=address_of(wiring.listen),
        filter_chains=[chain],
        per_connection_buffer_limit_bytes=UInt32Value(value=1 << 20),
    )


def _authz(config: GatewayConfig, wiring: Wiring) -> ExtAuthz:
    return ExtAuthz(
        # Routes on which calls may wait for humans have a longer one.
        grpc_service=grpc_service(AUTHZ_CLUSTER, timedelta(seconds=wiring.check_timeout_s), wiring.service_token),
        failure_mode_allow=False,
        status_on_error=HttpStatus(code=StatusCode.ServiceUnavailable),
        with_request_body=BufferSettings(
            max_request_bytes=config.limits.request_bytes, allow_partial_message=False, pack_as_bytes=True
        ),
        # A header that comes twice must be seen twice.
        encode_raw_headers=True,
        validate_mutations=True,
    )


def _buffer() -> Buffer:
    return Buffer(max_request_bytes=UInt32Value(value=MAX_PAGE_REQUEST_BYTES))


def _masker(wiring: Wiring) -> ExternalProcessor:
    return ExternalProcessor(
        grpc_service=grpc_service(MASKER_CLUSTER, _NEVER, wiring.service_token),
        failure_mode_allow=False,
        status_on_error=HttpStatus(code=StatusCode.BadGateway),
        processing_mode=processing(requests=False),
        response_attributes=["response.code_details"],
        metadata_options=MetadataOptions(
            forwarding_namespaces=MetadataOptions.MetadataNamespaces(untyped=[AUTHZ_FILTER])
        ),
        # The masker answers when it has masked and recorded, however long the target takes.
        message_timeout=timedelta(hours=1),
        max_message_timeout=timedelta(hours=1),
        disable_clear_route_cache=True,
        # By default Envoy quietly keeps a target's x-envoy-* and host headers, whatever the masker removes.
        mutation_rules=HeaderMutationRules(allow_envoy=_YES, allow_all_routing=_YES, disallow_is_error=_YES),
    )


def _local_reply(expression: str, failure: Failure, text: str) -> ResponseMapper:
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


def _unanswered_calls(wiring: Wiring) -> AccessLog:
    """Tell the masker of calls whose caller left before any answer: there is no response to ask it about."""
    common = CommonGrpcAccessLogConfig(
        log_name="unanswered",
        grpc_service=grpc_service(MASKER_CLUSTER, _NEVER, wiring.service_token),
        transport_api_version=ApiVersion.V3,
        buffer_flush_interval=timedelta(milliseconds=100),
    )
    return AccessLog(
        name="envoy.access_loggers.http_grpc",
        filter=AccessLogFilter(response_flag_filter=ResponseFlagFilter(flags=["DC", "DR"])),
        typed_config=pack(HttpGrpcAccessLogConfig(common_config=common)),
    )


def _access_log(path: Path) -> AccessLog:
    fields = {
        "time": "%START_TIME%",
        "verb": "%REQ(:METHOD)%",
        "route": "%ROUTE_NAME%",
        "status": "%RESPONSE_CODE%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "flags": "%RESPONSE_FLAGS%",
        "duration_ms": "%DURATION%",
        "received_bytes": "%BYTES_RECEIVED%",
        "sent_bytes": "%BYTES_SENT%",
        "source": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
        "trace": "%TRACE_ID%",
        "session": _FROM_AUTHZ.format("session"),
        "call": _FROM_AUTHZ.format("call"),
        "decision": _FROM_AUTHZ.format("decision"),
        "rules": _FROM_AUTHZ.format("rules"),
    }
    log = FileAccessLog(
        path=str(path),
        log_format=SubstitutionFormatString(json_format=fields, omit_empty_values=True),
    )
    return AccessLog(name="envoy.access_loggers.file", typed_config=pack(log))


def _tracing(endpoint: str) -> HttpConnectionManager.Tracing:
    return HttpConnectionManager.Tracing(
        provider=Tracing.Http(
            name="envoy.tracers.opentelemetry",
            typed_config=pack(
                OpenTelemetryConfig(
                    http_service=HttpService(
                        http_uri=HttpUri(
                            uri=f"{endpoint}/v1/traces", cluster=OTLP_CLUSTER, timeout=timedelta(seconds=5)
                        )
                    ),
                    service_name="countersign-envoy",
                )
            ),
        ),
        # What callers write themselves: a URL's query may hold a token, and is refused only after the span began.
        custom_tags=[
            CustomTag(tag=name, literal=CustomTag.Literal(value="withheld"))
            for name in ("http.url", "user_agent", "guid:x-request-id")
        ],
        random_sampling=Percent(value=100.0),
        spawn_upstream_span=_YES,
    )
