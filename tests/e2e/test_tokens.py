"""Tokens from end to end: shown in place of values, turned back for the tool that a rule names, and for nobody else."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from countersign.api.recorder.v1 import event_pb2, session_pb2
from tests.e2e.test_nothing_raw import holding
from tests.fault.rig import eventually
from tests.support.auditors import session_service
from tests.support.clients import LEGACY, MODERN, call, mcp_client, messages, post
from tests.support.gateway import Gateway, Setup, Upstream, free_port
from tests.support.in_turn import InTurn
from tests.support.issuer import RunningIssuer, running_issuer
from tests.support.targets import (
    JSON_TYPE,
    SSE_TYPE,
    Exchange,
    ScriptedTarget,
    answers,
    event,
    result,
    scripted_target,
    speaks_mcp,
    tool_text,
)

RULES = (
    {
        "name": "support works",
        "allow": {"groups": ["analysts", "support"], "targets": ["*"], "tools": ["*"]},
        "mask": ["people", "joins", "ends", "words"],
        "unmask_for": ["charge"],
    },
)
MASKS = {
    "people": {"detect": ["email"], "fields": ["ssn", "account"], "replace": "tokenize"},
    "joins": {"fields": ["ref"], "replace": "hash"},
    "ends": {"fields": ["iban"], "replace": "partial"},
    "words": {"fields": ["age", "plan", "born", "code"]},
}
DECLARED: dict[str, dict[str, object]] = {
    "mail": {"type": "string", "format": "email"},
    "ssn": {"type": "string", "pattern": "^[0-9]{3}-[0-9]{2}-[0-9]{4}$"},
    "account": {"type": "integer", "minimum": 10**10},
    "age": {"type": "integer", "minimum": 18, "maximum": 120},
    "plan": {"enum": ["silver", "gold"]},
    "born": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
    "code": {"type": "string", "maxLength": 4},
}


@dataclass
class Values:
    """What a customer is, made up for one test."""

    mail: str = field(default_factory=lambda: f"canary.{secrets.token_hex(6)}@example.org")
    ssn: str = field(default_factory=lambda: f"219-09-{1000 + secrets.randbelow(8999)}")
    account: int = field(default_factory=lambda: 10**11 + secrets.randbelow(10**11))

    @property
    def clear(self) -> list[bytes]:
        """What must be found nowhere."""
        return [self.mail.encode(), self.ssn.encode(), str(self.account).encode()]


@dataclass(frozen=True)
class Place:
    """A gateway with one target."""

    gateway: Gateway
    issuer: RunningIssuer
    port: int

    @property
    def url(self) -> str:
        """The target's endpoint at the gateway."""
        return self.gateway.endpoint("till")

    def token(self, person: str = "alice", target: str = "till") -> str:
        """A fresh good token, and with it in the modern era a fresh session."""
        return self.issuer.token(person, self.gateway.endpoint(target))

    async def events(self) -> list[event_pb2.Event]:
        """All that was recorded."""
        token = self.issuer.token("carol", self.gateway.url)
        async with session_service(self.gateway.url, token) as sessions:
            listed = await sessions.list_sessions(session_pb2.SessionFilter(issuer=self.issuer.url))
            return [each.event for session in listed for each in await sessions.replay(session.session_id)]


@pytest.fixture(scope="module")
def place(in_turn: InTurn) -> Iterator[Place]:
    port = free_port()
    with running_issuer() as issuer:
        names = ("till", *(f"checked-{mode}" for mode in (LEGACY, MODERN)))
        targets = {name: Upstream(f"http://127.0.0.1:{port}/mcp") for name in names}
        setup = Setup(issuer.url, targets, RULES, MASKS)
        yield Place(in_turn.take(setup), issuer, port)


def customer(values: Values) -> dict[str, object]:
    """The answer of a tool that looks a customer up."""
    found = {"ssn": values.ssn, "account": values.account, "note": f"write to {values.mail}!"}
    found |= {"ref": values.ssn, "iban": "XX12 3456 7890"}
    return {**tool_text(json.dumps(found)), "structuredContent": found}


