"""Wires the recorder."""

from __future__ import annotations

from countersign.cli.wiring import serving
from countersign.cli.wiring.watched import Watched
from countersign.config import SecretUse
from countersign.recorder import RecorderPart
from countersign.runtime import telemetry
from countersign.runtime.sealing import Sealer
from countersign.runtime.settings import ServiceSettings


def run(settings: ServiceSettings) -> None:
    """Serve the recorder until told to stop."""
    watched = Watched(settings, {SecretUse.POSTGRES})
    part = RecorderPart(
        watched.dsn,
        sealer=Sealer(settings.sealing_key),
        is_auditor=watched.is_auditor,
        is_operator=watched.is_operator,
        is_configured=lambda target: target in watched.current.targets,
    )
    telemetry.gauge("countersign.recorder.queue", "Events held and not yet durable", lambda: part.queue_depth)
    serving.run("recorder", settings, watched.current, part, watched.report, watched.follow)
