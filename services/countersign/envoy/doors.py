"""By which names the gateway is reached, and from which web pages: against DNS rebinding and foreign pages.

A page of somebody else's whose name suddenly leads here still says its own name in ``Host`` and ``Origin``.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from envoy.config.route.v3.route_components_pb2 import HeaderMatcher, RouteMatch
from envoy.extensions.filters.http.cors.v3.cors_pb2 import CorsPolicy
from envoy.type.matcher.v3.string_pb2 import StringMatcher

from countersign.config import GatewayConfig
from countersign.config.urls import is_loopback

CORS_FILTER = "envoy.filters.http.cors"
_PORTS = {"http": 80, "https": 443}
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
# By name, since `*` never covers Authorization; it does cover Mcp-Param-*.
_SENT = "authorization, content-type, accept, last-event-id, prefer, mcp-protocol-version, mcp-session-id, "
_SENT += "mcp-method, mcp-name, *"
_READ = "mcp-session-id, mcp-protocol-version, www-authenticate, location, retry-after"
_VERBS = "GET, POST, DELETE"
_PREFLIGHT_AGE_S = "600"


def hosts(config: GatewayConfig, listen: str) -> list[str]:
    """Return what ``Host`` may say, in small letters: the gateway's URL, and what gateway.yaml lists besides.

    A gateway that only this machine reaches goes by all names of the loopback interface, also at the port of
    ``listen`` (``HOST:PORT`` or ``unix:/path``).
    """
    url = urlsplit(config.url)
    names = [url.hostname or ""] if ":" not in (url.hostname or "") else [f"[{url.hostname}]"]
    ports = [url.port or _PORTS[url.scheme]]
    if is_loopback(url.hostname or ""):
        names += _LOOPBACK
        ports += [int(port)] if (port := listen.rpartition(":")[2]).isdigit() else []
    found = [form for name in names for port in ports for form in _forms(name, port, _PORTS[url.scheme])]
    return list(dict.fromkeys([*found, *config.hosts]))


def origins(config: GatewayConfig) -> list[str]:
    """Return what ``Origin`` may say: the gateway's own, and what gateway.yaml lists besides."""
    url = urlsplit(config.url)
    own = [config.url]
    if is_loopback(url.hostname or ""):
        port = f":{url.port}" if url.port else ""
        own += [f"{url.scheme}://{name}{port}" for name in _LOOPBACK]
    return list(dict.fromkeys([*own, *config.origins]))


def from_elsewhere(config: GatewayConfig) -> RouteMatch:
    """Match what a page sent whose origin is not listed; a header that came twice is none of them."""
    listed = [
        HeaderMatcher(name="origin", string_match=StringMatcher(exact=origin), invert_match=True)
        for origin in origins(config)
    ]
    return RouteMatch(prefix="/", headers=[HeaderMatcher(name="origin", present_match=True), *listed])


def cross_origin(config: GatewayConfig) -> CorsPolicy | None:
    """Return what browsers are told about pages of the origins that gateway.yaml lists; ``None`` without any.

    No cookies: a page brings its user's token itself.
    """
    if not config.origins:
        return None
    return CorsPolicy(
        allow_origin_string_match=[StringMatcher(exact=origin) for origin in config.origins],
        allow_methods=_VERBS,
        allow_headers=_SENT,
        expose_headers=_READ,
        max_age=_PREFLIGHT_AGE_S,
    )


def told_to_pages(config: GatewayConfig) -> dict[str, str]:
    """Return headers that say the same with an answer of Envoy's own, to whoever was let through by its origin."""
    if not config.origins:
        return {}
    return {
        "access-control-allow-origin": "%REQ(origin)%",
        "access-control-allow-methods": _VERBS,
        "access-control-allow-headers": _SENT,
        "access-control-max-age": _PREFLIGHT_AGE_S,
        # What a browser keeps for one page must not be shown to another.
        "vary": "origin",
    }


def _forms(name: str, port: int, usual: int) -> Iterator[str]:
    if port == usual:
        yield name
    yield f"{name}:{port}"
