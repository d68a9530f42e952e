"""A table in which any route would lead to a target past authz or masker is not written."""

from __future__ import annotations

import pytest
from envoy.config.route.v3.route_components_pb2 import Route, RouteAction, VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.http.ext_authz.v3.ext_authz_pb2 import CheckSettings, ExtAuthzPerRoute
from envoy.extensions.filters.http.ext_proc.v3.ext_proc_pb2 import ExtProcOverrides, ExtProcPerRoute
from google.protobuf.any import pack
from google.protobuf.message import Message

from countersign.envoy.guard import AUTHZ_FILTER, MASKER_FILTER, guarded

JUDGED = ExtAuthzPerRoute(check_settings=CheckSettings())
MASKED = ExtProcPerRoute(overrides=ExtProcOverrides())


def table(cluster: str, **filters: Message) -> RouteConfiguration:
    names = {"authz": AUTHZ_FILTER, "masker": MASKER_FILTER}
    route = Route(name="r", route=RouteAction(cluster=cluster))
    for name, own in filters.items():
        route.typed_per_filter_config[names[name]].CopyFrom(pack(own))
    return RouteConfiguration(virtual_hosts=[VirtualHost(name="h", domains=["*"], routes=[route])])


def test_a_route_through_both_is_written() -> None:
    assert guarded(table("target_x", authz=JUDGED, masker=MASKED)).virtual_hosts
    assert guarded(table("countersign_page")).virtual_hosts


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"authz": JUDGED},
        {"masker": MASKED},
        {"authz": JUDGED, "masker": ExtProcPerRoute(disabled=True)},
        {"authz": ExtAuthzPerRoute(disabled=True), "masker": MASKED},
        {"authz": MASKED, "masker": MASKED},
    ],
)
def test_a_route_past_either_is_not(filters: dict[str, Message]) -> None:
    with pytest.raises(AssertionError, match="past"):
        guarded(table("target_x", **filters))


def test_a_route_whose_end_depends_on_the_request_is_not() -> None:
    headed = RouteConfiguration(
        virtual_hosts=[VirtualHost(name="h", domains=["*"], routes=[Route(route=RouteAction(cluster_header="x"))])]
    )
    with pytest.raises(AssertionError, match="by a cluster's name"):
        guarded(headed)
