"""What targets hand to callers to come back with: good for whom it was shown to, once where it is an answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import httpx2
import mcp_types as types
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.fault.record import ANSWERS, Record
from tests.support.asking import Asking, asking_server
from tests.support.clients import INITIALIZE, LEGACY, MODERN, Rpc, call, messages, post
from tests.support.gateway import ISSUE_MASKS, Gateway, Setup, Upstream, free_port
from tests.support.in_turn import InTurn
from tests.support.issuer import RunningIssuer, running_issuer
from tests.support.recorders import until
from tests.support.targets import JSON_TYPE, SSE_TYPE, Exchange, ScriptedTarget, event, result, scripted_target

# The SDK's own warning that sampling and roots go with the legacy era.
pytestmark = pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")

MAIL = "canary@" + "example.org"
RULES = (
    {
        "name": "all ask",
        "allow": {"groups": ["*"], "targets": ["*"], "tools": ["begin", "query", "f*", "think", "rounds"]},
        "mask": ["secrets", "pii"],
    },
    {"name": "all ask plainly", "allow": {"groups": ["*"], "targets": ["*"], "tools": ["plain"]}},
    {"name": "tasks", "allow": {"groups": ["*"], "targets": ["*"], "methods": ["tasks/*"]}},
    {"name": "no models", "deny": {"targets": ["strict"], "methods": ["sampling/*"]}, "message": "Think yourselves."},
)


@dataclass
class Place:
    gateway: Gateway
    issuer: RunningIssuer
    port: int
    asking: Asking

    def token(self, person: str, target: str) -> str:
        return self.issuer.token(person, self.gateway.endpoint(target))


@pytest.fixture(scope="module")
def place(in_turn: InTurn) -> Iterator[Place]:
    port = free_port()
    with running_issuer() as issuer, asking_server() as asking:
        new, scripts = {"new_tools": "allow"}, f"http://127.0.0.1:{port}/mcp"
        targets = {
            "asking": Upstream(asking.url, extra={**new, "seal_states": True}),
            "guarded": Upstream(asking.url, extra={**new, "mask_request": {"mask": ["pii"]}}),
            "scripted": Upstream(scripts, extra=new),
            "strict": Upstream(scripts, extra=new),
        }
        yield Place(in_turn.take(Setup(issuer.url, targets, RULES, dict(ISSUE_MASKS))), issuer, port, asking)


async def _fills(context: object, params: object) -> types.ElicitResult:
    return types.ElicitResult(action="accept", content={"name": f"Ada {MAIL}"})


async def _thinks(context: object, params: object) -> types.CreateMessageResult:
    content = types.TextContent(type="text", text="hard")
    return types.CreateMessageResult(role="assistant", content=content, model="m")


async def _lists(context: object) -> types.ListRootsResult:
    return types.ListRootsResult.model_validate({"roots": [{"uri": "file:///home/ada"}]})


@asynccontextmanager
async def answering(place: Place, target: str, mode: str) -> AsyncIterator[Client]:
    """A real client that answers whatever it is asked."""
    headers = {"authorization": f"Bearer {place.token('alice', target)}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
        Client(
            streamable_http_client(place.gateway.endpoint(target), http_client=http),
            mode=mode,
            read_timeout_seconds=30,
            elicitation_callback=_fills,
            sampling_callback=_thinks,
            list_roots_callback=_lists,
        ) as client,
    ):
        yield client


def said(answer: types.CallToolResult) -> str:
    return "".join(getattr(block, "text", "") for block in answer.content)


async def test_a_real_client_answers_what_a_real_server_asks(place: Place) -> None:
    async with answering(place, "asking", LEGACY) as client:
        # The server reads what the person wrote; its own words come back masked.
        assert said(await client.call_tool("fill", {})) == "hello Ada [EMAIL]"
        assert place.asking.told[-1] == f"Ada {MAIL}"
        assert said(await client.call_tool("think", {})) == "thought hard"
        assert said(await client.call_tool("folders", {})) == "file:///home/ada"
    rows = [row for row in Record(place.gateway).rows() if row.reason == "answers what the target asked"]
    assert {"elicitation/create", "sampling/createMessage", "roots/list"} <= {row.method for row in rows}


async def test_masks_say_what_a_target_gets_of_an_answer(place: Place) -> None:
    async with answering(place, "guarded", LEGACY) as client:
        await client.call_tool("fill", {})
    assert place.asking.told[-1] == "Ada [EMAIL]"
    place.asking.told.clear()
    async with answering(place, "guarded", MODERN) as client:
        await client.call_tool("rounds", {})
    assert place.asking.told == ["Ada [EMAIL]"]


async def test_a_rule_keeps_a_target_from_being_answered(place: Place) -> None:
    script = Script([{"id": 1, "method": "sampling/createMessage"}, {"id": 2, "method": "roots/list"}])
    async with scripted(place, script, "strict") as (alice, _, _target):
        await alice.calls()
        denied = await alice.answers(1)
        assert (denied.status_code, denied.json()["error"]["code"]) == (403, 4030)
        assert "Think yourselves." in denied.text
        assert script.answered == 0
        assert (await alice.answers(2)).status_code == 202


async def test_rounds_with_a_state_of_a_real_server_go_on(place: Place) -> None:
    async with answering(place, "asking", MODERN) as client:
        assert said(await client.call_tool("rounds", {})) == "first round: Ada [EMAIL]"


@dataclass
class Script:
    """A legacy target that asks in the streams of its calls, and takes answers."""

    requests: Sequence[dict[str, object]] = ()
    answered: int = 0
    others: int = 0
    holds: asyncio.Event = field(default_factory=asyncio.Event)
    hold: bool = False
    begins: bool = True
    begun: bool = False

    async def __call__(self, exchange: Exchange) -> None:
        message = json.loads(exchange.request.body or b"{}")
        if isinstance(message, list) or not message.get("method"):
            self.answered += 1
            await exchange.head(202, length=0)
        elif message["method"] == "initialize":
            self.others += 1
            body = result(
                exchange,
                {
                    "protocolVersion": "2025-11-25",
                    "capabilities": {"tools": {}},
                    "serverInfo": {"name": "s", "version": "1"},
                },
            )
            await exchange.head(length=len(body), content_type=JSON_TYPE, mcp_session_id=f"s{self.others}")
            await exchange.body(body)
        else:
            self.others += 1
            if self.hold and not self.begins:
                await self.holds.wait()
            await exchange.head(content_type=SSE_TYPE)
            self.begun = True
            for request in self.requests:
                await exchange.body(event({"jsonrpc": "2.0", "params": {}, **request}))
            if self.hold:
                await self.holds.wait()
            await exchange.body(event(json.loads(result(exchange, {"content": []}))))
            await exchange.end()


@dataclass
class Caller:
    """A legacy session of somebody's."""

    place: Place
    person: str
    target: str = "scripted"
    session: str = ""

    async def post(self, message: object, session: str | None = None) -> httpx.Response:
        headers = {"mcp-session-id": self.session if session is None else session}
        body = json.dumps(message).encode()
        token = self.place.token(self.person, self.target)
        url = self.place.gateway.endpoint(self.target)
        # What is sent without a method has no header for one.
        rpc = call("query")
        sent = {name: value for name, value in rpc.headers(LEGACY).items() if not name.lower().startswith("mcp-")}
        async with httpx.AsyncClient(timeout=30) as http:
            version = {"mcp-protocol-version": "2025-11-25"} if not isinstance(message, list) else {}
            return await http.post(
                url, content=body, headers={**sent, **version, **headers, "authorization": f"Bearer {token}"}
            )

    async def begins(self) -> None:
        url, token = self.place.gateway.endpoint(self.target), self.place.token(self.person, self.target)
        answer = await post(url, token, INITIALIZE, era=LEGACY)
        self.session = answer.headers["mcp-session-id"]

    async def calls(self, rpc_id: object = 5) -> httpx.Response:
        params = {"name": "query", "arguments": {}}
        return await self.post({"jsonrpc": "2.0", "id": rpc_id, "method": "tools/call", "params": params})

    async def answers(self, rpc_id: object, **of: Any) -> httpx.Response:
        return await self.post({"jsonrpc": "2.0", "id": rpc_id, "result": {"roots": []}}, **of)


