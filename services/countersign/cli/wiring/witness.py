"""Wires a witness."""

from __future__ import annotations

import time

import uvloop

from countersign.runtime.logs import configure_logs
from countersign.runtime.settings import WitnessSettings
from countersign.witness.part import WitnessPart


def run(settings: WitnessSettings) -> None:
    """Serve a witness until told to stop. Raises ``WitnessError``, ``CannotListen``."""
    configure_logs("witness", settings.log_level)
    part = WitnessPart(
        key_file=settings.key_file,
        logs_file=settings.logs_file,
        state=settings.state,
        listen=settings.listen,
        tls=settings.tls,
        clock_s=lambda: int(time.time()),
    )
    uvloop.run(part.run())
