"""What a caller writes into its URL and headers is in no span of Envoy's, nor in any log."""

from __future__ import annotations

from tests.support.clients import call, post
from tests.support.collector import running_collector
from tests.support.gateway import Setup, Upstream, running_gateway, wait_until
from tests.support.issuer import running_issuer
from tests.support.targets import answers, scripted_target, tool_text

PLANTED = "planted" + "-in-a-request"
EXPORTED_S = 20.0


async def test_no_span_and_no_log_holds_what_a_caller_wrote() -> None:
    with running_collector() as collector, running_issuer() as issuer:
        async with scripted_target(answers(tool_text("ok"))) as target:
            setup = Setup(
                issuer.url, {"orders": Upstream(target.url)}, extra={"telemetry": {"otlp": collector.endpoint}}
            )
            with running_gateway(setup) as gateway:
                token = issuer.token("alice", gateway.endpoint())
                headers = {"user-agent": PLANTED, "x-request-id": PLANTED}
                asked = await post(
                    f"{gateway.endpoint()}?access_token={PLANTED}", token, call("query"), headers=headers
                )
                assert asked.status_code == 400
                await post(f"{gateway.url}/elsewhere/{PLANTED}?token={PLANTED}", token, call("query"), headers=headers)
                assert (await post(gateway.endpoint(), token, call("query"), headers=headers)).status_code == 200

                def envoys_spans() -> int:
                    return len([service for service, _ in list(collector.spans) if service == "countersign-envoy"])

                wait_until(lambda: envoys_spans() >= 3, EXPORTED_S, lambda: AssertionError("no spans of Envoy's"))
                for log in (gateway.state / "logs").iterdir():
                    assert PLANTED not in log.read_text("utf-8", "replace")
        assert PLANTED not in "\n".join(collector.received)