@asynccontextmanager
async def scripted(
    place: Place, script: Script, name: str = "scripted"
) -> AsyncIterator[tuple[Caller, Caller, ScriptedTarget]]:
    """Alice and bob, each with a session of a scripted target."""
    async with scripted_target(script, port=place.port) as target:
        alice, bob = Caller(place, "alice", name), Caller(place, "bob", name)
        await alice.begins()
        await bob.begins()
        yield alice, bob, target


async def test_nobody_answers_what_they_were_not_asked(place: Place) -> None:
    script = Script([{"id": 1, "method": "roots/list"}, {"id": "two", "method": "elicitation/create"}])
    async with scripted(place, script) as (alice, bob, target):
        assert messages(await alice.calls())[0]["id"] == 1
        before = len(target.received)
        for refused, status in (
            (await alice.answers("1"), 400),
            (await alice.answers(2), 400),
            (await bob.answers(1), 400),
            (await bob.answers(1, session=alice.session), 404),
            (await alice.answers(1, session=""), 400),
            (await alice.post([_answer(1), _answer("three")]), 400),
        ):
            assert refused.status_code == status, refused.text
        assert len(target.received) == before, "nothing reached the target"
        racing = await asyncio.gather(*(alice.answers(1) for _ in range(4)))
        assert sorted(each.status_code for each in racing) == [202, 400, 400, 400]
        assert (await alice.answers("two")).status_code == 202
        assert script.answered == 2
        assert json.loads(target.received[-1].body) == _answer("two")


