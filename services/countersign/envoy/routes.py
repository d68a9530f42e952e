"""Who serves which path of the gateway."""

from __future__ import annotations

import json
from datetime import timedelta
from urllib.parse import urlsplit

from envoy.config.core.v3.base_pb2 import DataSource, HeaderValue, HeaderValueOption
from envoy.config.route.v3.route_components_pb2 import (
    DirectResponseAction,
    Route,
    RouteAction,
    RouteMatch,
    VirtualHost,
)
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.http.ext_authz.v3.ext_authz_pb2 import BufferSettings, CheckSettings, ExtAuthzPerRoute
from envoy.extensions.filters.http.ext_proc.v3.ext_proc_pb2 import ExtProcOverrides, ExtProcPerRoute
from envoy.extensions.filters.http.ext_proc.v3.processing_mode_pb2 import ProcessingMode
from google.protobuf.any import pack

from countersign.config import GatewayConfig, Target
from countersign.envoy.clusters import target_cluster_name
from countersign.envoy.wiring import RECORDER_CLUSTER
from countersign.runtime.trust import SERVICE_HEADER

ROUTES = "countersign_routes"
AUTHZ_FILTER = "envoy.filters.http.ext_authz"
MASKER_FILTER = "envoy.filters.http.ext_proc"
METADATA_PATH = "/.well-known/oauth-protected-resource"
# What authz is told of a route: see countersign.authz.envoy.
MCP_ROUTE, AUDIT_ROUTE = "mcp", "audit"
CHANGES_REQUESTS = "changes_requests"
# Services of the recorder that auditors and operators reach; RecorderService and ToolPinService are not among them.
_SESSIONS_PREFIX, _REFLECTION_PREFIX = "/countersign.api.recorder.v1.SessionService/", "/grpc.reflection."
_TOOLS_PREFIX = "/countersign.api.access.v1.ToolReviewService/"
_NEVER = timedelta(0)
# Whoever asks what methods there are asks at once, and is done.
_REFLECTION_IDLE = timedelta(seconds=30)


def routes(config: GatewayConfig, service_token: str = "") -> RouteConfiguration:
    """Return all routes of the gateway; whatever is not among them is answered 404 by Envoy itself.

    ``service_token`` goes to the recorder, when it demands one.
    """
    listed = [
        *(_metadata_of_target(config, target) for target in config.targets.values()),
        _metadata(METADATA_PATH, config.url, config),
        *(_mcp(config, target) for target in config.targets.values()),
        _audit(_SESSIONS_PREFIX, _NEVER, service_token),
        _audit(_TOOLS_PREFIX, _NEVER, service_token),
        _audit(_REFLECTION_PREFIX, _REFLECTION_IDLE, service_token),
        _nothing_here(),
    ]
    return RouteConfiguration(
        name=ROUTES,
        virtual_hosts=[
            VirtualHost(
                name="countersign",
                domains=["*"],
                routes=listed,
                request_headers_to_remove=["cookie", "proxy-authorization", "forwarded", "x-forwarded-host"],
            )
        ],
    )


def processing(*, requests: bool) -> ProcessingMode:
    """Return what the masker is asked about: each answer, and each request too when it may have to change it.

    A request comes to it whole: ext_authz has held it already, and only so can its length be told to the target.
    """
    send, skip = ProcessingMode.HeaderSendMode.SEND, ProcessingMode.HeaderSendMode.SKIP
    return ProcessingMode(
        request_header_mode=send if requests else skip,
        response_header_mode=send,
        request_body_mode=ProcessingMode.BodySendMode.BUFFERED if requests else ProcessingMode.BodySendMode.NONE,
        response_body_mode=ProcessingMode.BodySendMode.FULL_DUPLEX_STREAMED,
        request_trailer_mode=skip,
        response_trailer_mode=send,
    )


def _mcp(config: GatewayConfig, target: Target) -> Route:
    url = urlsplit(target.mcp_url)
    # Tokens may have to be turned back for any target; what is masked is said for each.
    changes = bool(target.mask_request.mask) or any(rule.unmask_for for rule in config.rules)
    extensions = {"route": MCP_ROUTE, "target": target.name, "upstream": target.mcp_url}
    if changes:
        extensions[CHANGES_REQUESTS] = "yes"
    check = CheckSettings(
        context_extensions=extensions,
        with_request_body=BufferSettings(
            max_request_bytes=config.limits.request_bytes, allow_partial_message=False, pack_as_bytes=True
        ),
    )
    filters = {AUTHZ_FILTER: pack(ExtAuthzPerRoute(check_settings=check))}
    if changes:
        overrides = ExtProcOverrides(processing_mode=processing(requests=True))
        filters[MASKER_FILTER] = pack(ExtProcPerRoute(overrides=overrides))
    return Route(
        name=f"mcp {target.name}",
        match=RouteMatch(path=f"/{target.name}/mcp"),
        route=RouteAction(
            cluster=target_cluster_name(target),
            prefix_rewrite=url.path or "/",
            host_rewrite_literal=url.netloc,
            timeout=_NEVER,
            idle_timeout=timedelta(seconds=config.limits.upstream_timeout_s),
        ),
        typed_per_filter_config=filters,
    )


def _audit(prefix: str, idle: timedelta, service_token: str) -> Route:
    check = CheckSettings(context_extensions={"route": AUDIT_ROUTE}, disable_request_body_buffering=True)
    return Route(
        name=f"audit {prefix}",
        match=RouteMatch(prefix=prefix),
        route=RouteAction(cluster=RECORDER_CLUSTER, timeout=_NEVER, idle_timeout=idle),
        request_headers_to_remove=["authorization"],
        request_headers_to_add=[_overwriting(SERVICE_HEADER, service_token)] if service_token else [],
        typed_per_filter_config={
            AUTHZ_FILTER: pack(ExtAuthzPerRoute(check_settings=check)),
            # The recorder holds only what is masked already, and its answers are gRPC.
            MASKER_FILTER: pack(ExtProcPerRoute(disabled=True)),
        },
    )


def _metadata_of_target(config: GatewayConfig, target: Target) -> Route:
    return _metadata(f"{METADATA_PATH}/{target.name}/mcp", target.resource, config)


def _metadata(path: str, resource: str, config: GatewayConfig) -> Route:
    """OAuth 2.0 Protected Resource Metadata (RFC 9728): public, the same for everybody."""
    document = {
        "resource": resource,
        "authorization_servers": [issuer.issuer for issuer in config.issuers],
        "bearer_methods_supported": ["header"],
    }
    return _direct(RouteMatch(path=path), 200, json.dumps(document))


def _nothing_here() -> Route:
    return _direct(RouteMatch(prefix="/"), 404, json.dumps({"error": "nothing is served at this path"}))


def _direct(match: RouteMatch, status: int, body: str) -> Route:
    return Route(
        match=match,
        direct_response=DirectResponseAction(status=status, body=DataSource(inline_string=body)),
        response_headers_to_add=[_overwriting("content-type", "application/json")],
        typed_per_filter_config={
            AUTHZ_FILTER: pack(ExtAuthzPerRoute(disabled=True)),
            MASKER_FILTER: pack(ExtProcPerRoute(disabled=True)),
        },
    )


def _overwriting(name: str, value: str) -> HeaderValueOption:
    return HeaderValueOption(
        header=HeaderValue(key=name, value=value),
        append_action=HeaderValueOption.HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
    )
