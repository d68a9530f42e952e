"""What the hub answers by itself: authz records it with its caller before the hub hears that it may answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from countersign.authz.envoy import Answer, Inquiry
from countersign.authz.hub import HubDoor
from countersign.authz.nameless import Nameless
from countersign.identity import Unidentified
from countersign.mcp import HttpRequest
from countersign.model.decision import Outcome
from countersign.model.event import Event
from countersign.runtime.aside import Aside
from countersign.runtime.moments import new_id
from countersign.runtime.rulebook import Rulebook
from tests.unit.authz.bench import GATEWAY, HEADERS, NOW_US, SEALER, Bench

MAIL = "somebody" + "@example.org"
LEGACY = {**HEADERS, "mcp-protocol-version": "2025-11-25"}
SAID = {"x-countersign-dismissed": "404 no target gets it: there is no such session"}


class Place:
    """Where the hub brings what no target gets, before a recorder that the test controls."""

    def __init__(self, folder: Path, cache_dir: Path) -> None:
        path = folder / "gateway.yaml"
        path.write_text(GATEWAY.replace('test"}\nidentity', 'test", hub: true}\nidentity'))
        rulebook = Rulebook(path, {}, cache_dir, reads=())
        self.bench = bench = Bench(rulebook)
        self.sink, aside = bench.sink, Aside(from_bytes=1 << 20, at_once=1)
        nameless = Nameless(self.sink, SEALER, aside, new_id)
        self.door = HubDoor(rulebook, bench.verifier, SEALER, bench.judge, nameless, aside, lambda: NOW_US)

    async def bring(self, message: object, headers: Mapping[str, str] = SAID) -> Answer:
        body = b"" if message is None else json.dumps(message).encode()
        sent = {**LEGACY, "authorization": "Bearer x", **headers}
        http = HttpRequest("GET" if message is None else "POST", sent, body)
        return await self.door.dismissed(Inquiry("dismissed", "mcp", http, "/mcp", "192.0.2.7", "", inner=True))


@pytest.fixture
def place(tmp_path: Path, rules_cache: Path) -> Place:
    return Place(tmp_path, rules_cache)


def told(event: Event) -> tuple[str, str, str, int, str]:
    assert event.principal is not None
    assert event.decision is not None
    assert event.decision.outcome is Outcome.REFUSED
    assert event.reason == event.decision.reason
    return event.target, event.principal.subject, event.source_address, event.status, event.reason


@pytest.mark.parametrize(
    ("message", "method", "body"),
    [
        ({"id": 1, "method": "ping"}, "ping", None),
        ({"id": 1, "method": "tools/call", "params": {"name": MAIL}}, "tools/call", {"name": "[EMAIL]"}),
        ({"method": MAIL, "params": {"x": MAIL}}, "[EMAIL]", {"x": "[EMAIL]"}),
        ({"id": "mcp:x", "result": {"content": {"to": MAIL}}}, "response", {"result": {"content": {"to": "[EMAIL]"}}}),
        (
            {"id": 5, "error": {"code": 1, "message": MAIL, "data": {"ssn": "123"}}},
            "response",
            {"error": {"code": 1, "message": "[EMAIL]", "data": {"ssn": "[SSN]"}}},
        ),
        (None, "GET", None),
    ],
)
async def test_it_is_on_record_with_its_caller_its_reason_and_what_it_says_masked(
    place: Place, message: dict[str, object] | None, method: str, body: object
) -> None:
    answer = await place.bring(None if message is None else {"jsonrpc": "2.0", **message})
    assert (answer.reply.status, answer.reply.body, answer.summary.decision) == (202, b"", "refused")
    (event,) = place.sink.durable
    assert told(event) == ("mcp", "alice", "192.0.2.7", 404, "no target gets it: there is no such session")
    assert event.method == method
    assert (json.loads(event.body) if event.body else None) == body
    assert MAIL not in event.name


async def test_each_message_of_a_batch_is_on_record(place: Place) -> None:
    batch = [{"jsonrpc": "2.0", "id": number, "method": "ping"} for number in range(32)]
    await place.bring(batch, {**SAID, "mcp-protocol-version": "2025-03-26"})
    assert [event.method for event in place.sink.durable] == ["ping"] * 32
    assert len({event.event_id for event in place.sink.durable}) == 32
    assert len({(event.session_id, event.call_id) for event in place.sink.durable}) == 1


async def test_whose_session_it_names_makes_no_thread_of_its_own(place: Place) -> None:
    for session in ("a", "b"):
        await place.bring({"jsonrpc": "2.0", "id": 1, "method": "ping"}, {**SAID, "mcp-session-id": session})
    assert len({event.session_id for event in place.sink.durable}) == 1


async def test_the_hub_hears_that_it_may_answer_once_it_is_durable_and_never_otherwise(place: Place) -> None:
    place.sink.open.clear()
    bringing = asyncio.ensure_future(place.bring({"jsonrpc": "2.0", "id": 1, "method": "ping"}))
    await place.sink.asked.wait()
    assert not bringing.done()
    place.sink.refuse = lambda _: True
    place.sink.open.set()
    answer = await bringing
    assert (answer.reply.status, json.loads(answer.reply.body)["error"]["code"]) == (503, 5030)


async def test_what_cannot_be_read_any_more_is_on_record_too(place: Place) -> None:
    answer = await place.bring({"jsonrpc": "2.0"})
    assert answer.reply.status == 202
    (event,) = place.sink.durable
    assert event.decision is not None
    assert (event.target, event.decision.outcome, event.body) == ("mcp", Outcome.REFUSED, b"")


async def test_who_is_nobody_by_now_is_told_so(place: Place) -> None:
    place.bench.verifier.error = Unidentified("it was revoked")
    answer = await place.bring({"jsonrpc": "2.0", "id": 1, "method": "ping"})
    assert (answer.reply.status, answer.summary.decision) == (401, "refused")


@pytest.mark.parametrize(
    "said", ["", "200", "OK", "99 x", "600 x", "200 ", "200 \u00e4", "200 " + "x" * 201, "200 a,b\n"]
)
async def test_what_the_hub_does_not_say_rightly_is_not_taken(place: Place, said: str) -> None:
    with pytest.raises(LookupError):
        await place.bring({"jsonrpc": "2.0", "id": 1, "method": "ping"}, {"x-countersign-dismissed": said})
    assert place.sink.handed_in == []


async def test_only_the_hub_is_believed(place: Place) -> None:
    http = HttpRequest(
        "POST", {**LEGACY, **SAID, "authorization": "Bearer x"}, b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
    )
    with pytest.raises(LookupError):
        await place.door.dismissed(Inquiry("dismissed", "mcp", http, "/mcp", "192.0.2.7", ""))
    assert place.sink.handed_in == []


@pytest.mark.parametrize(("lines", "head"), [(97, {}), (9, {"accept": "x" * 32_000}), (9, {"x-other": "x" * 65_000})])
async def test_what_envoy_or_the_hub_would_turn_away_is_turned_away_on_record(
    place: Place, lines: int, head: dict[str, str]
) -> None:
    body = b'{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"orders__query"}}'
    inquiry = Inquiry("hub", "mcp", HttpRequest("POST", {**LEGACY, **head}, body), "/mcp", "192.0.2.7", "")
    answer = await place.door.admit(replace(inquiry, head_lines=lines))
    assert isinstance(answer, Answer)
    assert (answer.reply.status, json.loads(answer.reply.body)["id"], answer.summary.decision) == (431, 3, "refused")
    (event,) = place.sink.durable
    assert (event.method, event.name, event.status) == ("tools/call", "orders__query", 431)
    place.sink.refuse = lambda _: True
    answer = await place.door.admit(replace(inquiry, head_lines=lines))
    assert isinstance(answer, Answer)
    assert answer.reply.status == 503
