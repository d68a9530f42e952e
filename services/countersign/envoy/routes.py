"""Who serves which path of the gateway."""

from __future__ import annotations

import json
from datetime import timedelta
from urllib.parse import urlsplit

from envoy.config.core.v3.base_pb2 import DataSource, HeaderValue, HeaderValueOption
from envoy.config.route.v3.route_components_pb2 import (
    DirectResponseAction,
    HeaderMatcher,
    Route,
    RouteAction,
    RouteMatch,
    VirtualHost,
)
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.http.buffer.v3.buffer_pb2 import Buffer, BufferPerRoute
from envoy.extensions.filters.http.ext_authz.v3.ext_authz_pb2 import BufferSettings, CheckSettings, ExtAuthzPerRoute
from envoy.extensions.filters.http.ext_proc.v3.ext_proc_pb2 import ExtProcOverrides, ExtProcPerRoute
from envoy.extensions.filters.http.ext_proc.v3.processing_mode_pb2 import ProcessingMode
from envoy.type.matcher.v3.string_pb2 import StringMatcher
from google.protobuf.any import pack
from google.protobuf.wrappers_pb2 import UInt32Value

from countersign.config import GatewayConfig, Target, changes_requests, may_wait
from countersign.envoy.clusters import grpc_service, target_cluster_name
from countersign.envoy.doors import CORS_FILTER, cross_origin, from_elsewhere, hosts, told_to_pages
from countersign.envoy.guard import AUTHZ_FILTER, MASKER_FILTER, guarded
from countersign.envoy.wiring import (
    APPROVER_CLUSTER,
    AUTHZ_CLUSTER,
    HUB_CLUSTER,
    PAGE_CLUSTER,
    PORTAL_CLUSTER,
    RECORDER_CLUSTER,
    Wiring,
)
from countersign.mcp import Failure
from countersign.model.door import HUB_NAME
from countersign.runtime.trust import SERVICE_HEADER, is_private

ROUTES = "countersign_routes"
INNER_ROUTES = "countersign_inner_routes"
BUFFER_FILTER = "envoy.filters.http.buffer"
METADATA_PATH = "/.well-known/oauth-protected-resource"
# What authz is told of a route: see countersign.authz.envoy.
MCP_ROUTE, AUDIT_ROUTE, APPROVAL_ROUTE, HUB_ROUTE, DISMISSED_ROUTE = "mcp", "audit", "approval", "hub", "dismissed"
INNER = "inner"
CHANGES_REQUESTS = "changes_requests"
# Services of the recorder that auditors and operators reach; RecorderService, FeedService and ToolPinService are
# not among them.
_RECORD_PREFIXES = tuple(
    f"/countersign.api.recorder.v1.{name}/"
    for name in ("SessionService", "SearchService", "LogService", "KeepingService", "ReviewService")
)
_REFLECTION_PREFIX = "/grpc.reflection."
_TOOLS_PREFIX = "/countersign.api.access.v1.ToolReviewService/"
_REVOCATIONS_PREFIX = "/countersign.api.access.v1.RevocationService/"
_APPROVALS_PREFIX = "/countersign.api.approvals.v1.ApprovalService/"
_PAGE_PREFIX = "/approvals"
# Forms and what Slack sends; a page that would take more is not ours.
MAX_PAGE_REQUEST_BYTES = 256 * 1024
_PORTAL = (
    RouteMatch(path_separated_prefix="/portal"),
    # RFC 8414, section 3.1, and what clients try besides.
    RouteMatch(path="/.well-known/oauth-authorization-server/portal"),
    RouteMatch(path="/.well-known/openid-configuration/portal"),
)
# What SAML providers post.
MAX_PORTAL_REQUEST_BYTES = 640 * 1024
# Beyond the hold: to judge the call before it and after it, and to answer.
CHECK_MARGIN_S = 10.0
# Beyond that: whoever waits for authz must not give up before authz is given up.
IDLE_MARGIN_S = 20.0
_NEVER = timedelta(0)
# Whoever asks what methods there are asks at once, and is done.
_REFLECTION_IDLE = timedelta(seconds=30)
# Whoever watches approvals hears something every ten seconds.
_APPROVALS_IDLE = timedelta(seconds=60)
_PAGE_TIMEOUT = timedelta(seconds=30)
_COOKIE = "cookie"
_NOTHING = json.dumps({"error": "nothing is served at this path"})


