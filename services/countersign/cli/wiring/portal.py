"""Wires the portal: sign-in, its rooms, and the tokens that come of it."""

from __future__ import annotations

from countersign.cli.wiring import serving
from countersign.cli.wiring.revoked import revocations
from countersign.cli.wiring.watched import Watched
from countersign.config import SecretUse
from countersign.portal.hears.assembling import hears
from countersign.portal.part import PortalPart
from countersign.portal.saml.room import Saml
from countersign.runtime.settings import ServiceSettings


def run(settings: ServiceSettings) -> None:
    """Serve the portal until told to stop."""
    watched = Watched(settings, {SecretUse.POSTGRES, SecretUse.PORTAL})
    part = PortalPart(
        settings.listen_http,
        key=settings.sealing_key,
        config=lambda: watched.current,
        dsn=watched.dsn,
        recorder=settings.recorder,
        revocations=revocations(settings, lambda: watched.current),
        rooms=(Saml, hears),
    )
    serving.run("portal", settings, watched.current, part, watched.report, watched.follow)
