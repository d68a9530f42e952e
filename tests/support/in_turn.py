"""One gateway for all files of tests that need nothing but a gateway.yaml of their own: they take it in turn.

To start one costs some seconds, to edit its file less than two. Each file brings its issuers, so that what those of
before it revoked or used up is nobody's here; what they recorded is still there, and is for tests to leave aside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import grpc
import httpx

from countersign.api.access.v1 import status_pb2, status_pb2_grpc
from countersign.config.version import version_of
from tests.support.collector import Collector, running_collector
from tests.support.gateway import Gateway, Setup, Upstream, running_gateway, wait_until

TAKEN_S = 30.0
_ALWAYS = ("recorder", "authz", "masker")


@dataclass
class InTurn:
    """A gateway whose spans go to ``collector``; ``once_stopped`` are checks of what it did until its end."""

    gateway: Gateway
    collector: Collector
    once_stopped: list[Callable[[], None]] = field(default_factory=list)

    def take(self, setup: Setup) -> Gateway:
        """Have the gateway be as this says, but for its telemetry; return once every part follows it."""
        gateway = self.gateway
        gateway.reconfigure(replace(setup, extra={**setup.extra, **_telemetry(self.collector)}))
        version = version_of(gateway.config.read_bytes())
        approver = ("approver",) if any("approve" in rule for rule in setup.rules) else ()
        portal = ("portal",) if "portal" in setup.extra else ()
        hub = ("hub",) if setup.hub else ()
        bridge = () if all(isinstance(each.mcp, str) for each in setup.targets.values()) else ("bridge",)
        for part in (*_ALWAYS, *approver, *portal, *hub, *bridge):
            what = partial(AssertionError, f"{part} does not follow an edit", gateway.output)
            wait_until(partial(_follows, gateway, part, version), TAKEN_S, what)
        wait_until(partial(_routes, gateway, version), TAKEN_S, lambda: AssertionError("Envoy does not follow an edit"))
        return gateway


@contextmanager
def running_in_turn() -> Iterator[InTurn]:
    """Run it: at first as one without a portal, whose only target is not there."""
    with running_collector() as collector:
        # Envoy does not follow edits of these two.
        extra = {**_telemetry(collector), "approvals": {"hold": "60s"}}
        nobody = Setup("http://127.0.0.1:9", {"orders": Upstream("http://127.0.0.1:9/mcp")}, extra=extra)
        with running_gateway(nobody) as gateway:
            shared = InTurn(gateway, collector)
            yield shared
        # Everything that was left was exported when the services stopped.
        for check in shared.once_stopped:
            check()


def _telemetry(collector: Collector) -> dict[str, object]:
    return {"telemetry": {"otlp": collector.endpoint}}


def _follows(gateway: Gateway, part: str, version: str) -> bool:
    with grpc.insecure_channel(f"unix:{gateway.state}/run/{part}.sock") as channel:
        try:
            told = status_pb2_grpc.StatusServiceStub(channel).GetStatus(status_pb2.GetStatusRequest(), timeout=10)
        except grpc.RpcError:  # it is only just begun
            return False
    return bool(told.policy_version == version and told.available)


def _routes(gateway: Gateway, version: str) -> bool:
    """Whether Envoy has its targets, and the routes of both its listeners, of this version."""
    transport = httpx.HTTPTransport(uds=f"{gateway.state}/run/envoy-admin.sock")
    with httpx.Client(transport=transport, base_url="http://envoy") as admin:
        told = admin.get("/stats", params={"type": "TextReadouts", "filter": "version_text"}).text
    return told.count(f'"{version}"') == 3
