"""What reaches no target at the one door leaves a trace all the same: who tried what, and why nobody got it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from countersign.api.recorder.v1 import event_pb2
from tests.support.clients import INITIALIZE, LEGACY, MODERN, Rpc, call, messages, post
from tests.support.door_place import TARGETS, Place, error_of, listened, one_door, text_of
from tests.support.in_turn import InTurn

CAN = {"capabilities": {"elicitation": {}}, "clientInfo": {"name": "test", "version": "1"}}
ASKABLE = Rpc("initialize", {**(INITIALIZE.params or {}), **CAN})


@pytest.fixture(scope="module")
def place(in_turn: InTurn) -> Iterator[Place]:
    with one_door(in_turn) as opened:
        yield opened


def reached(place: Place) -> dict[str, int]:
    return {target: len(place.seen[target].methods) for target in TARGETS}


async def sent(place: Place, person: str, body: object, **headers: str) -> httpx.Response:
    """Bring a legacy client's message, or several, as they stand on the wire."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    data = json.dumps(body).encode()
    return await post(place.gateway.door, place.token(person), Rpc("any"), era=LEGACY, headers=named, body=data)


async def refusals(place: Place, person: str) -> list[event_pb2.Event]:
    """What is on record of this person at no target, after it was looked at that all of it says who and from where."""
    events = [event for event in await place.events(person) if event.target == "mcp"]
    assert {event.source_address for event in events} <= {"127.0.0.1"}
    assert {event.decision.outcome for event in events} <= {event_pb2.OUTCOME_REFUSED}
    assert all(event.reason == event.decision.reason for event in events)
    return events


@pytest.mark.parametrize(
    "asked", ["mcp:forged", "mcp:", "old:1", 'old:"1"', "new:1", "nosuch:1", 7, "x" * 256, "-", ""]
)
async def test_an_answer_that_nobody_asked_for_is_on_record_with_what_it_says(place: Place, asked: str | int) -> None:
    person, mail = f"answers {str(asked)[:9]}", "somebody" + "@example.org"
    session = await place.session(person)
    before = reached(place)
    for said in ({"result": {"action": "accept", "content": {"to": mail}}}, {"error": {"code": 1, "message": mail}}):
        answer = await sent(place, person, {"jsonrpc": "2.0", "id": asked, **said}, mcp_session_id=session)
        assert error_of(messages(answer)[0])["code"] == -32602
    assert reached(place) == before
    events = await refusals(place, person)
    assert [(event.method, event.status) for event in events] == [("response", 200)] * 2
    assert {event.reason for event in events} <= {
        "no target gets it: nobody asked for this answer",
        "no target gets it: this is nothing that was given out here",
    }
    assert [json.loads(event.body) for event in events] == [
        {"result": {"action": "accept", "content": {"to": "[EMAIL]"}}},
        {"error": {"code": 1, "message": "[EMAIL]"}},
    ]
    assert mail not in str(events)


async def test_an_answer_in_another_session_than_was_asked_is_on_record_of_who_gave_it(place: Place) -> None:
    mine = str((await place.ask(ASKABLE, "asked", LEGACY)).headers["mcp-session-id"])
    other = await place.session("asked")
    theirs = await place.session("thief")
    async with listened(place, call("new__asks"), "asked", era=LEGACY, mcp_session_id=mine) as stream:
        question = await stream.message()
        answer = {"jsonrpc": "2.0", "id": question["id"], "result": {"action": "decline"}}
        for person, session, status in (("thief", theirs, 200), ("thief", mine, 404), ("asked", other, 200)):
            assert (await sent(place, person, answer, mcp_session_id=session)).status_code == status
        assert [(event.method, event.status) for event in await refusals(place, "thief")] == [
            ("response", 200),
            ("response", 404),
        ]
        assert len(await refusals(place, "asked")) == 1
        # Who was asked is heard all the same, and that is on record at the target alone.
        assert (await sent(place, "asked", answer, mcp_session_id=mine)).status_code == 202
        assert text_of(await stream.message()) == "new got decline"
    assert len(await refusals(place, "asked")) == 1


