"""Every effect, argument, condition and trial through the real Envoy: what is denied never reaches the target."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from countersign.api.recorder.v1 import event_pb2, session_pb2
from tests.support.auditors import session_service
from tests.support.clients import LEGACY, MODERN, Rpc, call, messages, post
from tests.support.gateway import Gateway, Setup, Upstream, free_port
from tests.support.in_turn import InTurn
from tests.support.issuer import RunningIssuer, running_issuer
from tests.support.targets import ScriptedTarget, answers, scripted_target, tool_text

ANALYSTS: Mapping[str, object] = {"groups": ["analysts"], "targets": ["db"]}
PAGE = {"limit": {"max": 100}, "region": ["eu", "us"]}
RULES: tuple[Mapping[str, object], ...] = (
    {"name": "reads", "allow": {**ANALYSTS, "tools": ["query"]}, "when": 'sql(args.sql, "postgres").only_reads'},
    {
        "name": "pages",
        "allow": {**ANALYSTS, "tools": ["page"]},
        "args": {"limit": {"max": 100}, "region": ["eu", "us"]},
    },
    {"name": "wipes wait", "approve": {**ANALYSTS, "tools": ["wipe"]}, "by": {"groups": ["owners"]}},
    {"name": "tools", "allow": {**ANALYSTS, "tools": ["wipe", "deploy", "look"]}, "mask": ["pii"]},
    {"name": "no agents deploy", "deny": {"kind": ["agent", "machine"], "tools": ["deploy"]}},
    {"name": "from here", "deny": {"tools": ["look"]}, "when": '!in_network(request.source_address, "127.0.0.0/8")'},
    {"name": "not mallory", "deny": {"principals": ["mall*"]}, "message": "Not you."},
    {"name": "no secrets", "deny": {"tools": ["look"]}, "when": 'args.where.path.startsWith("/etc")'},
    {"name": "looks on trial", "deny": {"tools": ["look"]}, "mode": "shadow"},
)


@dataclass
class Place:
    """A gateway with rules of every kind before a target that notes what reaches it."""

    gateway: Gateway
    issuer: RunningIssuer
    port: int
    asked: int = 0
    target: ScriptedTarget | None = field(default=None)

    async def ask(self, rpc: Rpc, person: str = "alice", era: str = MODERN, **claims: object) -> httpx.Response:
        token = self.issuer.token(person, self.gateway.endpoint("db"), **claims)
        return await post(self.gateway.endpoint("db"), token, rpc, era=era)

    @asynccontextmanager
    async def standing(self) -> AsyncIterator[ScriptedTarget]:
        async with scripted_target(answers(tool_text("done")), self.port) as target:
            yield target

    async def decisions(self) -> list[event_pb2.Decision]:
        """What was decided of all requests, oldest first."""
        token = self.issuer.token("carol", self.gateway.url)
        found = []
        async with session_service(self.gateway.url, token) as service:
            for session in await service.list_sessions(session_pb2.SessionFilter(issuer=self.issuer.url)):
                found += await service.replay(session.session_id)
        found.sort(key=lambda one: one.index)
        return [one.event.decision for one in found if one.event.kind == event_pb2.EVENT_KIND_REQUEST]


@pytest.fixture(scope="module")
def place(in_turn: InTurn) -> Iterator[Place]:
    port = free_port()
    with running_issuer() as issuer:
        hold = {"approvals": {"hold": "0.2s"}}
        setup = Setup(issuer.url, {"db": Upstream(f"http://127.0.0.1:{port}/mcp")}, RULES, extra=hold)
        yield Place(in_turn.take(setup), issuer, port)


def denied(answer: httpx.Response) -> str:
    """The text of a denied tool call; empty when it was allowed."""
    assert answer.status_code == 200, answer.text
    (message,) = messages(answer)
    result = message["result"]
    assert isinstance(result, dict)
    return str(result["content"][0]["text"]) if result.get("isError") else ""


@pytest.mark.parametrize("era", [MODERN, LEGACY])
@pytest.mark.parametrize(
    ("rpc", "rule"),
    [
        (call("query", {"sql": "SELECT id, name FROM users WHERE id = 7"}), ""),
        (call("query", {"sql": "SELECT 1; DROP TABLE users"}), "no rule"),
        (call("query", {"sql": "WITH gone AS (DELETE FROM users RETURNING *) SELECT count(*) FROM gone"}), "no rule"),
        (call("query", {"sql": "SELECT pg_read_file('/etc/passwd')"}), "no rule"),
        (call("query", {"sql": "SELECT /* */ 1 /*"}), "no rule"),
        (call("query", {"statement": "SELECT 1"}), "reads"),
        (call("query", {"sql": ["SELECT 1"]}), "reads"),
        (call("query"), "reads"),
        (call("page", {"limit": 100, "region": "eu"}), ""),
        (call("page", {"limit": 101, "region": "eu"}), "no rule"),
        (call("page", {"limit": 10, "region": "cn"}), "no rule"),
        (call("page", {"region": "eu"}), "no rule"),
        (call("page", {"limit": "10", "region": "eu"}), "pages"),
        (call("page", {"limit": True, "region": "eu"}), "pages"),
        (call("deploy"), ""),
        (call("look", {"where": {"path": "/srv"}}), ""),
        (call("look", {"where": {"path": "/etc/shadow"}}), "no secrets"),
        (call("look", {"where": "/etc/shadow"}), "no secrets"),
        (call("look"), "no secrets"),
    ],
)
async def test_each_rule_does_what_it_says(place: Place, era: str, rpc: Rpc, rule: str) -> None:
    async with place.standing() as target:
        text = denied(await place.ask(rpc, era=era))
        if not rule:
            assert text == ""
            assert len(target.received) == 1
            return
        assert target.received == []
    if rule == "no rule":
        assert text.startswith("No rule allows")
    else:
        assert f"(rule: {rule})" in text
    # The record names the rule that denied, and the answer shows nothing that the caller did not write as a name.
    decision = (await place.decisions())[-1]
    assert decision.outcome == event_pb2.OUTCOME_DENY
    assert list(decision.rules) == ([] if rule == "no rule" else [rule])
    assert "etc" not in text + decision.reason


@pytest.mark.parametrize("era", [MODERN, LEGACY])
async def test_what_needs_approval_waits_and_reaches_no_target(place: Place, era: str) -> None:
    async with place.standing() as target:
        answer = await place.ask(call("wipe"), era=era)
        assert target.received == []
    if era == LEGACY:
        assert "waiting for approval by owners" in denied(answer)
    else:
        (message,) = messages(answer)
        result = message["result"]
        assert isinstance(result, dict)
        assert (result["resultType"], bool(result["requestState"])) == ("input_required", True)
    decision = (await place.decisions())[-1]
    assert decision.outcome == event_pb2.OUTCOME_APPROVE
    assert list(decision.rules) == ["wipes wait"]


async def test_subjects_are_told_apart(place: Place) -> None:
    async with place.standing() as target:
        assert "Not you." in denied(await place.ask(call("deploy"), sub="mallory"))
        assert target.received == []
        assert denied(await place.ask(call("deploy"), sub="alina")) == ""


async def test_a_rule_on_trial_is_recorded_and_binds_nobody(place: Place) -> None:
    async with place.standing() as target:
        assert denied(await place.ask(call("look", {"where": {"path": "/srv"}}))) == ""
        assert len(target.received) == 1
    decision = (await place.decisions())[-1]
    assert decision.outcome == event_pb2.OUTCOME_ALLOW
    assert decision.shadow.outcome == event_pb2.OUTCOME_DENY
    assert list(decision.shadow.rules) == ["looks on trial"]


async def test_the_wire_cannot_carry_arguments_past_the_rules(place: Place) -> None:
    """Twice the same key, keys that differ in case, numbers that are not what they look like."""
    arguments = (
        '{"limit": 5000, "limit": 5, "region": "eu"}',
        '{"limit": 5, "region": "eu", "region": "cn"}',
        '{"limit": 1e400, "region": "eu"}',
        '{"limit": 100.00000000000000000001, "region": "eu"}',
        '{"limit": NaN, "region": "eu"}',
        '{"limit": {"max": 1}, "region": "eu"}',
        '{"limit": null, "region": "eu"}',
        '{"Limit": 5, "region": "eu"}',
    )
    token = place.issuer.token("alice", place.gateway.endpoint("db"))
    async with place.standing() as target:
        for text in arguments:
            rpc = call("page")
            body = json.dumps(json.loads(rpc.body(LEGACY))).replace('"arguments": {}', f'"arguments": {text}').encode()
            assert text.encode() in body
            answer = await post(place.gateway.endpoint("db"), token, rpc, era=LEGACY, body=body)
            assert answer.status_code == 400 or denied(answer), text
        assert target.received == []
