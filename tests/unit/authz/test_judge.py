"""Nothing is forwarded before its event is durable, whatever fails or is cancelled, and nothing goes along unjudged."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from countersign.authz.envoy import Answer, Forward, Inquiry
from countersign.config import SecretUse
from countersign.identity import IdentityUnavailable, Unidentified
from countersign.masking.tokens import Mint
from countersign.model.decision import Outcome
from countersign.model.event import EventKind
from countersign.model.handoff import HandedColumns
from countersign.model.situation import Usage
from countersign.model.windows import Departure
from countersign.runtime.moments import new_id
from countersign.runtime.pins import PinState
from countersign.runtime.rulebook import Rulebook
from countersign.runtime.sealing import SealedSession
from tests.unit.authz.bench import ALICE, CREDENTIAL, GATEWAY, SEALER, Bench, call, inquiry

CLOUD_KEY = "AK" + "IA" + "QWERTYUIOPASDF34"


@pytest.fixture(scope="module")
def rulebook(tmp_path_factory: pytest.TempPathFactory, rules_cache: Path) -> Rulebook:
    path = tmp_path_factory.mktemp("judge") / "gateway.yaml"
    path.write_text(GATEWAY)
    return Rulebook(path, {"ORDERS_TOKEN": CREDENTIAL}, rules_cache, reads={SecretUse.TARGETS})


@pytest.fixture
def bench(rulebook: Rulebook) -> Bench:
    return Bench(rulebook)


async def test_a_call_is_forwarded_only_once_its_event_is_durable(bench: Bench) -> None:
    bench.sink.open.clear()
    asked = asyncio.ensure_future(bench.ask(inquiry(call())))
    await bench.sink.asked.wait()
    done, _ = await asyncio.wait({asked}, timeout=0.05)
    assert not done
    bench.sink.open.set()
    assert isinstance(await asked, Forward)
    assert [event.kind for event in bench.sink.durable] == [EventKind.REQUEST]


@pytest.mark.parametrize(
    "asked",
    [
        inquiry(call()),
        inquiry(call("export_table")),
        inquiry([call(), call(rpc_id=2)]),
        inquiry({"jsonrpc": "1.0"}),
        inquiry(call(), path="/orders/mcp?x=1"),
        inquiry(verb="PUT"),
        inquiry(call(), mcp_session_id="cs1.AAAA"),
    ],
)
async def test_what_cannot_be_recorded_is_unavailable(bench: Bench, asked: Inquiry) -> None:
    bench.sink.refuse = lambda _: True
    answer = await bench.ask(asked)
    assert isinstance(answer, Answer)
    assert answer.reply.status == 503


async def test_a_batch_is_forwarded_only_when_all_of_it_is_durable(bench: Bench) -> None:
    bench.sink.refuse = lambda event: bench.sink.handed_in.index(event) == 1
    answer = await bench.ask(inquiry([call(rpc_id=number) for number in range(3)]))
    assert isinstance(answer, Answer)
    assert answer.reply.status == 503


async def test_a_cancelled_check_never_ends_in_a_forward(bench: Bench) -> None:
    bench.sink.open.clear()
    asked = asyncio.ensure_future(bench.ask(inquiry(call())))
    await bench.sink.asked.wait()
    asked.cancel()
    bench.sink.open.set()
    with pytest.raises(asyncio.CancelledError):
        await asked


@pytest.mark.parametrize(
    ("error", "status", "kinds"),
    [
        (Unidentified("no bearer token", presented=False), 401, [EventKind.REFUSED]),
        (IdentityUnavailable("no keys"), 503, []),
    ],
)
async def test_nobody_unidentified_is_forwarded(
    bench: Bench, error: Exception, status: int, kinds: list[EventKind]
) -> None:
    bench.verifier.error = error
    answer = await bench.ask(inquiry(call()))
    assert isinstance(answer, Answer)
    assert answer.reply.status == status
    assert [event.kind for event in bench.sink.durable] == kinds


async def test_an_attempt_by_nobody_that_cannot_be_recorded_is_unavailable(bench: Bench) -> None:
    bench.verifier.error = Unidentified("no bearer token", presented=False)
    bench.sink.refuse = lambda _: True
    answer = await bench.ask(inquiry(call()))
    assert isinstance(answer, Answer)
    assert answer.reply.status == 503
    assert answer.reply.headers == ()


@pytest.mark.parametrize(
    "asked", [inquiry(call(), target="new"), inquiry(call(), upstream="http://127.0.0.1:9001/mcp")]
)
async def test_a_target_that_is_not_in_force_where_envoy_routes_is_not_reached(bench: Bench, asked: Inquiry) -> None:
    answer = await bench.ask(asked)
    assert isinstance(answer, Answer)
    assert answer.reply.status == 503


async def test_only_judged_headers_and_the_targets_own_credential_go_along(bench: Bench) -> None:
    extra = {"authorization": "Bearer caller", "cookie": "a=b", "x_evil": "1", "x_countersign_principal": "p"}
    extra |= {"x_forwarded_for": "203.0.113.9, 192.0.2.7", "user_agent": "evil", "x_request_id": "evil"}
    extra |= {"last_event_id": "stream-1", "traceparent": "anything", "tracestate": "anything"}
    answer = await bench.ask(inquiry(call(), **extra))
    assert isinstance(answer, Forward)
    assert answer.set_headers["authorization"] == f"Bearer {CREDENTIAL}"
    assert answer.set_headers["x-forwarded-for"] == "192.0.2.7"
    assert {"cookie", "x-evil", "x-countersign-principal", "user-agent", "x-request-id"} < set(answer.remove_headers)
    assert {"last-event-id", "traceparent", "tracestate"} < set(answer.remove_headers)


async def test_only_the_stream_of_ones_own_session_can_be_resumed(bench: Bench) -> None:
    sealed = SEALER.seal_session(ALICE, "orders", SealedSession("theirs", new_id()))
    without = await bench.ask(inquiry(verb="GET", last_event_id="stream-1"))
    within = await bench.ask(inquiry(verb="GET", last_event_id="stream-1", mcp_session_id=sealed))
    assert isinstance(without, Forward)
    assert isinstance(within, Forward)
    assert "last-event-id" in without.remove_headers
    assert "last-event-id" not in within.remove_headers
    assert within.set_headers["mcp-session-id"] == "theirs"
    assert bench.sink.durable[-1].other_lines == "Last-Event-ID: stream-1"


@pytest.mark.parametrize("event_id", ["x" * 257, "two words", "é", "canary@" + "example.org"])
async def test_where_a_stream_is_taken_up_is_no_way_to_tell_a_target_something(bench: Bench, event_id: str) -> None:
    sealed = SEALER.seal_session(ALICE, "orders", SealedSession("theirs", new_id()))
    answer = await bench.ask(inquiry(verb="GET", last_event_id=event_id, mcp_session_id=sealed))
    assert isinstance(answer, Answer)
    assert answer.reply.status == 400
    assert event_id not in repr(bench.sink.durable)


async def test_a_call_whose_arguments_the_record_could_not_show_is_not_made(bench: Bench) -> None:
    hidden = {"sql": "drop table hidden", "x": '{"a": 1, "a": 2}'}
    answer = await bench.ask(inquiry(call(arguments=hidden)))
    assert isinstance(answer, Answer)
    assert answer.reply.status == 400
    (event,) = bench.sink.durable
    assert event.decision is not None
    assert (event.decision.outcome.value, event.body) == ("refused", b"")
    denied = await bench.ask(inquiry(call("export_table", hidden)))
    assert isinstance(denied, Answer)
    assert b"hidden" not in bench.sink.durable[-1].body


async def test_a_secret_in_a_name_is_masked_in_the_record_and_for_the_masker(bench: Bench) -> None:
    answer = await bench.ask(inquiry(call(f"tool_{CLOUD_KEY}")))
    assert isinstance(answer, Forward)
    assert answer.handoff is not None
    (event,) = bench.sink.durable
    assert CLOUD_KEY not in repr(event)
    assert CLOUD_KEY not in answer.handoff.to_json()
    assert answer.handoff.calls[0].name == event.name


async def test_tokens_are_recorded_as_they_were_handed_back_and_values_beside_them_are_not(bench: Bench) -> None:
    mail, mint = "canary@" + "example.org", Mint(bytes(32))
    tokens = [mint.text(mail), mint.text("12")]
    await bench.ask(inquiry(call(arguments={"to": f"{tokens[0]} and {mail}", "ssn": tokens[1]})))
    (event,) = bench.sink.durable
    assert json.loads(event.body)["arguments"] == {"to": f"{tokens[0]} and [EMAIL]", "ssn": tokens[1]}


async def test_judging_a_large_call_holds_up_no_small_one(bench: Bench) -> None:
    large = asyncio.ensure_future(bench.ask(inquiry(call(arguments={"x": ["{}"] * 150_000}))))
    order: list[str] = []
    large.add_done_callback(lambda _: order.append("large"))
    await asyncio.sleep(0)
    assert isinstance(await bench.ask(inquiry(call())), Forward)
    order.append("small")
    assert isinstance(await large, Forward)
    assert order == ["small", "large"]


async def test_a_flood_of_strangers_is_refused_without_a_row_for_each(bench: Bench) -> None:
    bench.verifier.error = Unidentified("no bearer token", presented=False)
    for _ in range(100):
        answer = await bench.ask(inquiry(call()))
        assert isinstance(answer, Answer)
        assert answer.reply.status == 401
    assert len(bench.sink.durable) == 1
    await bench.judge.close()
    assert [event.reason for event in bench.sink.durable][1:] == ["no bearer token (99 more attempts since the first)"]


@pytest.mark.parametrize("length", [0, 300])
async def test_a_secret_in_a_method_that_nobody_knows_is_masked_in_the_record(bench: Bench, length: int) -> None:
    method = f"made/up {CLOUD_KEY} " + "x" * length
    asked = inquiry({"jsonrpc": "2.0", "id": 1, "method": method, "params": {}})
    answer = await bench.ask(asked)
    assert isinstance(answer, Answer)
    (event,) = bench.sink.durable
    assert CLOUD_KEY not in repr(event)


async def test_a_long_name_with_a_secret_is_not_in_the_reason_either(bench: Bench) -> None:
    assert isinstance(await bench.ask(inquiry(call(f"no {CLOUD_KEY} " + "x " * 150))), Answer)
    (event,) = bench.sink.durable
    assert CLOUD_KEY not in repr(event)


async def test_the_reason_is_recorded_whatever_the_name_holds(bench: Bench) -> None:
    bench.tools.otherwise = PinState.UNLISTED
    assert isinstance(await bench.ask(inquiry(call(f"tool_{CLOUD_KEY}"))), Answer)
    (event,) = bench.sink.durable
    assert event.decision is not None
    assert event.decision.reason == "the target does not list such a tool"
    assert CLOUD_KEY not in repr(event)


async def test_known_methods_stand_in_the_record_as_they_are(bench: Bench) -> None:
    for method in ("tools/list", "ping", "notifications/initialized"):
        await bench.ask(
            inquiry(
                {"jsonrpc": "2.0", "id": 1, "method": method}
                if "/i" not in method
                else {"jsonrpc": "2.0", "method": method}
            )
        )
    assert [event.method for event in bench.sink.durable] == ["tools/list", "ping", "notifications/initialized"]


async def test_the_record_says_of_no_message_of_a_denied_batch_that_it_was_allowed(bench: Bench) -> None:
    batch = [call("query", rpc_id=1), call("export_table", rpc_id=2)]
    assert isinstance(await bench.ask(inquiry(batch)), Answer)
    outcomes = {event.name: event.decision.outcome for event in bench.sink.durable if event.decision is not None}
    assert outcomes == {"query": Outcome.DENY, "export_table": Outcome.DENY}


async def test_what_is_not_known_of_tools_or_usage_makes_no_call(bench: Bench) -> None:
    bench.tools.otherwise = PinState.UNKNOWN
    answer = await bench.ask(inquiry(call()))
    assert isinstance(answer, Answer)
    assert answer.reply.status == 503
    assert bench.sink.durable == []


@pytest.mark.parametrize("asked", [call(rpc_id=7), [call(rpc_id=7), call(rpc_id=8)]])
async def test_too_many_calls_are_recorded_and_told_when_to_come_back(
    tmp_path: Path, rules_cache: Path, asked: object
) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(f"{GATEWAY}rate_limits: [{{name: slow down, calls: 2, per: 1h}}]\n")
    bench = Bench(Rulebook(path, {"ORDERS_TOKEN": CREDENTIAL}, rules_cache, reads={SecretUse.TARGETS}))
    bench.used.usage, bench.used.leaving = Usage(calls_1h=2), (Departure(1_500_000, 1),)
    answer = await bench.ask(inquiry(asked))
    assert isinstance(answer, Answer)
    assert answer.reply.status == 429
    error = json.loads(answer.reply.body)
    assert error["id"] == (7 if isinstance(asked, dict) else None)
    assert "slow down" in error["error"]["message"]
    assert dict(answer.reply.headers)["retry-after"].isdigit()
    assert {event.status for event in bench.sink.durable} == {429}
    assert all(event.decision and event.decision.rules == ("slow down",) for event in bench.sink.durable)


async def test_what_a_statement_makes_of_masked_columns_goes_along(bench: Bench) -> None:
    asked = [call(arguments={"sql": "SELECT ssn AS x FROM users"}), call("tool_other", rpc_id=2)]
    answer = await bench.ask(inquiry(asked))
    assert isinstance(answer, Forward)
    assert answer.handoff is not None
    statement, other = answer.handoff.calls
    assert statement.columns == HandedColumns((("x", ("ssn",)),), touched=True, plain=("x",))
    assert other.columns is None
