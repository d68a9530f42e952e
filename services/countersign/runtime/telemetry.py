"""Traces and metrics by OpenTelemetry, exported by OTLP when gateway.yaml names where to; else they cost nothing.

Attributes are names only: targets, methods, rules, labels, outcomes. No argument, body, token or error text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_PROPAGATOR = TraceContextTextMapPropagator()
_tracer = trace.get_tracer("countersign")
_meter = metrics.get_meter("countersign")
_tracing = False
_NO_SPAN = nullcontext(trace.INVALID_SPAN)

decisions = _meter.create_counter(
    "countersign.decisions", unit="{call}", description="Judged calls by outcome and rule"
)
findings = _meter.create_counter("countersign.findings", unit="{finding}", description="What masks found, by label")
check_seconds = _meter.create_histogram("countersign.check.duration", unit="s", description="Judging one request")
answer_seconds = _meter.create_histogram(
    "countersign.answer.duration", unit="s", description="From a request's arrival to its answer's release"
)
record_seconds = _meter.create_histogram(
    "countersign.record.duration", unit="s", description="From an event's making to its durability"
)
conflicts = _meter.create_counter(
    "countersign.recorder.conflicts",
    unit="{event}",
    description="Events refused because another one with their id is recorded",
)
dead_notifications = _meter.create_counter(
    "countersign.notifications.dead",
    unit="{notification}",
    description="Notifications of approvals given up, by channel",
)
log_stops = _meter.create_counter(
    "countersign.log.stops", unit="{stop}", description="Times that the log was found not to be whole"
)


def configure_telemetry(service: str, otlp_endpoint: str | None) -> Callable[[], None]:
    """Export to ``otlp_endpoint`` (OTLP over HTTP) if there is one; return what to call at the end to flush."""
    global _tracing
    if otlp_endpoint is None:
        return lambda: None
    # Slow to import, and most processes need none of it.
    from opentelemetry.exporter.otlp.json.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": f"countersign-{service}"})
    tracer_provider = TracerProvider(resource=resource)
    tracer_provider.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{otlp_endpoint}/v1/traces"), schedule_delay_millis=1000)
    )
    trace.set_tracer_provider(tracer_provider)
    reader = PeriodicExportingMetricReader(
        OTLPMetricExporter(endpoint=f"{otlp_endpoint}/v1/metrics"), export_interval_millis=10_000
    )
    meter_provider = MeterProvider(resource=resource, metric_readers=[reader])
    metrics.set_meter_provider(meter_provider)
    _tracing = True

    def flush() -> None:
        tracer_provider.shutdown()
        meter_provider.shutdown(timeout_millis=2000)

    return flush


def span(
    name: str, traceparent: str, attributes: Mapping[str, str] | None = None
) -> AbstractContextManager[trace.Span]:
    """Run the block in a span below the W3C ``traceparent`` (a root span when that is empty).

    Errors do not enter the span: their text may quote a body.
    """
    return _span(name, traceparent, attributes) if _tracing else _NO_SPAN


@contextmanager
def _span(name: str, traceparent: str, attributes: Mapping[str, str] | None) -> Iterator[trace.Span]:
    with _tracer.start_as_current_span(
        name,
        context=_context(traceparent),
        kind=trace.SpanKind.SERVER,
        attributes=dict(attributes or {}),
        record_exception=False,
        set_status_on_exception=False,
    ) as started:
        yield started


def span_of_past(name: str, traceparent: str, start_ns: int, end_ns: int) -> None:
    """Add a span for work that is over, below ``traceparent``; nothing when the call is not traced."""
    if not _tracing or not traceparent:
        return
    past = _tracer.start_span(name, context=_context(traceparent), start_time=start_ns)
    past.end(end_time=end_ns)


def traceparent_of(metadata: Iterable[tuple[str, str | bytes]] | None) -> str:
    """Return the W3C ``traceparent`` of a gRPC call's metadata; empty when there is none."""
    for key, value in metadata or ():
        if key == "traceparent" and isinstance(value, str):
            return value
    return ""


def gauge(name: str, description: str, read: Callable[[], int]) -> None:
    """Export what ``read`` returns, whenever metrics are collected."""

    def observe(_options: CallbackOptions) -> Iterable[Observation]:
        return [Observation(read())]

    _meter.create_observable_gauge(name, [observe], description=description)


def _context(traceparent: str) -> Context | None:
    carrier: dict[str, Any] = {"traceparent": traceparent}
    return _PROPAGATOR.extract(carrier) if traceparent else None
