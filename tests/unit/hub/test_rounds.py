"""A modern target has a legacy caller come back so often, and wait for its person so long, and no more."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from countersign.config import GatewayConfig, Limits, Target
from countersign.hub import relay as module
from countersign.hub.asked import About, Asked
from countersign.hub.dismissals import Dismissals
from countersign.hub.inside import Away, Caller, Inner, Inside
from countersign.hub.outgoing import Head, Outgoing
from countersign.hub.peers import Owner, Peers, Refused, Way
from countersign.hub.relay import MOST_ROUNDS, Relay
from countersign.jsontext import parse
from countersign.mcp import Era
from countersign.model.principal import Principal, PrincipalKind
from countersign.runtime.aside import Aside
from countersign.runtime.live import Live
from tests.support.revoking import FakeRevocations

CALLER = Caller(Principal("https://idp.test", "alice", (), PrincipalKind.PERSON, "token"), "Bearer x", "192.0.2.1")
TARGET = Target("t", "https://t.test/mcp", None, "https://gateway.test/t/mcp")
FORM = {"method": "elicitation/create", "params": {"message": "m", "requestedSchema": {"type": "object"}}}
PARAMS: dict[str, Any] = {"name": "t__x", "requestState": "forged", "inputResponses": {"a": "forged"}}


class Body(httpx.AsyncByteStream):
    """A body."""

    def __init__(self, said: object) -> None:
        self._said = said

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield json.dumps(self._said).encode()


@dataclass
class Insatiable:
    """A target that always asks for more, and how it was asked itself."""

    asks: bool
    state: str = "s"
    params: list[dict[str, Any]] = field(default_factory=list)
    times: int = MOST_ROUNDS + 1
    keys: str = "a"

    @asynccontextmanager
    async def ask(
        self, caller: Caller, target: str, verb: str, headers: Mapping[str, str], body: bytes
    ) -> AsyncIterator[Inner]:
        asked = json.loads(body)
        if len(self.params) == self.times:
            raise Away("the gateway does not answer inside")
        self.params.append(asked["params"])
        more = {"inputRequests": dict.fromkeys(self.keys, FORM)} if self.asks else {}
        result = {"resultType": "input_required", "requestState": f"{self.state}{len(self.params)}", **more}
        said = Body({"jsonrpc": "2.0", "id": asked["id"], "result": result})
        yield Inner(httpx.Response(200, headers={"content-type": "application/json"}, stream=said), Limits())


@dataclass
class Modern:
    """Knows the target for one of the modern era."""

    ids: count[int] = field(default_factory=count)

    def new_id(self) -> str:
        return f'"hub-{next(self.ids)}"'

    async def way(self, caller: Caller, owner: Owner, target: Target, era: Era) -> Way:
        return Way(Era.MODERN, "2026-07-28")


@dataclass
class Record:
    """What of a client's answers is brought for the record alone; ``away`` while it cannot be recorded."""

    brought: list[tuple[str, str]] = field(default_factory=list)
    away: bool = False

    async def answers(self, caller: Caller, version: str, answers: list[tuple[str, str]], reason: str) -> None:
        assert (caller, version) == (CALLER, "2025-11-25")
        if self.away and answers:
            raise Refused(503, 5030, "not recorded")
        self.brought += answers


