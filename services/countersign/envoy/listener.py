"""What happens to every request: limits, ext_authz, ext_proc, router; and what is logged of it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLog, AccessLogFilter, ResponseFlagFilter
from envoy.config.common.mutation_rules.v3.mutation_rules_pb2 import HeaderMutationRules
from envoy.config.core.v3.config_source_pb2 import ApiVersion, ConfigSource, PathConfigSource
from envoy.config.core.v3.http_service_pb2 import HttpService
from envoy.config.core.v3.http_uri_pb2 import HttpUri
from envoy.config.core.v3.substitution_format_string_pb2 import SubstitutionFormatString
from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.trace.v3.http_tracer_pb2 import Tracing
from envoy.config.trace.v3.opentelemetry_pb2 import OpenTelemetryConfig
from envoy.extensions.access_loggers.file.v3.file_pb2 import FileAccessLog
from envoy.extensions.access_loggers.grpc.v3.als_pb2 import CommonGrpcAccessLogConfig, HttpGrpcAccessLogConfig
from envoy.extensions.filters.http.buffer.v3.buffer_pb2 import Buffer
from envoy.extensions.filters.http.cors.v3.cors_pb2 import Cors
from envoy.extensions.filters.http.ext_authz.v3.ext_authz_pb2 import BufferSettings, ExtAuthz
from envoy.extensions.filters.http.ext_proc.v3.ext_proc_pb2 import ExternalProcessor, MetadataOptions
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
    HttpFilter,
    Rds,
)
from envoy.type.tracing.v3.custom_tag_pb2 import CustomTag
from envoy.type.v3.http_status_pb2 import HttpStatus, StatusCode
from envoy.type.v3.percent_pb2 import Percent
from google.protobuf.any import pack
from google.protobuf.wrappers_pb2 import BoolValue, UInt32Value

from countersign.config import GatewayConfig
from countersign.envoy.clusters import grpc_service
from countersign.envoy.doors import CORS_FILTER
from countersign.envoy.guard import AUTHZ_FILTER, MASKER_FILTER
from countersign.envoy.limits import (
    BODY_TIMEOUT_S,
    HEAD_TIMEOUT,
    MAX_HEAD_KIB,
    caller_http1,
    caller_http2,
    caller_options,
)
from countersign.envoy.local_replies import local_replies
from countersign.envoy.routes import (
    BUFFER_FILTER,
    IDLE_MARGIN_S,
    INNER_ROUTES,
    MAX_PAGE_REQUEST_BYTES,
    ROUTES,
    processing,
)
from countersign.envoy.wiring import AUTHZ_CLUSTER, MASKER_CLUSTER, OTLP_CLUSTER, Wiring, address_of

_NEVER = timedelta(0)
# Fields in which unset is not false.
_YES = BoolValue(value=True)
# Envoy calls the matched metadata by the name of the filter that made it.
_FROM_AUTHZ = f"%DYNAMIC_METADATA({AUTHZ_FILTER}:{{}})%"


def listener(config: GatewayConfig, wiring: Wiring, routes_file: Path) -> Listener:
    """Return the listener for callers; its routes come from ``routes_file``, which Envoy watches."""
    return _listener(config, wiring, ROUTES, routes_file, "gateway", wiring.listen)


def inner_listener(config: GatewayConfig, wiring: Wiring, routes_file: Path) -> Listener:
    """Return the listener for the hub: what it asks of targets is judged, recorded and masked as anybody's calls are.

    Only our own user connects to its Unix socket; on TCP its routes want the service token.
    """
    return _listener(config, wiring, INNER_ROUTES, routes_file, "inner", wiring.inner)


def _listener(
    config: GatewayConfig, wiring: Wiring, table: str, routes_file: Path, name: str, address: str
) -> Listener:
    manager = HttpConnectionManager(
        codec_type=HttpConnectionManager.CodecType.AUTO,
        stat_prefix="countersign",
        rds=Rds(
            route_config_name=table,
            config_source=ConfigSource(path_config_source=PathConfigSource(path=str(routes_file))),
        ),
        http_filters=[
            # Before anybody is asked who the caller is: browsers send no token when they ask what a page may.
            HttpFilter(name=CORS_FILTER, typed_config=pack(Cors())),
            HttpFilter(name=AUTHZ_FILTER, typed_config=pack(_authz(config, wiring))),
            # Only on routes that say how, which those to targets must (guard.py): what is no HTTP, and ends its
            # connection before anybody could be asked, would else be asked about and never be answered.
            HttpFilter(name=MASKER_FILTER, typed_config=pack(_masker(wiring)), disabled=True),
            # Only routes that say so hold requests here: those that authz does not see, and so does not bound.
            HttpFilter(name=BUFFER_FILTER, typed_config=pack(_buffer()), disabled=True),
            HttpFilter(name="envoy.filters.http.router", typed_config=pack(Router(suppress_envoy_headers=True))),
        ],
        access_log=[_access_log(wiring.access_log), _unanswered_calls(wiring)],
        tracing=_tracing(config.otlp_endpoint) if config.otlp_endpoint else None,
        local_reply_config=local_replies(),
        # Whom the connection comes from, not whom a header names.
        use_remote_address=_YES,
        normalize_path=_YES,
        merge_slashes=True,
        path_with_escaped_slashes_action=HttpConnectionManager.PathWithEscapedSlashesAction.REJECT_REQUEST,
        common_http_protocol_options=caller_options(),
        http_protocol_options=caller_http1(),
        http2_protocol_options=caller_http2(),
        max_request_headers_kb=UInt32Value(value=MAX_HEAD_KIB),
        request_headers_timeout=HEAD_TIMEOUT,
        # It runs on while authz holds a request without a body.
        request_timeout=timedelta(seconds=max(BODY_TIMEOUT_S, config.approvals.longest_hold_s + IDLE_MARGIN_S)),
        # Streams may be quiet for long; each route bounds how long (idle_timeout).
        stream_idle_timeout=_NEVER,
        # So long a caller of HTTP/1.1 may take to read what we end; one whose answer is cut hears of it only then.
        delayed_close_timeout=timedelta(milliseconds=200),
    )
    chain = FilterChain(filters=[Filter(name="envoy.http_connection_manager", typed_config=pack(manager))])
    return Listener(
        name=name,
        address=address_of(address),
        filter_chains=[chain],
        per_connection_buffer_limit_bytes=UInt32Value(value=1 << 20),
        # Whoever came in through the hub has been counted.
        ignore_global_conn_limit=name != "gateway",
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