async def test_an_error_with_which_a_call_ends_is_on_record(place: Place) -> None:
    mine = str((await place.ask(ASKABLE, "unwilling", LEGACY)).headers["mcp-session-id"])
    async with listened(place, call("new__asks"), "unwilling", era=LEGACY, mcp_session_id=mine) as stream:
        question = await stream.message()
        answer = {"jsonrpc": "2.0", "id": question["id"], "error": {"code": -1, "message": "leave me alone"}}
        assert (await sent(place, "unwilling", answer, mcp_session_id=mine)).status_code == 202
        assert "did not answer" in text_of(await stream.message())
    (event,) = await refusals(place, "unwilling")
    assert (event.method, event.status) == ("response", 202)
    assert json.loads(event.body) == {"error": {"code": -1, "message": "leave me alone"}}


async def test_what_is_answered_beside_an_error_is_on_record_though_its_call_is_not_made_again(place: Place) -> None:
    can: dict[str, object] = {"elicitation": {}, "sampling": {}, "roots": {}}
    begin = Rpc("initialize", {**(INITIALIZE.params or {}), **CAN, "capabilities": can})
    mine = str((await place.ask(begin, "half willing", LEGACY)).headers["mcp-session-id"])
    mail = "somebody" + "@example.org"
    async with listened(place, call("new__several"), "half willing", era=LEGACY, mcp_session_id=mine) as stream:
        questions = [await stream.message() for _ in range(3)]
        for question in questions:
            said = {"error": {"code": -1, "message": "no"}}
            if question["method"] == "elicitation/create":
                said = {"result": {"action": "accept", "content": {"value": mail}}}
            answer = {"jsonrpc": "2.0", "id": question["id"], **said}
            assert (await sent(place, "half willing", answer, mcp_session_id=mine)).status_code == 202
        assert "did not answer" in text_of(await stream.message())
    events = await refusals(place, "half willing")
    assert sorted(next(iter(json.loads(event.body))) for event in events) == ["error", "error", "result"]
    (event,) = [event for event in events if "result" in json.loads(event.body)]
    assert json.loads(event.body) == {"result": {"action": "accept", "content": {"value": "[EMAIL]"}}}
    assert event.reason == "no target gets it: the call that it is for is not made again"


UNOFFERED: tuple[tuple[str, str, dict[str, Any], int], ...] = (
    (LEGACY, "tasks/list", {}, 200),
    (LEGACY, "server/discover", {}, 200),
    (LEGACY, "subscriptions/listen", {"notifications": {}}, 200),
    (LEGACY, "tools/list", {"cursor": "forged"}, 200),
    (LEGACY, "tools/list", {"cursor": 5}, 200),
    (MODERN, "prompts/list", {"cursor": "forged"}, 200),
    (MODERN, "subscriptions/listen", {"notifications": {"resourceSubscriptions": ["file:///x"]}}, 200),
    (LEGACY, "notifications/unheard-of", {"x": 1}, 202),
    (LEGACY, "unheard-of", {"x": 1}, 202),
    (LEGACY, "notifications/progress", {"progressToken": 1, "progress": 1}, 202),
    (LEGACY, "notifications/cancelled", {"requestId": 9}, 202),
    (LEGACY, "notifications/cancelled", {"requestId": {"a": 1}}, 202),
    (LEGACY, "notifications/roots/list_changed", {}, 202),
    (MODERN, "notifications/cancelled", {"requestId": 9}, 202),
    (MODERN, "notifications/unheard-of", {"x": 1}, 202),
)


