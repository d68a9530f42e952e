"""Wires ext_authz."""

from __future__ import annotations

from countersign.authz.part import AuthzPart
from countersign.cli.wiring import calls, serving
from countersign.cli.wiring.recording import recorder_client, token_for
from countersign.cli.wiring.revoked import revocations
from countersign.config import SecretUse
from countersign.runtime.approvals import ApproverClient
from countersign.runtime.sealing import Sealer
from countersign.runtime.settings import ServiceSettings
from countersign.runtime.usage import UsageView


def run(settings: ServiceSettings) -> None:
    """Serve ext_authz until told to stop."""
    rulebook = calls.rulebook(settings, {SecretUse.TARGETS})
    recorder = recorder_client(settings, rulebook.current.config)
    usage = UsageView(settings.recorder, service_token=token_for(settings.recorder, settings))
    sealer, vault = Sealer(settings.sealing_key), calls.vault(settings)
    approver = ApproverClient(settings.approver, service_token=token_for(settings.approver, settings))
    part = AuthzPart(
        rulebook,
        recorder,
        calls.pinned_tools(settings),
        usage,
        sealer,
        vault,
        approver,
        revocations(settings, lambda: rulebook.current.config),
        calls.handles(settings),
        settings.sealing_key,
    )
    serving.run(
        "authz",
        settings,
        rulebook.current.config,
        part,
        lambda: serving.report_of(rulebook.current.config, rulebook.problem, part.warnings),
    )