async def shown(place: Place, token: str, values: Values) -> dict[str, object]:
    """What a caller sees of a customer, in text and in structure alike."""
    async with scripted_target(answers(customer(values)), port=place.port):
        (message,) = messages(await post(place.url, token, call("lookup")))
    result = message["result"]
    assert isinstance(result, dict)
    seen: dict[str, object] = result["structuredContent"]
    assert seen["iban"] == "**** **** 7890"
    assert re.fullmatch(r"\[REF:[0-9a-f]{16}\]", str(seen["ref"]))
    assert json.loads(result["content"][0]["text"]) == seen
    assert not any(clear in json.dumps(result).encode() for clear in values.clear)
    return seen


async def handed(place: Place, token: str, tool: str, arguments: dict[str, object]) -> tuple[int, object]:
    """The status that a caller gets for a call, and the arguments that the target gets of it; ``None`` for no call."""
    async with scripted_target(answers(tool_text("done")), port=place.port) as target:
        answer = await post(place.url, token, call(tool, arguments))
    return answer.status_code, _arguments(target)


def _arguments(target: ScriptedTarget) -> object:
    if not target.received:
        return None
    params = target.received[-1].message()["params"]
    assert isinstance(params, dict)
    return params["arguments"]


async def test_only_the_tool_that_a_rule_names_gets_the_real_values(place: Place) -> None:
    values, token = Values(), place.token()
    seen = await shown(place, token, values)
    mail = str(seen["note"]).removeprefix("write to ").removesuffix("!")
    assert isinstance(seen["account"], int)
    assert len(str(seen["account"])) == 12
    asked = {"ssn": seen["ssn"], "account": seen["account"], "to": [mail], "q": f"WHERE ssn = '{seen['ssn']}'"}
    real = {
        "ssn": values.ssn,
        "account": values.account,
        "to": [values.mail],
        "q": f"WHERE ssn = '{values.ssn}'",
    }
    assert await handed(place, token, "charge", asked) == (200, real)
    assert await handed(place, token, "lookup", asked) == (200, asked)
    events = await place.events()
    recorded = b"".join(event.body for event in events)
    assert not any(clear in recorded for clear in values.clear)
    assert str(seen["ssn"]).encode() in recorded
    calls = [event for event in events if event.kind == event_pb2.EVENT_KIND_REQUEST]
    assert [(event.name, event.values_put_back) for event in calls] == [
        ("lookup", False),
        ("charge", True),
        ("lookup", False),
    ]
    assert holding(place.gateway.folder, values.clear) == []


@pytest.mark.parametrize(("status", "kind"), [(200, JSON_TYPE), (200, SSE_TYPE), (400, JSON_TYPE), (404, "text/plain")])
async def test_a_target_that_repeats_what_it_was_handed_shows_the_token(place: Place, status: int, kind: str) -> None:
    values, token = Values(), place.token()
    seen = await shown(place, token, values)
    words = f"charged account {values.account}, of {values.ssn.replace('-', '')}"

    async def script(exchange: Exchange) -> None:
        body = words.encode()
        if kind != "text/plain":
            body = result(exchange, tool_text(words)) if status == 200 else json.dumps({"error": words}).encode()
        body = event(json.loads(body)) if kind == SSE_TYPE else body
        await exchange.head(status, length=len(body), content_type=kind)
        await exchange.body(body)

    async with scripted_target(script, port=place.port):
        answer = await post(place.url, token, call("charge", {"ssn": seen["ssn"], "account": seen["account"]}))
    assert answer.status_code == status
    assert f"charged account {seen['account']}, of {seen['ssn']}" in answer.text
    recorded = b"".join(event.body for event in await place.events())
    assert not any(clear in recorded for clear in values.clear)


