"""The files that Envoy is started with, and those that it watches."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from envoy.config.bootstrap.v3.bootstrap_pb2 import Admin, Bootstrap
from envoy.config.core.v3.base_pb2 import Node
from envoy.config.core.v3.config_source_pb2 import ConfigSource, PathConfigSource
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryResponse
from google.protobuf.any import pack
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message

from countersign.config import GatewayConfig
from countersign.envoy.clusters import grpc_service, http_cluster, service_cluster, target_cluster
from countersign.envoy.limits import overload_manager
from countersign.envoy.listener import inner_listener, listener
from countersign.envoy.renewal import RENEWAL_TIMEOUT_S, renewal_filters
from countersign.envoy.routes import inner_routes, renewable, routes
from countersign.envoy.wiring import (
    APPROVER_CLUSTER,
    AUTHZ_CLUSTER,
    HUB_CLUSTER,
    MASKER_CLUSTER,
    OTLP_CLUSTER,
    PAGE_CLUSTER,
    PORTAL_CLUSTER,
    RECORDER_CLUSTER,
    Wiring,
    address_of,
)


@dataclass(frozen=True, slots=True)
class EnvoyFiles:
    """Where Envoy's files are: ``bootstrap`` is read once, the others are watched.

    ``inner_routes`` are those of the listener that serves the hub alone.
    """

    bootstrap: Path
    routes: Path
    clusters: Path
    inner_routes: Path

    @classmethod
    def below(cls, directory: Path) -> EnvoyFiles:
        """Return the usual names below ``directory``, which is made when missing."""
        directory.mkdir(parents=True, exist_ok=True)
        names = ("bootstrap.json", "routes.json", "clusters.json", "inner-routes.json")
        return cls(*(directory / name for name in names))


def write_bootstrap(config: GatewayConfig, wiring: Wiring, files: EnvoyFiles) -> None:
    """Write the file to start Envoy with (``envoy -c``). Also needs ``write_dynamic`` before the start."""
    services = [
        service_cluster(AUTHZ_CLUSTER, wiring.authz),
        service_cluster(MASKER_CLUSTER, wiring.masker),
        service_cluster(RECORDER_CLUSTER, wiring.recorder),
    ]
    if wiring.approver:
        services.append(service_cluster(APPROVER_CLUSTER, wiring.approver))
    if wiring.approver_http:
        services.append(service_cluster(PAGE_CLUSTER, wiring.approver_http, grpc=False))
    if wiring.portal_http:
        services.append(service_cluster(PORTAL_CLUSTER, wiring.portal_http, grpc=False))
    if wiring.hub_http:
        services.append(service_cluster(HUB_CLUSTER, wiring.hub_http, grpc=False))
    if config.otlp_endpoint:
        services.append(http_cluster(OTLP_CLUSTER, config.otlp_endpoint))
    bootstrap = Bootstrap(
        node=Node(id="countersign", cluster="countersign"),
        # Who operates a gateway that is full must still reach it.
        admin=Admin(address=address_of(wiring.admin), ignore_global_conn_limit=True),
        overload_manager=overload_manager(config.limits),
        static_resources=Bootstrap.StaticResources(
            listeners=[
                listener(config, wiring, files.routes),
                *([inner_listener(config, wiring, files.inner_routes)] if wiring.inner else ()),
            ],
            clusters=services,
        ),
        dynamic_resources=Bootstrap.DynamicResources(
            cds_config=ConfigSource(path_config_source=PathConfigSource(path=str(files.clusters)))
        ),
    )
    _replace(files.bootstrap, bootstrap)


def write_dynamic(config: GatewayConfig, wiring: Wiring, files: EnvoyFiles) -> None:
    """Write what follows gateway.yaml while Envoy runs: first the clusters, then the routes that use them."""
    authz = grpc_service(AUTHZ_CLUSTER, timedelta(seconds=RENEWAL_TIMEOUT_S), wiring.service_token)
    clusters = [
        target_cluster(target, renewal_filters(authz) if renewable(target) else (), bridge=wiring.bridge_http)
        for target in config.targets.values()
        if target.stdio is None or wiring.bridge_http
    ]
    _replace(files.clusters, _discovery(config.version, clusters))
    _replace(files.inner_routes, _discovery(config.version, [inner_routes(config, wiring)]))
    _replace(files.routes, _discovery(config.version, [routes(config, wiring)]))


def _discovery(version: str, resources: Sequence[Message]) -> Message:
    response: Message = DiscoveryResponse(version_info=version, resources=[pack(resource) for resource in resources])
    return response


def _replace(path: Path, content: Message) -> None:
    # In the names of Envoy's own documentation, in one order whatever the order of a map in memory.
    text = MessageToJson(content, preserving_proto_field_name=True, indent=1, sort_keys=True)
    # Envoy sees the move, never a half-written file.
    temporary = path.with_suffix(".tmp")
    temporary.unlink(missing_ok=True)
    # A service token may be in it: for nobody but our own user from its first byte on.
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    temporary.replace(path)