def _answer(rpc_id: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": rpc_id, "result": {"roots": []}}


async def test_answers_come_in_a_batch_where_there_are_batches(place: Place) -> None:
    script = Script([{"id": 1, "method": "roots/list"}, {"id": 2, "method": "ping"}])
    async with scripted(place, script) as (alice, _, _target):
        await alice.calls()
        assert (await alice.post([_answer(1), _answer(2)])).status_code == 202
        assert script.answered == 1


async def test_what_a_session_was_asked_is_forgotten_with_it(place: Place) -> None:
    async with scripted(place, Script([{"id": 1, "method": "roots/list"}])) as (alice, _, target):
        await alice.calls()
        headers = {"mcp-session-id": alice.session, "authorization": f"Bearer {place.token('alice', 'scripted')}"}
        async with httpx.AsyncClient(timeout=30) as http:
            await http.delete(place.gateway.endpoint("scripted"), headers=headers)
        before = len(target.received)
        assert (await alice.answers(1)).status_code == 400
        assert len(target.received) == before


async def test_an_id_means_one_request_at_a_time(place: Place) -> None:
    script = Script(hold=True)
    async with scripted(place, script) as (alice, bob, target):
        first = asyncio.ensure_future(alice.calls(5))
        await until(lambda: len(target.received) == 3)
        refused = await alice.calls(5)
        assert (refused.status_code, refused.json()["error"]["code"], refused.json()["id"]) == (400, -32600, 5)
        others = [asyncio.ensure_future(each) for each in (alice.calls("5"), alice.calls(6), bob.calls(5))]
        await until(lambda: len(target.received) == 6)
        script.holds.set()
        assert {each.status_code for each in [await first, *await asyncio.gather(*others)]} == {200}
        for _ in range(3):
            assert (await alice.calls(5)).status_code == 200


@pytest.mark.parametrize("begins", [False, True], ids=["without a word", "in a stream"])
async def test_an_id_is_not_free_because_its_caller_hung_up(place: Place, begins: bool) -> None:
    script = Script(hold=True, begins=begins)
    async with scripted(place, script) as (alice, _, target):
        before = Record(place.gateway).size()
        first = asyncio.ensure_future(alice.calls(5))
        await until(lambda: len(target.received) == 3)
        if begins:
            await until(lambda: script.begun)
        first.cancel()
        await asyncio.wait({first})
        await until(lambda: any(row.kind in ANSWERS for row in Record(place.gateway).rows(before)))
        assert (await alice.calls(5)).status_code == 400
        assert len(target.received) == 3
        script.holds.set()
        assert (await alice.calls(6)).status_code == 200


def task(task_id: str) -> dict[str, object]:
    at = "2026-11-22T10:00:00Z"
    return {
        "taskId": task_id,
        "status": "working",
        "createdAt": at,
        "lastUpdatedAt": at,
        "ttlMs": 60_000,
        "pollIntervalMs": 100,
    }


async def tasked(exchange: Exchange) -> None:
    """Give each caller a task named after what it asked; know all of them; and states likewise."""
    message: Any = exchange.request.message()
    method, params = message["method"], message["params"]
    if method == "tools/call":
        name = params["arguments"].get("as")
        rounds = {"resultType": "input_required", "requestState": f"state of {name}"}
        again = {"resultType": "complete", "content": [{"type": "text", "text": params.get("requestState", "")}]}
        made = {"resultType": "task", **task(name)}
        content = made if params["name"] in ("begin", "plain") else (again if "requestState" in params else rounds)
    elif method == "tasks/list":
        content = {"resultType": "complete", "tasks": [task("of alice"), task("of bob"), task("of nobody")]}
    else:
        content = {"resultType": "complete", **task(params["taskId"]), "result": {"content": [], "mail": MAIL}}
    body = result(exchange, content)
    await exchange.head(length=len(body), content_type=JSON_TYPE)
    await exchange.body(body)


async def ask(
    place: Place, person: str, method: str, params: dict[str, object], name: str = "", era: str = MODERN
) -> httpx.Response:
    headers = {"mcp-name": name} if name and era == MODERN else {}
    token = place.token(person, "scripted")
    return await post(place.gateway.endpoint("scripted"), token, Rpc(method, params), era=era, headers=headers)


async def test_a_task_is_unknown_to_all_but_who_began_it(place: Place) -> None:
    async with scripted_target(tasked, port=place.port) as target:
        for person in ("alice", "bob"):
            begun = await ask(
                place, person, "tools/call", {"name": "begin", "arguments": {"as": f"of {person}"}}, "begin"
            )
            assert begun.json()["result"]["taskId"] == f"of {person}"
        for method in ("tasks/get", "tasks/cancel", "tasks/update"):
            before = len(target.received)
            refused = await ask(place, "bob", method, {"taskId": "of alice"}, "of alice")
            assert (refused.status_code, refused.json()["error"]["code"]) == (400, -32602)
            assert len(target.received) == before
            assert (await ask(place, "alice", method, {"taskId": "of alice"}, "of alice")).status_code == 200
        for person in ("alice", "bob"):
            listed = await ask(place, person, "tasks/list", {}, era=LEGACY)
            assert [each["taskId"] for each in listed.json()["result"]["tasks"]] == [f"of {person}"]


async def test_what_comes_of_a_task_is_masked_as_the_call_was_that_began_it(place: Place) -> None:
    # The rule about tasks masks nothing.
    async with scripted_target(tasked, port=place.port):
        for name in ("masked", "unmasked"):
            params: dict[str, object] = {"name": "begin" if name == "masked" else "plain", "arguments": {"as": name}}
            await ask(place, "alice", "tools/call", params, str(params["name"]))
        masked = await ask(place, "alice", "tasks/get", {"taskId": "masked"}, "masked")
        assert masked.json()["result"]["result"] == {"content": [], "mail": "[EMAIL]"}
        plain = await ask(place, "alice", "tasks/get", {"taskId": "unmasked"}, "unmasked")
        assert plain.json()["result"]["result"]["mail"] == MAIL


async def test_a_call_is_related_to_nobody_elses_task(place: Place) -> None:
    related: dict[str, object] = {
        "name": "plain",
        "arguments": {"as": "y"},
        "_meta": {"io.modelcontextprotocol/related-task": {"taskId": "of alice"}},
    }
    async with scripted_target(tasked, port=place.port) as target:
        await ask(place, "alice", "tools/call", {"name": "begin", "arguments": {"as": "of alice"}}, "begin")
        before = len(target.received)
        refused = await ask(place, "bob", "tools/call", related, "plain", era=LEGACY)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, -32602)
        assert len(target.received) == before
        assert (await ask(place, "alice", "tools/call", related, "plain", era=LEGACY)).status_code == 200


async def test_a_state_is_good_for_nobody_but_its_caller(place: Place) -> None:
    async with scripted_target(tasked, port=place.port) as target:
        first = await ask(place, "alice", "tools/call", {"name": "query", "arguments": {"as": "alice"}}, "query")
        state = first.json()["result"]["requestState"]
        assert state == "state of alice"
        more = {"name": "query", "arguments": {}, "requestState": state, "inputResponses": {}}
        before = len(target.received)
        refused = await ask(place, "bob", "tools/call", more, "query")
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, -32602)
        assert len(target.received) == before
        own = await ask(place, "alice", "tools/call", more, "query")
        assert own.json()["result"]["content"][0]["text"] == state
        assert target.received[-1].message()["params"]["requestState"] == state  # type: ignore[index]  # JSON, as posted