@pytest.mark.parametrize(("era", "method", "params", "status"), UNOFFERED)
async def test_what_the_door_does_not_offer_or_passes_to_nobody_is_on_record(
    place: Place, era: str, method: str, params: dict[str, Any], status: int
) -> None:
    mail = "somebody" + "@example.org"
    person = f"{era} tries {method} {json.dumps(params)}"
    session = {"mcp_session_id": await place.session(person)} if era == LEGACY else {}
    before = reached(place)
    is_request = status == 200
    rpc = Rpc(method, {**params, "note": mail}, 1 if is_request else None)
    answer = await place.ask(rpc, person, era, **session)
    assert answer.status_code == status
    assert not is_request or error_of(messages(answer)[0])["code"] in (-32601, -32602)
    assert reached(place) == before
    (event,) = await refusals(place, person)
    assert (event.method, event.status) == (method, status)
    assert event.reason.startswith("no target gets it: ")
    assert json.loads(event.body).items() >= {**params, "note": "[EMAIL]"}.items()
    assert mail not in str(event)


async def test_a_batch_is_on_record_message_by_message(place: Place) -> None:
    session = await place.session("batcher")
    before = reached(place)
    batch = [
        {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": "new__where", "arguments": {"text": "a"}},
        },
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 5}},
    ]
    version = {"mcp_protocol_version": "2025-03-26"}
    assert (await sent(place, "batcher", batch, mcp_session_id=session, **version)).status_code == 400
    assert reached(place) == before
    events = await refusals(place, "batcher")
    assert {(event.method, event.name, event.status) for event in events} == {
        ("tools/call", "new__where", 400),
        ("notifications/cancelled", "", 400),
    }
    assert len({event.call_id for event in events}) == 1


