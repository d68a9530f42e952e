"""Where Envoy finds targets and our own services."""

from __future__ import annotations

import hashlib
import ssl
from datetime import timedelta
from urllib.parse import urlsplit

import certifi
from envoy_data_plane.envoy.config.cluster.v3 import (
    CircuitBreakers,
    CircuitBreakersThresholds,
    Cluster,
    ClusterDiscoveryType,
    ClusterDnsLookupFamily,
)
from envoy_data_plane.envoy.config.core.v3 import (
    Address,
    DataSource,
    Http1ProtocolOptions,
    Http2ProtocolOptions,
    TransportSocket,
)
from envoy_data_plane.envoy.config.endpoint.v3 import (
    ClusterLoadAssignment,
    Endpoint,
    LbEndpoint,
    LocalityLbEndpoints,
)
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    CertificateValidationContext,
    CommonTlsContext,
    SubjectAltNameMatcher,
    SubjectAltNameMatcherSanType,
    UpstreamTlsContext,
)
from envoy_data_plane.envoy.extensions.upstreams.http.v3 import (
    HttpProtocolOptions,
    HttpProtocolOptionsExplicitHttpConfig,
)
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher
from envoy_data_plane.google.protobuf import Any

from countersign.config import Target
from countersign.envoy.wiring import address_of

_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_CONNECT_TIMEOUT = timedelta(seconds=5)
# Envoy's default of 1,024 would refuse the 1,025th open stream of a busy gateway.
_MANY = 65_536


def service_cluster(name: str, address: str) -> Cluster:
    """Return the cluster of one of our gRPC services (HTTP/2)."""
    return Cluster(
        name=name,
        type=ClusterDiscoveryType.STATIC if address.startswith("unix:") else ClusterDiscoveryType.STRICT_DNS,
        connect_timeout=_CONNECT_TIMEOUT,
        load_assignment=_assignment(name, address_of(address)),
        circuit_breakers=_many_streams(),
        typed_extension_protocol_options={
            _HTTP_OPTIONS: Any.pack(
                HttpProtocolOptions(
                    explicit_http_config=HttpProtocolOptionsExplicitHttpConfig(
                        http2_protocol_options=Http2ProtocolOptions()
                    )
                )
            )
        },
    )


def target_cluster_name(target: Target) -> str:
    """Return the name of a target's cluster: another URL is another cluster.

    So a request that was routed, judged and given a credential before an edit of gateway.yaml never ends up at the URL
    that stands there after it.
    """
    return f"target_{target.name}_{hashlib.sha256(target.mcp_url.encode()).hexdigest()[:12]}"


def target_cluster(target: Target) -> Cluster:
    """Return the cluster of a target."""
    return http_cluster(target_cluster_name(target), target.mcp_url)


def http_cluster(name: str, address: str) -> Cluster:
    """Return the cluster of a URL's host: HTTP/1.1, with a verified certificate when the URL is https."""
    url = urlsplit(address)
    host = url.hostname or ""
    port = url.port or (443 if url.scheme == "https" else 80)
    literal = host.replace(".", "").isdigit() or ":" in host
    return Cluster(
        name=name,
        type=ClusterDiscoveryType.STATIC if literal else ClusterDiscoveryType.STRICT_DNS,
        dns_lookup_family=ClusterDnsLookupFamily.V4_PREFERRED,
        connect_timeout=_CONNECT_TIMEOUT,
        load_assignment=_assignment(name, address_of(f"{host}:{port}")),
        circuit_breakers=_many_streams(),
        transport_socket=_tls(host) if url.scheme == "https" else None,
        typed_extension_protocol_options={
            _HTTP_OPTIONS: Any.pack(
                HttpProtocolOptions(
                    explicit_http_config=HttpProtocolOptionsExplicitHttpConfig(
                        http_protocol_options=Http1ProtocolOptions()
                    )
                )
            )
        },
    )


def _assignment(name: str, address: Address) -> ClusterLoadAssignment:
    endpoint = LbEndpoint(endpoint=Endpoint(address=address))
    return ClusterLoadAssignment(cluster_name=name, endpoints=[LocalityLbEndpoints(lb_endpoints=[endpoint])])


def _many_streams() -> CircuitBreakers:
    return CircuitBreakers(
        thresholds=[CircuitBreakersThresholds(max_connections=_MANY, max_pending_requests=_MANY, max_requests=_MANY)]
    )


def _tls(host: str) -> TransportSocket:
    trusted = ssl.get_default_verify_paths().cafile or certifi.where()
    context = UpstreamTlsContext(
        sni=host,
        common_tls_context=CommonTlsContext(
            validation_context=CertificateValidationContext(
                trusted_ca=DataSource(filename=trusted),
                match_typed_subject_alt_names=[
                    SubjectAltNameMatcher(san_type=SubjectAltNameMatcherSanType.DNS, matcher=StringMatcher(exact=host))
                ],
            )
        ),
    )
    return TransportSocket(name="envoy.transport_sockets.tls", typed_config=Any.pack(context))
