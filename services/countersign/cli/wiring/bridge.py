"""Wires the bridge to targets that speak on standard input and output."""

from __future__ import annotations

import asyncio

from countersign.bridge.part import BridgePart
from countersign.cli.wiring import serving
from countersign.cli.wiring.revoked import revocations
from countersign.config import POLL_S, ConfigWatcher, SecretUse
from countersign.runtime import telemetry
from countersign.runtime.settings import ServiceSettings


def run(settings: ServiceSettings) -> None:
    """Serve the bridge until told to stop."""
    watcher = ConfigWatcher(settings.config, settings.environment, reads={SecretUse.BRIDGE})
    serving.watch_refusals(lambda: watcher.problem)
    part = BridgePart(
        settings.listen_http,
        key=settings.sealing_key,
        config=lambda: watcher.current,
        environment=settings.environment,
        revocations=revocations(settings, lambda: watcher.current),
    )
    telemetry.gauge("countersign.bridge.sessions", "Sessions that are open", lambda: len(part.sessions))
    telemetry.gauge("countersign.bridge.processes", "Servers that run", lambda: part.sessions.processes)

    async def follow() -> None:
        while True:
            await asyncio.sleep(POLL_S)
            await asyncio.to_thread(watcher.poll)

    serving.run(
        "bridge", settings, watcher.current, part, lambda: serving.report_of(watcher.current, watcher.problem), follow
    )