def relayed(target: Insatiable, owner: Owner, record: Record) -> Outgoing:
    """A call under way."""
    config = cast(GatewayConfig, SimpleNamespace(limits=Limits()))
    aside, live = Aside(from_bytes=1 << 20, at_once=1), Live(FakeRevocations(), lambda: 1)
    dismissals = cast(Dismissals, record)
    made = Relay(cast(Inside, target), cast(Peers, Modern()), dismissals, lambda: config, aside, live)
    document = parse(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": PARAMS}))
    asked = Asked(document, "tools/call", PARAMS, "1", Era.LEGACY, {})
    return made.relay(CALLER, owner, asked, TARGET, About("t", "x", ("name",)), admitted=True)


async def said(
    target: Insatiable, *, answered: bool = True, answer: str = "{}", record: Record | None = None, only: int = 99
) -> list[dict[str, Any]]:
    """What the caller is told, who answers each question that it is asked; all but ``only`` so many with an error."""
    owner = Owner("k", capabilities_json='{"elicitation":{}}')
    found: list[dict[str, Any]] = []
    async for each in relayed(target, owner, record or Record()):
        if isinstance(each, Head):
            continue
        found.append(json.loads(each.decode().partition("data: ")[2]))
        if "method" in found[-1] and answered:
            waits = owner.asked[found[-1]["id"].partition(":")[2]]
            asyncio.get_running_loop().call_soon(waits.set_result, answer if len(found) <= only else "")
    assert owner.asked == {}
    return found


@pytest.mark.parametrize("asks", [True, False])
async def test_a_call_is_made_again_so_often_and_nobody_is_asked_in_vain(asks: bool) -> None:
    target = Insatiable(asks)
    *questions, last = await said(target)
    assert len(target.params) == MOST_ROUNDS + 1
    assert [each["method"] for each in questions] == ["elicitation/create"] * (MOST_ROUNDS if asks else 0)
    assert last["result"]["isError"]
    assert "again and again" in last["result"]["content"][0]["text"]


async def test_a_call_is_made_again_with_what_was_answered_and_with_nothing_that_its_caller_made_up() -> None:
    target = Insatiable(True)
    await said(target)
    first, *others = target.params
    assert first.keys() & {"requestState", "inputResponses"} == set()
    assert first["_meta"]["io.modelcontextprotocol/clientCapabilities"] == {"elicitation": {}}
    assert [params["requestState"] for params in others] == [f"s{number}" for number in range(1, MOST_ROUNDS + 1)]
    assert all(params["inputResponses"] == {"a": {}} for params in others)


async def test_who_does_not_answer_in_time_ends_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWERED_S", 0.0)
    target = Insatiable(True)
    (question, last) = await said(target, answered=False)
    assert question["method"] == "elicitation/create"
    assert last["result"]["content"][0]["text"] == "the client did not answer what the target asks"
    assert len(target.params) == 1


async def test_broughtthat_are_too_long_for_a_request_end_the_call() -> None:
    target = Insatiable(True)
    (question, last) = await said(target, answer=f'{{"x":"{"x" * Limits().request_bytes}"}}')
    assert question["method"] == "elicitation/create"
    assert "too long" in last["result"]["content"][0]["text"]
    assert len(target.params) == 1


async def test_what_is_too_long_to_come_back_is_not_held_while_a_person_is_asked() -> None:
    target = Insatiable(True, "s" * Limits().request_bytes)
    (last,) = await said(target)
    assert "too long" in last["result"]["content"][0]["text"]
    assert len(target.params) == 1


async def test_answers_of_a_call_that_is_not_made_again_are_on_record() -> None:
    record, target = Record(), Insatiable(True, keys="ab")
    first, _, last = await said(target, answer='{"x":1}', record=record, only=1)
    assert last["result"]["content"][0]["text"] == "the client did not answer what the target asks"
    assert record.brought == [(json.dumps(first["id"]), '{"x":1}')]
    # Of those that go on nothing is brought: inside they are on record.
    record.brought.clear()
    await said(Insatiable(True, keys="ab"), record=record)
    assert record.brought == []


async def test_answers_of_a_call_that_cannot_be_made_again_are_on_record() -> None:
    record = Record()
    with pytest.raises(Away):
        await said(Insatiable(True, keys="ab", times=1), record=record)
    assert [result for _, result in record.brought] == ["{}", "{}"]


async def test_while_answers_cannot_be_recorded_their_caller_hears_that() -> None:
    with pytest.raises(Refused) as refused:
        await said(Insatiable(True, keys="ab"), record=Record(away=True), only=1)
    assert refused.value.status == 503


async def test_what_came_before_its_caller_hung_up_is_on_record() -> None:
    record = Record()
    owner = Owner("k", capabilities_json='{"elicitation":{}}')
    answer = relayed(Insatiable(True, keys="ab"), owner, record)
    async for each in answer:
        if not isinstance(each, Head):
            next(iter(owner.asked.values())).set_result("{}")
            break
    await answer.aclose()
    assert [result for _, result in record.brought] == ["{}"]
