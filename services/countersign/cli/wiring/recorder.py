"""Wires the recorder."""

from __future__ import annotations

from dataclasses import replace

from countersign.cli.wiring import serving
from countersign.cli.wiring.watched import Watched
from countersign.config import GatewayConfig, SecretUse
from countersign.recorder import RecorderPart
from countersign.recorder.log.errors import BadLogKeys, StateUnusable
from countersign.recorder.log.identity import LogIdentity, log_identity
from countersign.recorder.log.state import StateFile
from countersign.recorder.witnesses import Witnesses
from countersign.runtime import telemetry
from countersign.runtime.sealing import Sealer
from countersign.runtime.settings import ServiceSettings, SettingsError
from countersign.runtime.status import Report


def run(settings: ServiceSettings) -> None:
    """Serve the recorder until told to stop."""
    log = _log(settings)
    watched = Watched(settings, {SecretUse.POSTGRES})
    part = RecorderPart(
        watched.dsn,
        sealer=Sealer(settings.sealing_key),
        log=log,
        is_auditor=watched.is_auditor,
        is_operator=watched.is_operator,
        is_configured=lambda target: target in watched.current.targets,
        recording=lambda: watched.current.recording,
        revoking=lambda: watched.current.revocation,
        issuers=lambda: _issuers(watched.current),
        portal=lambda: watched.current.own_issuer,
        cosigner=Witnesses(lambda: watched.current.recording),
    )
    telemetry.gauge("countersign.recorder.queue", "Events held and not yet durable", lambda: part.queue_depth)
    telemetry.gauge("countersign.log.size", "Events in the log's tree", lambda: part.log.integrated_size)
    telemetry.gauge("countersign.log.published", "Events that a checkpoint shows", lambda: part.log.published_size)
    telemetry.gauge("countersign.log.lag_s", "Seconds for which an event waits to be shown", lambda: part.log.lag_s)
    serving.run("recorder", settings, watched.current, part, lambda: _report(watched, part), watched.follow)


def _issuers(config: GatewayConfig) -> list[str]:
    providers = () if config.portal is None else config.portal.saml
    return [*(one.issuer for one in config.issuers), *(one.entity_id for one in providers)]


def _log(settings: ServiceSettings) -> LogIdentity:
    if settings.log is None:
        raise SettingsError("the recorder needs the settings of its log")
    try:
        StateFile(settings.log.state).ready()
        return log_identity(settings.log.keys, settings.log.state)
    except BadLogKeys as error:
        raise SettingsError(f"{settings.log.keys_from}: {error}") from None
    except StateUnusable as error:
        raise SettingsError(f"COUNTERSIGN_LOG_STATE: {error}") from None


def _report(watched: Watched, part: RecorderPart) -> Report:
    return replace(watched.report(), log=part.log.told())
