"""Where the parts are, as Envoy must know them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from envoy.config.core.v3.address_pb2 import Address, Pipe, SocketAddress

AUTHZ_CLUSTER = "countersign_authz"
MASKER_CLUSTER = "countersign_masker"
RECORDER_CLUSTER = "countersign_recorder"
APPROVER_CLUSTER = "countersign_approver"
PAGE_CLUSTER = "countersign_approver_page"
PORTAL_CLUSTER = "countersign_portal"
HUB_CLUSTER = "countersign_hub"
OTLP_CLUSTER = "countersign_otlp"


@dataclass(frozen=True, slots=True)
class Wiring:
    """Addresses of gRPC services (``HOST:PORT`` or ``unix:/path``), Envoy's own, and where it logs accesses.

    ``approver``, ``approver_http``, its page, ``portal_http`` and ``hub_http`` are empty where there is none: then
    nothing is served in their place. ``inner`` is where Envoy listens to the hub alone, empty where there is no hub.
    Where ``bridge_http`` is empty, targets that the gateway runs itself answer 503.
    ``service_token`` is what services on TCP demand (``countersign.runtime.trust``); those on Unix sockets need none.
    """

    listen: str
    admin: str
    authz: str
    masker: str
    recorder: str
    access_log: Path
    approver: str = ""
    approver_http: str = ""
    portal_http: str = ""
    hub_http: str = ""
    bridge_http: str = ""
    inner: str = ""
    check_timeout_s: float = 10.0
    service_token: str = field(default="", repr=False)


def address_of(text: str) -> Address:
    """Return Envoy's form of ``HOST:PORT`` or ``unix:/path``. Raises ``ValueError`` when it is neither."""
    if text.startswith("unix:"):
        return Address(pipe=Pipe(path=text.removeprefix("unix:"), mode=0o600))
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"{text!r} is not HOST:PORT or unix:/path")
    return Address(socket_address=SocketAddress(address=host.strip("[]"), port_value=int(port)))
