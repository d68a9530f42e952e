"""An OTLP/HTTP collector that keeps what it is sent: JSON from the services, protobuf from Envoy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from countersign.demo.serving import ThreadedServer


@dataclass(slots=True)
class Collector:
    """Everything that was exported to ``endpoint``."""

    endpoint: str = ""
    received: list[str] = field(default_factory=list)
    """Each export as text: for canaries."""
    spans: set[tuple[str, str]] = field(default_factory=set)
    """Service and trace id, in hex, of each span."""
    metrics: set[str] = field(default_factory=set)
    """The names of all metrics."""
    logs: list[dict[str, Any]] = field(default_factory=list)
    """Every log record of exports that were taken whole, in order."""
    refuses_logs: bool = False
    """Whether one record of each export of logs is rejected (partial success)."""
    refused_exports: int = 0
    wants_token: str = ""
    """What exports of logs must bear; any will do when this is empty."""

    async def take_traces(self, request: Request) -> Response:
        """Take an export of spans."""
        body = await request.body()
        if request.headers["content-type"] == "application/json":
            self._take_json(json.loads(body))
            return JSONResponse({})
        message = trace_service_pb2.ExportTraceServiceRequest.FromString(body)
        self.received.append(str(message))
        for resource in message.resource_spans:
            names = {one.key: one.value.string_value for one in resource.resource.attributes}
            # scope_spans by its former name: the messages that are installed are older (docs/adr/0006).
            for scope in resource.instrumentation_library_spans:
                self.spans |= {(names["service.name"], span.trace_id.hex()) for span in scope.spans}
        return Response(b"", media_type="application/x-protobuf")

    async def take_metrics(self, request: Request) -> Response:
        """Take an export of metrics."""
        exported = json.loads(await request.body())
        self.received.append(json.dumps(exported))
        self.metrics |= {
            metric["name"]
            for resource in exported["resourceMetrics"]
            for scope in resource["scopeMetrics"]
            for metric in scope["metrics"]
        }
        return JSONResponse({})

    async def take_logs(self, request: Request) -> Response:
        """Take an export of logs, or all of it but one."""
        if self.wants_token and request.headers.get("authorization") != f"Bearer {self.wants_token}":
            return Response(status_code=401)
        exported = json.loads(await request.body())
        self.received.append(json.dumps(exported))
        if self.refuses_logs:
            self.refused_exports += 1
            return JSONResponse({"partialSuccess": {"rejectedLogRecords": "1", "errorMessage": "one is odd"}})
        self.logs += [
            record
            for resource in exported["resourceLogs"]
            for scope in resource["scopeLogs"]
            for record in scope["logRecords"]
        ]
        return JSONResponse({"partialSuccess": {}})

    def _take_json(self, exported: dict[str, list[dict[str, Any]]]) -> None:
        self.received.append(json.dumps(exported))
        for resource in exported["resourceSpans"]:
            names = {one["key"]: one["value"].get("stringValue") for one in resource["resource"]["attributes"]}
            for scope in resource["scopeSpans"]:
                self.spans |= {(names["service.name"], span["traceId"].lower()) for span in scope["spans"]}


@contextmanager
def running_collector() -> Iterator[Collector]:
    """A collector at a free port of 127.0.0.1."""
    collector = Collector()
    routes = [
        Route("/v1/traces", collector.take_traces, methods=["POST"]),
        Route("/v1/metrics", collector.take_metrics, methods=["POST"]),
        Route("/v1/logs", collector.take_logs, methods=["POST"]),
    ]
    with ThreadedServer(Starlette(routes=routes)) as server:
        collector.endpoint = server.url
        yield collector
