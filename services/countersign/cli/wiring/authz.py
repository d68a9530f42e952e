"""Wires ext_authz."""

from __future__ import annotations

from countersign.authz.part import AuthzPart
from countersign.cli.wiring import calls, serving
from countersign.config import SecretUse
from countersign.runtime.sealing import Sealer
from countersign.runtime.settings import ServiceSettings
from countersign.runtime.usage import UsageView


def run(settings: ServiceSettings) -> None:
    """Serve ext_authz until told to stop."""
    rulebook = calls.rulebook(settings, {SecretUse.TARGETS})
    recorder = calls.recorder_client(settings, rulebook.current.config)
    usage = UsageView(settings.recorder, service_token=calls.token_for_recorder(settings))
    sealer, vault = Sealer(settings.sealing_key), calls.vault(settings)
    part = AuthzPart(rulebook, recorder, calls.pinned_tools(settings), usage, sealer, vault)
    serving.run(
        "authz",
        settings,
        rulebook.current.config,
        part,
        lambda: serving.report_of(rulebook.current.config, rulebook.problem, part.warnings),
    )
