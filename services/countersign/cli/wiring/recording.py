"""The recorder, as the services that hand events to it reach it."""

from __future__ import annotations

from countersign.config import GatewayConfig
from countersign.runtime import telemetry
from countersign.runtime.recording import Recorder
from countersign.runtime.sealing import service_token
from countersign.runtime.settings import ServiceSettings
from countersign.runtime.trust import is_private

_QUEUE_BYTES = 128 * 1024 * 1024


def recorder_client(settings: ServiceSettings, config: GatewayConfig) -> Recorder:
    """The recorder, for events."""
    recorder = Recorder(
        settings.recorder,
        queue_events=config.limits.recorder_queue_events,
        queue_bytes=_QUEUE_BYTES,
        timeout_s=config.limits.record_timeout_s,
        service_token=token_for(settings.recorder, settings),
    )
    telemetry.gauge("countersign.record.queue", "Events sent or waiting to be", lambda: recorder.queue_depth)
    return recorder


def token_for(address: str, settings: ServiceSettings) -> str:
    """What to show a service at this address; empty where its socket is ours alone."""
    return "" if is_private(address) else service_token(settings.sealing_key)
