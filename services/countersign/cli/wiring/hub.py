"""Wires the hub: the one door for all targets."""

from __future__ import annotations

import asyncio
import resource

from countersign.cli.wiring import serving
from countersign.config import POLL_S, ConfigWatcher
from countersign.hub.part import HubPart
from countersign.runtime.settings import ServiceSettings


def run(settings: ServiceSettings) -> None:
    """Serve the hub until told to stop."""
    watcher = ConfigWatcher(settings.config, settings.environment, reads=frozenset())
    serving.watch_refusals(lambda: watcher.problem)

    async def follow() -> None:
        while True:
            await asyncio.sleep(POLL_S)
            await asyncio.to_thread(watcher.poll)

    # A stream at the door has one for each target besides.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    part = HubPart(settings.listen_http, settings.inner, key=settings.sealing_key, config=lambda: watcher.current)
    report = lambda: serving.report_of(watcher.current, watcher.problem)  # noqa: E731
    serving.run("hub", settings, watcher.current, part, report, follow)
