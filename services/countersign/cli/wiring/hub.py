"""Wires the hub: the one door for all targets."""

from __future__ import annotations

from countersign.cli.wiring import serving
from countersign.cli.wiring.revoked import revocations
from countersign.cli.wiring.watched import Watched
from countersign.hub.part import HubPart
from countersign.runtime.parent import open_many_files
from countersign.runtime.settings import ServiceSettings


def run(settings: ServiceSettings) -> None:
    """Serve the hub until told to stop."""
    watched = Watched(settings, ())
    # A stream at the door has one for each target besides.
    open_many_files()
    part = HubPart(
        settings.listen_http,
        settings.inner,
        key=settings.sealing_key,
        config=lambda: watched.current,
        revocations=revocations(settings, lambda: watched.current),
    )
    serving.run("hub", settings, watched.current, part, watched.report, watched.follow)
