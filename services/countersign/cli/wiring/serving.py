"""What all services have in common when they begin to serve."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable

import uvloop

from countersign.config import ConfigRefused, GatewayConfig
from countersign.runtime import telemetry
from countersign.runtime.memory import give_back_large_blocks
from countersign.runtime.serving import Part, serve
from countersign.runtime.settings import ServiceSettings
from countersign.runtime.status import Report


def run(
    service: str,
    settings: ServiceSettings,
    config: GatewayConfig,
    part: Part,
    report: Callable[[], Report],
    *also: Callable[[], Awaitable[None]],
) -> None:
    """Serve ``part`` until told to stop; see :func:`countersign.runtime.serving.serve`."""
    flush = telemetry.configure_telemetry(service, config.otlp_endpoint)
    # What was loaded by now lives as long as the process: no collection needs to look at it again.
    gc.collect()
    gc.freeze()
    give_back_large_blocks()
    try:
        uvloop.run(serve(service, settings, part, report, *also))
    finally:
        flush()


def report_of(config: GatewayConfig, problem: ConfigRefused | None, warnings: tuple[str, ...] = ()) -> Report:
    """What a service with this version of gateway.yaml in force says of itself."""
    on_trial = config.candidate.version if config.candidate is not None else ""
    return Report(config.version, on_trial, problem, warnings)


def watch_refusals(problem: Callable[[], ConfigRefused | None]) -> None:
    """Export whether the newest edit of gateway.yaml is refused."""
    description = "1 while the newest edit of gateway.yaml is refused"
    telemetry.gauge("countersign.config.refused", description, lambda: int(problem() is not None))
