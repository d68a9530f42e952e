"""No route leads to a target but through authz and masker: what would not protect is not written."""

from __future__ import annotations

from envoy.config.route.v3.route_components_pb2 import Route
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.http.ext_authz.v3.ext_authz_pb2 import ExtAuthzPerRoute
from envoy.extensions.filters.http.ext_proc.v3.ext_proc_pb2 import ExtProcPerRoute

from countersign.envoy.clusters import TARGET_PREFIX

AUTHZ_FILTER = "envoy.filters.http.ext_authz"
MASKER_FILTER = "envoy.filters.http.ext_proc"


def guarded(table: RouteConfiguration) -> RouteConfiguration:
    """Return the table as it is, if every route to a target asks authz and has masker look at the answer.

    Raises:
        AssertionError: when one does not, or leads to what is not named here: a mistake of ours, in any gateway.yaml.
    """
    for host in table.virtual_hosts:
        for route in host.routes:
            if _leads_to_target(route) and not (_asks_authz(route) and _asks_masker(route)):
                raise AssertionError(f"the route {route.name!r} would lead past the gateway's own judgement")
    return table


def _leads_to_target(route: Route) -> bool:
    if route.WhichOneof("action") == "direct_response":
        return False
    if route.WhichOneof("action") != "route" or route.route.WhichOneof("cluster_specifier") != "cluster":
        raise AssertionError(f"where the route {route.name!r} leads is not said by a cluster's name")
    cluster: str = route.route.cluster
    return cluster.startswith(TARGET_PREFIX)


def _asks_authz(route: Route) -> bool:
    # On everywhere, unless a route says otherwise.
    own = ExtAuthzPerRoute()
    packed = route.typed_per_filter_config
    known = AUTHZ_FILTER in packed and packed[AUTHZ_FILTER].Unpack(own)
    return bool(known) and own.WhichOneof("override") == "check_settings"


def _asks_masker(route: Route) -> bool:
    # Off, unless a route says how: see the listener.
    own = ExtProcPerRoute()
    packed = route.typed_per_filter_config
    known = MASKER_FILTER in packed and packed[MASKER_FILTER].Unpack(own)
    return bool(known) and own.WhichOneof("override") == "overrides"
