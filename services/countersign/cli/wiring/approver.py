"""Wires the approver."""

from __future__ import annotations

from countersign.approver.part import ApproverPart
from countersign.cli.wiring import serving
from countersign.cli.wiring.recording import recorder_client
from countersign.cli.wiring.watched import Watched
from countersign.config import SecretUse
from countersign.runtime.sealing import Sealer
from countersign.runtime.settings import ServiceSettings


def run(settings: ServiceSettings) -> None:
    """Serve the approver until told to stop."""
    watched = Watched(settings, {SecretUse.POSTGRES, SecretUse.APPROVALS})
    part = ApproverPart(
        watched.dsn,
        recorder=recorder_client(settings, watched.current),
        sealer=Sealer(settings.sealing_key),
        is_auditor=watched.is_auditor,
        is_operator=watched.is_operator,
    )
    serving.run("approver", settings, watched.current, part, watched.report, watched.follow)
