"""Wires the recorder."""

from __future__ import annotations

import asyncio

from countersign.cli.wiring import serving
from countersign.config import POLL_S, ConfigWatcher, SecretUse
from countersign.model.principal import Principal
from countersign.recorder import RecorderPart
from countersign.runtime import telemetry
from countersign.runtime.sealing import Sealer
from countersign.runtime.settings import ServiceSettings, SettingsError


def run(settings: ServiceSettings) -> None:
    """Serve the recorder until told to stop."""
    # Of gateway.yaml it needs neither rules nor masks compiled: who may read, names of targets, where the database is.
    watcher = ConfigWatcher(settings.config, settings.environment, reads={SecretUse.POSTGRES})
    dsn = watcher.current.postgres_dsn
    text = dsn.reveal() if dsn is not None else settings.postgres_dsn
    if not text:
        raise SettingsError("no database: set COUNTERSIGN_POSTGRES_DSN, or recording.postgres in gateway.yaml")

    def is_auditor(principal: Principal) -> bool:
        return bool(set(principal.groups) & set(watcher.current.auditors))

    def is_operator(principal: Principal) -> bool:
        return bool(set(principal.groups) & set(watcher.current.operators))

    async def follow() -> None:
        while True:
            await asyncio.sleep(POLL_S)
            await asyncio.to_thread(watcher.poll)

    part = RecorderPart(
        text,
        sealer=Sealer(settings.sealing_key),
        is_auditor=is_auditor,
        is_operator=is_operator,
        is_configured=lambda target: target in watcher.current.targets,
    )
    telemetry.gauge("countersign.recorder.queue", "Events held and not yet durable", lambda: part.queue_depth)
    serving.watch_refusals(lambda: watcher.problem)
    serving.run(
        "recorder",
        settings,
        watcher.current,
        part,
        lambda: serving.report_of(watcher.current, watcher.problem),
        follow,
    )