async def test_another_session_and_another_principal_get_nothing_for_a_token(place: Place) -> None:
    values, token = Values(), place.token()
    seen = await shown(place, token, values)
    mail = str(seen["note"]).removeprefix("write to ").removesuffix("!")
    for stranger in (place.token(), place.token("bob")):
        plain = {"ssn": seen["ssn"], "account": seen["account"]}
        assert await handed(place, stranger, "charge", plain) == (200, plain)
        # What can only be a token is not sent as if it were a value.
        status, got = await handed(place, stranger, "charge", {"to": mail})
        assert (status, got) == (503, None)
        others = await shown(place, stranger, values)
        assert not set(map(str, others.values())) & {str(seen["ssn"]), str(seen["account"]), str(seen["note"])}
        assert others["ref"] == seen["ref"]


@pytest.mark.parametrize("mode", [LEGACY, MODERN])
async def test_a_real_client_hands_a_token_back(place: Place, mode: str) -> None:
    values = Values()

    async def tools(exchange: Exchange) -> None:
        params = exchange.request.message()["params"]
        assert isinstance(params, dict)
        await answers(customer(values) if params["name"] == "lookup" else tool_text("done"))(exchange)

    async with (
        scripted_target(speaks_mcp(tools, ("lookup", "charge")), port=place.port) as target,
        mcp_client(place.url, place.token(), mode) as client,
    ):
        found = (await client.call_tool("lookup", {})).structured_content
        assert isinstance(found, dict)
        again = (await client.call_tool("lookup", {})).structured_content
        assert again == found
        await client.call_tool("charge", {"ssn": found["ssn"], "account": found["account"]})
        assert _arguments(target) == {"ssn": values.ssn, "account": values.account}


@pytest.mark.parametrize("mode", [LEGACY, MODERN])
async def test_a_real_client_that_checks_the_output_schema_takes_masked_answers(place: Place, mode: str) -> None:
    values = Values()
    real = {"mail": values.mail, "ssn": values.ssn, "account": values.account}
    real |= {"age": 41, "plan": "gold", "born": "1980-02-03", "code": "a7Qz"}
    schema = {"type": "object", "properties": DECLARED, "required": list(DECLARED), "additionalProperties": False}
    listed = [{"name": "describe", "inputSchema": {"type": "object"}, "outputSchema": schema}]
    cacheable = {"resultType": "complete", "ttlMs": 0, "cacheScope": "public"}
    rest = speaks_mcp(answers({**tool_text("see there"), "structuredContent": real}))

    async def script(exchange: Exchange) -> None:
        lists = exchange.request.method == "tools/list"
        await (answers({"tools": listed, **cacheable}) if lists else rest)(exchange)

    async with (
        scripted_target(script, port=place.port),
        mcp_client(place.gateway.endpoint(f"checked-{mode}"), place.token(target=f"checked-{mode}"), mode) as client,
    ):
        (tool,) = (await client.list_tools()).tools
        assert tool.output_schema == schema
        found = (await client.call_tool("describe", {})).structured_content
    assert isinstance(found, dict)
    assert not any(clear in json.dumps(found).encode() for clear in values.clear)
    for name in ("age", "born", "code"):
        assert found[name] != real[name]
    assert found["mail"].endswith("@token.invalid")
    assert len(str(found["account"])) == 12


async def test_no_token_is_shown_that_a_killed_recorder_lost(place: Place) -> None:
    token = place.token()
    values = [Values() for _ in range(12)]
    seen: list[tuple[Values, dict[str, object]]] = []
    async with scripted_target(answers(customer(values[0])), port=place.port) as target:
        for number, one in enumerate(values):
            target.script = answers(customer(one))
            if number == 4:
                place.gateway.kill("recorder")
            answer = await post(place.url, token, call("lookup"))
            assert not any(clear in answer.content for clear in one.clear)
            if answer.status_code == 200:
                (message,) = messages(answer)
                seen.append((one, message["result"]["structuredContent"]))  # type: ignore[index]  # JSON
        target.script = answers(tool_text("done"))

        async def serves() -> bool:
            return (await post(place.url, token, call("lookup"))).status_code == 200

        await eventually(serves, 30.0)
        assert len(seen) >= 4
        for one, found in seen:
            assert (await post(place.url, token, call("charge", {"ssn": found["ssn"]}))).status_code == 200
            assert _arguments(target) == {"ssn": one.ssn}
