"""The gateway of the matrix: all is allowed, masked and recorded; what differs is the gateway's doing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.matrix.peers import Peer
from tests.matrix.steps import Door
from tests.support.gateway import ISSUE_MASKS, Gateway, Setup
from tests.support.issuer import RunningIssuer

RULES: tuple[Mapping[str, object], ...] = (
    {"name": "everybody may all", "allow": {"groups": ["analysts"], "targets": ["*"]}, "mask": ["secrets", "pii"]},
)


def setup(issuer: str, peers: Mapping[str, Peer]) -> Setup:
    """Its gateway.yaml: all servers as targets."""
    return Setup(issuer, {name: peer.upstream() for name, peer in peers.items()}, RULES, ISSUE_MASKS)


def through(gateway: Gateway, issuer: RunningIssuer) -> Callable[[str], Door]:
    """How a server is reached through the gateway, by its name."""

    def door(server: str) -> Door:
        endpoint = gateway.endpoint(server)
        return Door(url=endpoint, token=issuer.token("alice", endpoint))

    return door
