"""What is asked at the one door of no target is answered once it is on the record, and goes to nobody."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from countersign.authz.envoy import Answer, Forward, Inquiry
from countersign.authz.hub import HubDoor
from countersign.authz.nameless import Nameless
from countersign.mcp import HttpRequest
from countersign.model.decision import Outcome
from countersign.runtime.aside import Aside
from countersign.runtime.moments import new_id
from countersign.runtime.rulebook import Rulebook
from tests.unit.authz.bench import GATEWAY, HEADERS, NOW_US, SEALER, Bench

MAIL = "somebody" + "@example.org"


class Door:
    """The way to the hub, before a recorder that the test controls."""

    def __init__(self, folder: Path, cache_dir: Path) -> None:
        path = folder / "gateway.yaml"
        path.write_text(GATEWAY.replace('test"}\nidentity', 'test", hub: true}\nidentity'))
        rulebook = Rulebook(path, {}, cache_dir, reads=())
        bench, aside = Bench(rulebook), Aside(from_bytes=1 << 20, at_once=1)
        self.sink = bench.sink
        nameless = Nameless(self.sink, SEALER, aside, new_id)
        self._door = HubDoor(rulebook, bench.verifier, SEALER, bench.judge, nameless, aside, lambda: NOW_US)

    async def ask(self, method: str, params: object, **headers: str) -> Forward | Answer:
        body = json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).encode()
        http = HttpRequest("POST", {**HEADERS, "authorization": "Bearer x", **headers}, body)
        return await self._door.admit(Inquiry("hub", "mcp", http, "/mcp", "192.0.2.7", ""))


@pytest.fixture
def door(tmp_path: Path, rules_cache: Path) -> Door:
    return Door(tmp_path, rules_cache)


@pytest.mark.parametrize(
    ("method", "params", "name", "code"),
    [
        ("tools/call", {"name": "query"}, "query", -32602),
        ("tools/call", {"name": "other__query"}, "other__query", -32602),
        ("tools/call", {"name": f"mail to {MAIL}"}, "mail to [EMAIL]", -32602),
        ("prompts/get", {"name": "other__p"}, "other__p", -32602),
        ("resources/read", {"uri": "other+a:b"}, "other+a:b", -32602),
        ("resources/subscribe", {"uri": "a:b"}, "a:b", -32602),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "other__p"}}, "other__p", -32602),
        ("completion/complete", {"ref": {"type": "ref/resource", "uri": "other+a:{b}"}}, "other+a:{b}", -32602),
        ("tasks/get", {"taskId": "other:1"}, "", -32602),
        ("tasks/cancel", {"taskId": 5}, "", -32602),
        ("tools/enumerate", {"name": "orders__query"}, "", -32601),
    ],
)
async def test_what_is_for_no_target_is_denied_on_the_record_with_its_caller(
    door: Door, method: str, params: dict[str, object], name: str, code: int
) -> None:
    answer = await door.ask(method, {**params, "arguments": {"to": MAIL}} if "name" in params else params)
    assert isinstance(answer, Answer)
    said = json.loads(answer.reply.body)
    assert (answer.reply.status, said["id"], said["error"]["code"]) == (200, 7, code)
    (event,) = door.sink.durable
    assert (event.target, event.method, event.name) == ("mcp", method, name)
    assert event.principal is not None
    assert (event.principal.subject, event.source_address) == ("alice", "192.0.2.7")
    assert event.decision is not None
    assert event.decision.outcome is Outcome.DENY
    assert MAIL.encode() not in event.body
    assert ("[EMAIL]" in event.body.decode()) == ("name" in params)


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/call", {"name": "orders__query"}),
        ("tools/call", {"name": "orders__nosuch"}),
        ("resources/read", {"uri": "orders+a:b"}),
        ("tasks/get", {"taskId": "orders:1"}),
        ("tools/list", {}),
        ("tasks/list", {}),
        ("ping", {}),
        ("initialize", {"protocolVersion": "2025-11-25"}),
    ],
)
async def test_what_a_target_is_to_judge_goes_on_to_the_hub(door: Door, method: str, params: object) -> None:
    assert isinstance(await door.ask(method, params), Forward)
    assert door.sink.handed_in == []


async def test_nothing_is_answered_before_it_is_recorded_and_nothing_that_is_not(door: Door) -> None:
    door.sink.open.clear()
    asking = asyncio.ensure_future(door.ask("tools/call", {"name": "other__query"}))
    await door.sink.asked.wait()
    assert not asking.done()
    door.sink.refuse = lambda _: True
    door.sink.open.set()
    answer = await asking
    assert isinstance(answer, Answer)
    assert (answer.reply.status, json.loads(answer.reply.body)["error"]["code"]) == (503, 5030)


async def test_what_one_token_tries_is_one_thread(door: Door) -> None:
    for name in ("a", "b__c"):
        await door.ask("tools/call", {"name": name})
    assert len({event.session_id for event in door.sink.durable}) == 1