def routes(config: GatewayConfig, wiring: Wiring) -> RouteConfiguration:
    """Return all routes of the gateway; whatever is not among them is answered 404 by Envoy itself."""
    token = wiring.service_token
    listed = [
        *(_metadata_of_target(config, target) for target in config.targets.values()),
        _metadata(METADATA_PATH, config.url, config),
        *(route for target in config.targets.values() for route in _listened(_mcp(config, target, token))),
        *(_hub(config, token) if wiring.hub_http and wiring.inner and config.hub else ()),
        *(_approval_state(target) for target in config.targets.values() if may_wait(config, target)),
        *[_vouched(prefix, RECORDER_CLUSTER, _NEVER, token) for prefix in _RECORD_PREFIXES],
        _vouched(_TOOLS_PREFIX, RECORDER_CLUSTER, _NEVER, token),
        _vouched(_REVOCATIONS_PREFIX, RECORDER_CLUSTER, _NEVER, token),
        _vouched(_REFLECTION_PREFIX, RECORDER_CLUSTER, _REFLECTION_IDLE, token),
        *([_vouched(_APPROVALS_PREFIX, APPROVER_CLUSTER, _APPROVALS_IDLE, token)] if wiring.approver else ()),
        _nothing_here(),
    ]
    # These know by themselves who sent a browser there, and take what other sites' forms send: SAML's answers.
    pages = [
        *([_page(token)] if wiring.approver_http else ()),
        *([_portal(match, token) for match in _PORTAL] if wiring.portal_http and config.portal is not None else ()),
    ]
    policy = cross_origin(config)
    table = RouteConfiguration(
        name=ROUTES,
        virtual_hosts=[
            VirtualHost(
                name="countersign",
                domains=hosts(config, wiring.listen),
                routes=[*pages, _foreign_page(config), *listed],
                typed_per_filter_config={CORS_FILTER: pack(policy)} if policy is not None else {},
                # Who puts on a renewed credential tells the second attempt by it; others' headers cannot.
                include_request_attempt_count=any(map(renewable, config.targets.values())),
                request_headers_to_remove=["proxy-authorization", "forwarded", "x-forwarded-host"],
            ),
            # Whoever asks under another name: probes, which cannot always choose theirs, get what is public anyway.
            VirtualHost(
                name="elsewhere",
                domains=["*"],
                routes=[_foreign_page(config), _metadata(METADATA_PATH, config.url, config), _not_our_name()],
            ),
        ],
    )
    return guarded(table)


def inner_routes(config: GatewayConfig, wiring: Wiring) -> RouteConfiguration:
    """Return the routes for the hub alone: of all targets, with tokens for the one door; and one for the record."""
    # Whoever can connect to a Unix socket is our own user; elsewhere only our own services know the token.
    token = "" if is_private(wiring.inner) else wiring.service_token
    calls = [_mcp(config, target, wiring.service_token) for target in config.targets.values()]
    listed = [_inner(route, token) for call in calls for route in _listened(call)]
    listed.append(_inner(_dismissed(config), token))
    table = RouteConfiguration(
        name=INNER_ROUTES,
        virtual_hosts=[
            VirtualHost(
                name="inner",
                domains=["*"],
                routes=[*(listed if config.hub else ()), _not_in_force()],
                include_request_attempt_count=any(map(renewable, config.targets.values())),
                request_headers_to_remove=["proxy-authorization", "forwarded", "x-forwarded-host"],
            )
        ],
    )
    return guarded(table)


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


def renewable(target: Target) -> bool:
    """Whether what this target is shown can be had anew when it refuses it."""
    return target.credential is not None and target.credential.renewable


def _mcp(config: GatewayConfig, target: Target, service_token: str) -> Route:
    url = urlsplit(target.mcp_url)
    waits, hold_s = may_wait(config, target), config.approvals.longest_hold_s
    changes = changes_requests(config, target)
    extensions = {"route": MCP_ROUTE, "target": target.name, "upstream": target.mcp_url}
    if changes:
        extensions[CHANGES_REQUESTS] = "yes"
    # Elsewhere an authz that hangs is given up sooner: see the listener.
    patient = grpc_service(AUTHZ_CLUSTER, timedelta(seconds=hold_s + CHECK_MARGIN_S), service_token)
    check = CheckSettings(
        context_extensions=extensions,
        grpc_service=patient if waits else None,
        with_request_body=_whole(config),
    )
    filters = {
        AUTHZ_FILTER: pack(ExtAuthzPerRoute(check_settings=check)),
        MASKER_FILTER: pack(ExtProcPerRoute(overrides=ExtProcOverrides(processing_mode=processing(requests=changes)))),
    }
    return Route(
        name=f"mcp {target.name}",
        match=RouteMatch(path=f"/{target.name}/mcp"),
        route=RouteAction(
            cluster=target_cluster_name(target),
            prefix_rewrite=url.path or "/",
            host_rewrite_literal=url.netloc,
            timeout=_NEVER,
            # It runs while authz holds the call, too.
            idle_timeout=timedelta(
                seconds=max(config.limits.upstream_timeout_s, hold_s + IDLE_MARGIN_S if waits else 0.0)
            ),
        ),
        request_headers_to_remove=[_COOKIE],
        # Only the bridge is ours, and is told who asks.
        request_headers_to_add=[_overwriting(SERVICE_HEADER, service_token)] if service_token and target.stdio else [],
        typed_per_filter_config=filters,
    )


