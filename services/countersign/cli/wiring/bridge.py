"""Wires the bridge to targets that speak on standard input and output."""

from __future__ import annotations

from countersign.bridge.part import BridgePart
from countersign.cli.wiring import serving
from countersign.cli.wiring.revoked import revocations
from countersign.cli.wiring.watched import Watched
from countersign.config import SecretUse
from countersign.runtime import telemetry
from countersign.runtime.settings import ServiceSettings


def run(settings: ServiceSettings) -> None:
    """Serve the bridge until told to stop."""
    watched = Watched(settings, {SecretUse.BRIDGE})
    part = BridgePart(
        settings.listen_http,
        key=settings.sealing_key,
        config=lambda: watched.current,
        environment=settings.environment,
        revocations=revocations(settings, lambda: watched.current),
    )
    telemetry.gauge("countersign.bridge.sessions", "Sessions that are open", lambda: len(part.sessions))
    telemetry.gauge("countersign.bridge.processes", "Servers that run", lambda: part.sessions.processes)
    serving.run("bridge", settings, watched.current, part, watched.report, watched.follow)
