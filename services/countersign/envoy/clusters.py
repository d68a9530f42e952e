"""Where Envoy finds targets and our own services."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import urlsplit

import certifi
from envoy.config.cluster.v3.circuit_breaker_pb2 import CircuitBreakers
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.address_pb2 import Address
from envoy.config.core.v3.base_pb2 import DataSource, HeaderValue, TransportSocket
from envoy.config.core.v3.grpc_service_pb2 import GrpcService
from envoy.config.core.v3.protocol_pb2 import Http1ProtocolOptions, Http2ProtocolOptions
from envoy.config.endpoint.v3.endpoint_components_pb2 import Endpoint, LbEndpoint, LocalityLbEndpoints
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import HttpFilter
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import CertificateValidationContext, SubjectAltNameMatcher
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import CommonTlsContext, UpstreamTlsContext
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions
from envoy.type.matcher.v3.string_pb2 import StringMatcher
from google.protobuf.any import pack
from google.protobuf.wrappers_pb2 import UInt32Value

from countersign.config import Target
from countersign.envoy.limits import target_options
from countersign.envoy.wiring import address_of
from countersign.runtime.trust import SERVICE_HEADER

TARGET_PREFIX = "target_"
"""With which the names of targets' clusters begin, and of no other."""

_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_CONNECT_TIMEOUT = timedelta(seconds=5)
# Envoy's default of 1,024 would refuse the 1,025th open stream of a busy gateway.
_MANY = UInt32Value(value=65_536)
_Explicit = HttpProtocolOptions.ExplicitHttpConfig
_HTTP1 = HttpProtocolOptions(
    explicit_http_config=_Explicit(http_protocol_options=Http1ProtocolOptions()),
    common_http_protocol_options=target_options(),
)
_HTTP2 = HttpProtocolOptions(explicit_http_config=_Explicit(http2_protocol_options=Http2ProtocolOptions()))


def service_cluster(name: str, address: str, *, grpc: bool = True) -> Cluster:
    """Return the cluster of one of our services: of gRPC (HTTP/2), or of a page (HTTP/1.1)."""
    return Cluster(
        name=name,
        type=Cluster.DiscoveryType.STATIC if address.startswith("unix:") else Cluster.DiscoveryType.STRICT_DNS,
        connect_timeout=_CONNECT_TIMEOUT,
        load_assignment=_assignment(name, address_of(address)),
        circuit_breakers=_many_streams(),
        typed_extension_protocol_options={_HTTP_OPTIONS: pack(_HTTP2 if grpc else _HTTP1)},
    )


def grpc_service(cluster: str, timeout: timedelta, service_token: str) -> GrpcService:
    """Return how Envoy asks one of our gRPC services; ``service_token`` as in ``Wiring``."""
    return GrpcService(
        envoy_grpc=GrpcService.EnvoyGrpc(cluster_name=cluster),
        timeout=timeout,
        initial_metadata=[HeaderValue(key=SERVICE_HEADER, value=service_token)] if service_token else [],
    )


def target_cluster_name(target: Target) -> str:
    """Return the name of a target's cluster: another URL is another cluster.

    So a request that was routed, judged and given a credential before an edit of gateway.yaml never ends up at the URL
    that stands there after it.
    """
    return f"{TARGET_PREFIX}{target.name}_{hashlib.sha256(target.mcp_url.encode()).hexdigest()[:12]}"


def target_cluster(target: Target, filters: Sequence[HttpFilter] = (), *, bridge: str = "") -> Cluster:
    """Return the cluster of a target; ``filters``, whose last is the codec, see each attempt to send there.

    ``bridge`` is the address of what runs the targets on standard input and output.
    """
    if target.stdio is not None:
        return service_cluster(target_cluster_name(target), bridge, grpc=False)
    cluster = http_cluster(target_cluster_name(target), target.mcp_url)
    if filters:
        options = HttpProtocolOptions()
        options.CopyFrom(_HTTP1)
        options.http_filters.extend(filters)
        cluster.typed_extension_protocol_options[_HTTP_OPTIONS].Pack(options)
    return cluster


def http_cluster(name: str, address: str) -> Cluster:
    """Return the cluster of a URL's host: HTTP/1.1, with a verified certificate when the URL is https."""
    url = urlsplit(address)
    host = url.hostname or ""
    port = url.port or (443 if url.scheme == "https" else 80)
    literal = host.replace(".", "").isdigit() or ":" in host
    return Cluster(
        name=name,
        type=Cluster.DiscoveryType.STATIC if literal else Cluster.DiscoveryType.STRICT_DNS,
        dns_lookup_family=Cluster.DnsLookupFamily.V4_PREFERRED,
        connect_timeout=_CONNECT_TIMEOUT,
        load_assignment=_assignment(name, address_of(f"{host}:{port}")),
        circuit_breakers=_many_streams(),
        transport_socket=_tls(host) if url.scheme == "https" else None,
        typed_extension_protocol_options={_HTTP_OPTIONS: pack(_HTTP1)},
    )


def _assignment(name: str, address: Address) -> ClusterLoadAssignment:
    endpoint = LbEndpoint(endpoint=Endpoint(address=address))
    return ClusterLoadAssignment(cluster_name=name, endpoints=[LocalityLbEndpoints(lb_endpoints=[endpoint])])


def _many_streams() -> CircuitBreakers:
    return CircuitBreakers(
        thresholds=[CircuitBreakers.Thresholds(max_connections=_MANY, max_pending_requests=_MANY, max_requests=_MANY)]
    )


def _tls(host: str) -> TransportSocket:
    trusted = ssl.get_default_verify_paths().cafile or certifi.where()
    context = UpstreamTlsContext(
        sni=host,
        common_tls_context=CommonTlsContext(
            validation_context=CertificateValidationContext(
                trusted_ca=DataSource(filename=trusted),
                match_typed_subject_alt_names=[
                    SubjectAltNameMatcher(san_type=SubjectAltNameMatcher.SanType.DNS, matcher=StringMatcher(exact=host))
                ],
            )
        ),
    )
    return TransportSocket(name="envoy.transport_sockets.tls", typed_config=pack(context))
