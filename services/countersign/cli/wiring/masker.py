"""Wires ext_proc."""

from __future__ import annotations

from countersign.cli.wiring import calls, serving
from countersign.cli.wiring.recording import recorder_client
from countersign.cli.wiring.revoked import revocations
from countersign.masker.part import MaskerPart
from countersign.runtime.sealing import Sealer
from countersign.runtime.settings import ServiceSettings


def run(settings: ServiceSettings) -> None:
    """Serve ext_proc until told to stop."""
    rulebook = calls.rulebook(settings, frozenset())
    recorder = recorder_client(settings, rulebook.current.config)
    sealer, vault = Sealer(settings.sealing_key), calls.vault(settings)
    revoked = revocations(settings, lambda: rulebook.current.config)
    part = MaskerPart(rulebook, recorder, calls.pinned_tools(settings), sealer, revoked, vault, calls.handles(settings))
    serving.run(
        "masker",
        settings,
        rulebook.current.config,
        part,
        lambda: serving.report_of(rulebook.current.config, rulebook.problem),
    )
