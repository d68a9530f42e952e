"""What the services that every call passes, authz and masker, have in common."""

from __future__ import annotations

from collections.abc import Collection

from countersign.cli.wiring.serving import watch_refusals
from countersign.config import GatewayConfig, SecretUse
from countersign.runtime import telemetry
from countersign.runtime.pins import PinnedTools
from countersign.runtime.recording import Recorder
from countersign.runtime.rulebook import Rulebook
from countersign.runtime.sealing import hash_key, service_token
from countersign.runtime.settings import ServiceSettings
from countersign.runtime.tokens import TokenVault
from countersign.runtime.trust import is_private

_QUEUE_BYTES = 128 * 1024 * 1024


def rulebook(settings: ServiceSettings, reads: Collection[SecretUse]) -> Rulebook:
    """Load gateway.yaml, compiled. Raises ``ConfigRefused``."""
    loaded = Rulebook(
        settings.config,
        settings.environment,
        settings.cache_dir,
        reads=reads,
        hash_key=hash_key(settings.sealing_key),
    )
    watch_refusals(lambda: loaded.problem)
    return loaded


def recorder_client(settings: ServiceSettings, config: GatewayConfig) -> Recorder:
    """The recorder, for events."""
    recorder = Recorder(
        settings.recorder,
        queue_events=config.limits.recorder_queue_events,
        queue_bytes=_QUEUE_BYTES,
        timeout_s=config.limits.record_timeout_s,
        service_token=token_for_recorder(settings),
    )
    telemetry.gauge("countersign.record.queue", "Events sent or waiting to be", lambda: recorder.queue_depth)
    return recorder


def vault(settings: ServiceSettings) -> TokenVault:
    """The recorder, for tokens."""
    return TokenVault(settings.recorder, settings.sealing_key, service_token=token_for_recorder(settings))


def pinned_tools(settings: ServiceSettings) -> PinnedTools:
    """The recorder, for the tools' definitions."""
    return PinnedTools(settings.recorder, service_token=token_for_recorder(settings))


def token_for_recorder(settings: ServiceSettings) -> str:
    """What to show the recorder; empty where its socket is ours alone."""
    return "" if is_private(settings.recorder) else service_token(settings.sealing_key)
