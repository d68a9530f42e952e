"""Wires each service from its settings and runs it. Imported only by the process that serves."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Collection

import uvloop

from countersign.config import ConfigWatcher, GatewayConfig, SecretUse
from countersign.model.principal import Principal
from countersign.runtime import telemetry
from countersign.runtime.cache import private_cache
from countersign.runtime.logs import configure_logs
from countersign.runtime.pins import PinnedTools
from countersign.runtime.recording import Recorder
from countersign.runtime.rulebook import POLL_S, Rulebook
from countersign.runtime.sealing import Sealer, hash_key, service_token
from countersign.runtime.serving import Part, serve
from countersign.runtime.settings import ServiceSettings, SettingsError
from countersign.runtime.status import Report
from countersign.runtime.tokens import TokenVault
from countersign.runtime.trust import is_private
from countersign.runtime.usage import UsageView

_REFUSED = "1 while the newest edit of gateway.yaml is refused"
_QUEUE_BYTES = 128 * 1024 * 1024


def run_authz(settings: ServiceSettings) -> None:
    """Serve ext_authz until told to stop."""
    from countersign.authz.part import AuthzPart

    rulebook = _begin("authz", settings, {SecretUse.TARGETS})
    recorder = _recorder_client(settings, rulebook.current.config)
    usage = UsageView(settings.recorder, service_token=_token_for_recorder(settings))
    sealer, vault = Sealer(settings.sealing_key), _vault(settings)
    part = AuthzPart(rulebook, recorder, _pinned_tools(settings), usage, sealer, vault)
    _serve("authz", settings, rulebook.current.config, part, lambda: _report(rulebook, part.warnings))


def run_masker(settings: ServiceSettings) -> None:
    """Serve ext_proc until told to stop."""
    from countersign.masker.part import MaskerPart

    rulebook = _begin("masker", settings, frozenset())
    recorder = _recorder_client(settings, rulebook.current.config)
    part = MaskerPart(rulebook, recorder, _pinned_tools(settings), Sealer(settings.sealing_key), _vault(settings))
    _serve("masker", settings, rulebook.current.config, part, lambda: _report(rulebook))


def run_recorder(settings: ServiceSettings) -> None:
    """Serve the recorder until told to stop."""
    from countersign.recorder import RecorderPart

    configure_logs("recorder", settings.log_level)
    # Of gateway.yaml it needs neither rules nor masks compiled: who may read, names of targets, where the database is.
    watcher = ConfigWatcher(settings.config, settings.environment, reads={SecretUse.POSTGRES})
    dsn = watcher.current.postgres_dsn
    text = dsn.reveal() if dsn is not None else settings.postgres_dsn
    if not text:
        raise SettingsError("no database: set COUNTERSIGN_POSTGRES_DSN, or recording.postgres in gateway.yaml")

    def is_auditor(principal: Principal) -> bool:
        return bool(set(principal.groups) & set(watcher.current.auditors))

    def is_operator(principal: Principal) -> bool:
        return bool(set(principal.groups) & set(watcher.current.operators))

    async def follow() -> None:
        while True:
            await asyncio.sleep(POLL_S)
            await asyncio.to_thread(watcher.poll)

    def report() -> Report:
        return Report(watcher.current.version, _on_trial(watcher.current), watcher.problem)

    part = RecorderPart(
        text,
        sealer=Sealer(settings.sealing_key),
        is_auditor=is_auditor,
        is_operator=is_operator,
        is_configured=lambda target: target in watcher.current.targets,
    )
    telemetry.gauge("countersign.recorder.queue", "Events held and not yet durable", lambda: part.queue_depth)
    telemetry.gauge("countersign.config.refused", _REFUSED, lambda: int(watcher.problem is not None))
    _serve("recorder", settings, watcher.current, part, report, follow)


def _begin(service: str, settings: ServiceSettings, reads: Collection[SecretUse]) -> Rulebook:
    configure_logs(service, settings.log_level)
    rulebook = Rulebook(
        settings.config,
        settings.environment,
        private_cache(settings.cache_dir),
        reads=reads,
        hash_key=hash_key(settings.sealing_key),
    )
    telemetry.gauge("countersign.config.refused", _REFUSED, lambda: int(rulebook.problem is not None))
    return rulebook


def _vault(settings: ServiceSettings) -> TokenVault:
    return TokenVault(settings.recorder, settings.sealing_key, service_token=_token_for_recorder(settings))


def _report(rulebook: Rulebook, warnings: tuple[str, ...] = ()) -> Report:
    config = rulebook.current.config
    return Report(config.version, _on_trial(config), rulebook.problem, warnings)


def _on_trial(config: GatewayConfig) -> str:
    return config.candidate.version if config.candidate is not None else ""


def _pinned_tools(settings: ServiceSettings) -> PinnedTools:
    return PinnedTools(settings.recorder, service_token=_token_for_recorder(settings))


def _token_for_recorder(settings: ServiceSettings) -> str:
    return "" if is_private(settings.recorder) else service_token(settings.sealing_key)


def _recorder_client(settings: ServiceSettings, config: GatewayConfig) -> Recorder:
    recorder = Recorder(
        settings.recorder,
        queue_events=config.limits.recorder_queue_events,
        queue_bytes=_QUEUE_BYTES,
        timeout_s=config.limits.record_timeout_s,
        service_token=_token_for_recorder(settings),
    )
    telemetry.gauge("countersign.record.queue", "Events sent or waiting to be", lambda: recorder.queue_depth)
    return recorder


def _serve(
    service: str,
    settings: ServiceSettings,
    config: GatewayConfig,
    part: Part,
    report: Callable[[], Report],
    *also: Callable[[], Awaitable[None]],
) -> None:
    flush = telemetry.configure_telemetry(service, config.otlp_endpoint)
    # What was loaded by now lives as long as the process: no collection needs to look at it again.
    gc.collect()
    gc.freeze()
    try:
        uvloop.run(serve(service, settings, part, report, *also))
    finally:
        flush()