def _inner(route: Route, token: str) -> Route:
    """A target's route as the hub takes it: authz is told so, and a ``token`` is wanted unless it is empty."""
    check = ExtAuthzPerRoute()
    route.typed_per_filter_config[AUTHZ_FILTER].Unpack(check)
    check.check_settings.context_extensions[INNER] = "yes"
    route.typed_per_filter_config[AUTHZ_FILTER].Pack(check)
    route.name = f"hub {route.name}"
    if token:
        route.match.headers.append(HeaderMatcher(name=SERVICE_HEADER, string_match=StringMatcher(exact=token)))
    return route


def _dismissed(config: GatewayConfig) -> Route:
    """Where the hub brings a request that reaches no target: authz records it, and answers whatever comes."""
    check = CheckSettings(
        context_extensions={"route": DISMISSED_ROUTE, "target": HUB_NAME}, with_request_body=_whole(config)
    )
    text = "this is for the record alone"
    route = _direct(RouteMatch(path="/mcp"), Failure.UNAVAILABLE.status, _refusal(Failure.UNAVAILABLE, text))
    route.name = "dismissed"
    route.typed_per_filter_config[AUTHZ_FILTER].Pack(ExtAuthzPerRoute(check_settings=check))
    return route


def _whole(config: GatewayConfig) -> BufferSettings:
    """Authz is shown the whole body, or none of a request passes."""
    return BufferSettings(
        max_request_bytes=config.limits.request_bytes, allow_partial_message=False, pack_as_bytes=True
    )


def _hub(config: GatewayConfig, service_token: str) -> list[Route]:
    """The one door for all targets, and what clients are told of its tokens.

    Authz says who calls and reads the request; what becomes of it is judged for each target, when the hub asks for it.
    """
    check = CheckSettings(context_extensions={"route": HUB_ROUTE, "target": HUB_NAME}, with_request_body=_whole(config))
    silence_s = max(config.limits.upstream_timeout_s, config.approvals.longest_hold_s) + IDLE_MARGIN_S
    door = Route(
        name="hub",
        match=RouteMatch(path="/mcp"),
        route=RouteAction(
            cluster=HUB_CLUSTER,
            timeout=_NEVER,
            # A target that is silent is given up inside, before this is.
            idle_timeout=timedelta(seconds=silence_s),
        ),
        request_headers_to_remove=[_COOKIE],
        request_headers_to_add=[_overwriting(SERVICE_HEADER, service_token)] if service_token else [],
        typed_per_filter_config={
            AUTHZ_FILTER: pack(ExtAuthzPerRoute(check_settings=check)),
            # All that it passes on was masked inside.
            MASKER_FILTER: pack(ExtProcPerRoute(disabled=True)),
        },
    )
    return [_metadata(f"{METADATA_PATH}/mcp", config.hub_resource, config), door]


def _listened(route: Route) -> list[Route]:
    """A target's route, and before it the same for its own stream: nobody knows when it has news, so it may be quiet.

    Once it sent anything the masker keeps it alive; before that, Envoy (1.40) takes nothing of the masker's own.
    """
    news = Route()
    news.CopyFrom(route)
    news.name = f"{route.name} news"
    news.match.headers.append(HeaderMatcher(name=":method", string_match=StringMatcher(exact="GET")))
    news.route.idle_timeout.FromTimedelta(_NEVER)
    return [news, route]


def _approval_state(target: Target) -> Route:
    """Where plain HTTP clients ask how their call stands that waits for humans: authz answers, whatever comes."""
    extensions = {"route": APPROVAL_ROUTE, "target": target.name}
    check = CheckSettings(context_extensions=extensions, disable_request_body_buffering=True)
    route = _direct(RouteMatch(path_separated_prefix=f"/{target.name}/mcp/approvals"), 404, _NOTHING)
    route.name = f"approval of {target.name}"
    route.typed_per_filter_config[AUTHZ_FILTER].Pack(ExtAuthzPerRoute(check_settings=check))
    return route