async def test_what_comes_in_no_session_of_its_callers_is_on_record(place: Place) -> None:
    mine = await place.session("owner of a session")
    person, ping = "enters", {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    altered = ("A" if mine[0] != "A" else "B") + mine[1:]
    for headers, status in (
        ({"mcp_session_id": mine}, 404),
        ({"mcp_session_id": altered}, 404),
        ({"mcp_session_id": "x" * 1024}, 404),
        ({}, 400),
    ):
        assert (await sent(place, person, ping, **headers)).status_code == status
    async with httpx.AsyncClient() as http:
        headers = {"authorization": f"Bearer {place.token(person)}", "mcp-session-id": mine}
        assert (await http.delete(place.gateway.door, headers=headers)).status_code == 404
        headers["accept"] = "text/event-stream"
        assert (await http.get(place.gateway.door, headers=headers)).status_code == 404
        headers = {"authorization": f"Bearer {place.token('owner of a session')}", "mcp-session-id": mine}
        assert (await http.delete(place.gateway.door, headers=headers)).status_code == 204
    assert (await sent(place, "owner of a session", ping, mcp_session_id=mine)).status_code == 404
    events = await refusals(place, person)
    assert [(event.method, event.status) for event in events] == [
        *[("ping", 404)] * 3,
        ("ping", 400),
        ("DELETE", 404),
        ("GET", 404),
    ]
    (late,) = await refusals(place, "owner of a session")
    assert (late.method, late.reason) == ("ping", "no target gets it: there is no such session")


async def test_who_may_use_nothing_is_on_record_with_what_they_look_for(place: Place) -> None:
    token = place.issuer.token("alice", place.gateway.door, sub="stranger", groups=["strangers"])
    for rpc in (Rpc("tools/list"), Rpc("resources/list")):
        assert (await post(place.gateway.door, token, rpc)).status_code == 200
    begun = await post(place.gateway.door, token, INITIALIZE, era=LEGACY)
    headers = {"authorization": f"Bearer {token}", "accept": "text/event-stream"}
    headers["mcp-session-id"] = begun.headers["mcp-session-id"]
    async with httpx.AsyncClient() as http:
        assert (await http.get(place.gateway.door, headers=headers)).status_code == 405
    events = await refusals(place, "stranger")
    assert [(event.method, event.status) for event in events] == [
        ("tools/list", 200),
        ("resources/list", 200),
        ("GET", 405),
    ]


async def test_resources_of_nobody_that_are_listened_to_are_on_record_beside_what_is_granted(place: Place) -> None:
    wanted = {"toolsListChanged": True, "resourceSubscriptions": ["nosuch+a:b", "new+a:b"]}
    async with listened(place, Rpc("subscriptions/listen", {"notifications": wanted}), "listener") as stream:
        granted = (await stream.message())["params"]["notifications"]
    assert granted == {"toolsListChanged": True, "resourceSubscriptions": ["new+a:b"]}
    (event,) = await refusals(place, "listener")
    assert json.loads(event.body)["notifications"] == wanted
    assert event.status == 200
    wanted["resourceSubscriptions"] = ["new+a:b"]
    async with listened(place, Rpc("subscriptions/listen", {"notifications": wanted}), "quiet listener") as stream:
        await stream.message()
    assert await refusals(place, "quiet listener") == []


async def test_a_stream_that_goes_on_from_nobodys_event_is_on_record(place: Place) -> None:
    session = await place.session("resumer")
    headers = {"authorization": f"Bearer {place.token('resumer')}", "accept": "text/event-stream"}
    headers |= {"mcp-session-id": session, "last-event-id": "pnosuch:1"}
    async with httpx.AsyncClient() as http:
        assert (await http.get(place.gateway.door, headers=headers)).status_code == 200
    (event,) = await refusals(place, "resumer")
    assert (event.method, event.other_lines) == ("GET", "Last-Event-ID: pnosuch:1")


@pytest.mark.parametrize("era", [LEGACY, MODERN])
async def test_a_call_of_a_target_that_is_down_is_on_record(place: Place, era: str) -> None:
    person = f"calls in {era} who is down"
    session = {"mcp_session_id": await place.session(person)} if era == LEGACY else {}
    assert (await place.ask(call("told__where", {"text": "a"}), person, era, **session)).status_code == 502
    (event,) = await refusals(place, person)
    assert (event.method, event.name, event.status) == ("tools/call", "told__where", 502)


@pytest.mark.parametrize("mirrors", [60, 76, 77, 78, 79, 80, 81, 82, 83, 84, 89])
async def test_no_number_of_headers_has_a_call_pass_without_a_trace(place: Place, mirrors: int) -> None:
    """A request that Envoy takes from its caller may have too many for it inside."""
    person, before = f"mirrors {mirrors}", reached(place)
    headers = {f"mcp_param_{number}": "a" for number in range(mirrors)}
    answer = await place.ask(call("new__where", {"text": "a"}), person, **headers)
    events = [event for event in await place.events(person) if event.method == "tools/call"]
    assert [event.target for event in events] == (["new"] if answer.status_code == 200 else ["mcp"]), answer.text
    assert answer.status_code == 200 or reached(place) == before


@pytest.mark.parametrize("left", [0, 30, 5_000])
async def test_no_length_has_a_call_pass_without_a_trace(place: Place, left: int) -> None:
    """What a modern target is told of a legacy client makes a request longer than it came."""
    person = f"{left} bytes left"
    empty = json.dumps({"jsonrpc": "2.0", "id": 1, **_called("")})
    body = {"jsonrpc": "2.0", "id": 1, **_called("a" * ((1 << 20) - left - len(empty)))}
    answer = await sent(place, person, body, mcp_session_id=await place.session(person))
    events = [event for event in await place.events(person) if event.method == "tools/call"]
    target, status = ("new", 200) if left == 5_000 else ("mcp", 413)
    assert [event.target for event in events] == [target]
    assert answer.status_code == status


def _called(text: str) -> dict[str, object]:
    return {"method": "tools/call", "params": {"name": "new__where", "arguments": {"text": text}}}


@pytest.mark.parametrize("kib", [20, 28, 29, 30, 31, 32, 40, 61])
@pytest.mark.parametrize("name", ["mcp-param-a", "accept", "x-anything"])
async def test_no_length_of_a_header_has_a_call_pass_without_a_trace(place: Place, name: str, kib: int) -> None:
    person, before, long = f"{name} of {kib} KiB", reached(place), "x" * (kib * 1024)
    headers = {name: f"application/json, text/event-stream, {long}" if name == "accept" else long}
    answer = await place.ask(call("new__where", {"text": long}), person, **headers)
    events = [event for event in await place.events(person) if event.method == "tools/call"]
    assert [event.target for event in events] == (["new"] if answer.status_code == 200 else ["mcp"]), answer.text
    assert answer.status_code == 200 or reached(place) == before
