"""What was revoked, as the recorder tells the services that ask it."""

from __future__ import annotations

from collections.abc import Callable

from countersign.cli.wiring.recording import token_for
from countersign.config import GatewayConfig
from countersign.runtime import telemetry
from countersign.runtime.revocations import RevocationView
from countersign.runtime.settings import ServiceSettings


def revocations(settings: ServiceSettings, config: Callable[[], GatewayConfig]) -> RevocationView:
    """What is revoked now; ``config`` returns the version of gateway.yaml in force."""
    view = RevocationView(
        settings.recorder,
        service_token=token_for(settings.recorder, settings),
        revoking=lambda: config().revocation,
    )
    description = "1 while what was revoked is known, else nobody passes"
    telemetry.gauge("countersign.revocations.known", description, lambda: int(view.fresh))
    return view