def _vouched(prefix: str, cluster: str, idle: timedelta, service_token: str) -> Route:
    """A gRPC service of ours that decides itself what its callers may; authz says who they are."""
    check = CheckSettings(context_extensions={"route": AUDIT_ROUTE}, disable_request_body_buffering=True)
    return Route(
        name=f"audit {prefix}",
        match=RouteMatch(prefix=prefix),
        route=RouteAction(cluster=cluster, timeout=_NEVER, idle_timeout=idle),
        request_headers_to_remove=["authorization", _COOKIE],
        request_headers_to_add=[_overwriting(SERVICE_HEADER, service_token)] if service_token else [],
        typed_per_filter_config={
            AUTHZ_FILTER: pack(ExtAuthzPerRoute(check_settings=check)),
            # It holds only what is masked already, and its answers are gRPC.
            MASKER_FILTER: pack(ExtProcPerRoute(disabled=True)),
        },
    )


def _page(service_token: str) -> Route:
    """The page of approvals: who comes there signs in there, so authz is not asked, and its cookies are kept."""
    route = _own_page(
        RouteMatch(path_separated_prefix=_PAGE_PREFIX), PAGE_CLUSTER, MAX_PAGE_REQUEST_BYTES, service_token
    )
    route.name = "approvals page"
    route.request_headers_to_remove.append("authorization")
    return route


def _portal(match: RouteMatch, service_token: str) -> Route:
    """The portal, where people sign in and issuers tell of logouts, some of them with a bearer token of their own."""
    route = _own_page(match, PORTAL_CLUSTER, MAX_PORTAL_REQUEST_BYTES, service_token)
    route.name = "portal"
    return route


def _own_page(match: RouteMatch, cluster: str, most_bytes: int, service_token: str) -> Route:
    return Route(
        match=match,
        route=RouteAction(cluster=cluster, timeout=_PAGE_TIMEOUT, idle_timeout=_PAGE_TIMEOUT),
        request_headers_to_add=[_overwriting(SERVICE_HEADER, service_token)] if service_token else [],
        typed_per_filter_config={
            AUTHZ_FILTER: pack(ExtAuthzPerRoute(disabled=True)),
            # What it shows is masked already.
            MASKER_FILTER: pack(ExtProcPerRoute(disabled=True)),
            BUFFER_FILTER: pack(BufferPerRoute(buffer=Buffer(max_request_bytes=UInt32Value(value=most_bytes)))),
        },
    )


def _metadata_of_target(config: GatewayConfig, target: Target) -> Route:
    return _metadata(f"{METADATA_PATH}/{target.name}/mcp", target.resource, config)


def _metadata(path: str, resource: str, config: GatewayConfig) -> Route:
    """OAuth 2.0 Protected Resource Metadata (RFC 9728): public, the same for everybody."""
    # The portal first: clients take the first, and there they need not be known. Nobody signs in where machines do.
    servers = [f"{config.url}/portal"] if config.portal is not None else []
    servers += [issuer.issuer for issuer in config.issuers if not issuer.only_machines]
    document: dict[str, object] = {"resource": resource, "bearer_methods_supported": ["header"]}
    if servers:  # Section 3.2: no empty lists.
        document["authorization_servers"] = servers
    route = _direct(RouteMatch(path=path), 200, json.dumps(document))
    # What Envoy answers by itself its filter for pages leaves alone; whoever comes here from another is refused before.
    route.response_headers_to_add.extend(_overwriting(name, value) for name, value in told_to_pages(config).items())
    return route


def _nothing_here() -> Route:
    return _direct(RouteMatch(prefix="/"), 404, _NOTHING)


def _not_in_force() -> Route:
    """To the hub, which may have read an edit before Envoy did: a 404 would be a target's, which it remembers."""
    text = "this target is not in force yet"
    return _direct(RouteMatch(prefix="/"), Failure.UNAVAILABLE.status, _refusal(Failure.UNAVAILABLE, text))


def _foreign_page(config: GatewayConfig) -> Route:
    text = "a page of this origin may not call the gateway; gateway.origins in gateway.yaml lists who may"
    return _direct(from_elsewhere(config), Failure.FOREIGN_ORIGIN.status, _refusal(Failure.FOREIGN_ORIGIN, text))


def _not_our_name() -> Route:
    text = "the gateway does not go by this host; gateway.url and gateway.hosts in gateway.yaml say by which it does"
    return _direct(RouteMatch(prefix="/"), Failure.MISDIRECTED.status, _refusal(Failure.MISDIRECTED, text))


def _refusal(failure: Failure, text: str) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": None, "error": {"code": failure.code, "message": text}})


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
