"""One trace from Envoy through every service to the target; metrics; and no value in either."""

from __future__ import annotations

from tests.support.clients import call, post
from tests.support.collector import running_collector
from tests.support.gateway import Setup, Upstream, running_gateway, wait_until
from tests.support.issuer import running_issuer
from tests.support.targets import answers, scripted_target, tool_text

PLANTED = "planted.person" + "@" + "example.org"
SERVICES = {"countersign-envoy", "countersign-authz", "countersign-masker", "countersign-recorder"}
METRICS = {"countersign.decisions", "countersign.findings", "countersign.check.duration", "countersign.record.queue"}
# Spans leave after a second, metrics when the services stop at the latest.
EXPORTED_S = 20.0


async def test_one_trace_spans_envoy_the_services_and_the_target_and_holds_no_value() -> None:
    script = answers(tool_text(f"write to {PLANTED}"))
    with running_collector() as collector, running_issuer() as issuer:
        async with scripted_target(script) as target:
            upstream = Upstream(target.url)
            setup = Setup(issuer.url, {"orders": upstream}, extra={"telemetry": {"otlp": collector.endpoint}})
            with running_gateway(setup) as gateway:
                token = issuer.token("alice", gateway.endpoint())
                answer = await post(gateway.endpoint(), token, call("query", {"sql": f"-- {PLANTED}"}))
                assert answer.status_code == 200
                assert PLANTED not in answer.text
                context = target.received[-1].header("traceparent")
                assert context is not None
                trace_id = context.split("-")[1]

                def reached() -> set[str]:
                    return {service for service, trace in list(collector.spans) if trace == trace_id}

                wait_until(lambda: reached() >= SERVICES, EXPORTED_S, lambda: AssertionError(f"only {reached()}"))
        # Everything that was left was exported when the services stopped.
        assert collector.metrics >= METRICS
        exported = "\n".join(collector.received)
        for planted in (PLANTED, token, upstream.credential):
            assert planted not in exported
