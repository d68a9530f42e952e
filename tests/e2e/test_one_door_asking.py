"""What targets ask of the people behind clients, through the one door."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CreateMessageResult, ElicitResult, ErrorData, ListRootsResult, Root, TextContent
from pydantic import FileUrl

from countersign.api.access.v1 import revocations_pb2
from tests.support.clients import INITIALIZE, LEGACY, MODERN, Rpc, call, messages, post
from tests.support.door_place import Lines, Place, error_of, listened, one_door, text, text_of
from tests.support.in_turn import InTurn

EVERY_PAIR = [(LEGACY, "old"), (LEGACY, "new"), (LEGACY, "both"), (MODERN, "new"), (MODERN, "both")]


@pytest.fixture(scope="module")
def place(in_turn: InTurn) -> Iterator[Place]:
    with one_door(in_turn) as opened:
        yield opened


@asynccontextmanager
async def asked(place: Place, mode: str, **callbacks: Any) -> AsyncIterator[Client]:
    """A client that can be asked something."""
    headers = {"authorization": f"Bearer {place.token()}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
        Client(streamable_http_client(place.gateway.door, http_client=http), mode=mode, **callbacks) as client,
    ):
        yield client


async def agrees(context: Any, params: Any) -> ElicitResult:
    return ElicitResult(action="accept", content={"value": f"yes to {params.message}"})


@pytest.mark.parametrize(("mode", "target"), EVERY_PAIR)
async def test_a_target_asks_the_person_behind_a_client_who_is_told_which_it_is(
    place: Place, mode: str, target: str
) -> None:
    async with asked(place, mode, elicitation_callback=agrees) as client:
        said = text(await client.call_tool(f"{target}__asks", {}))
        assert said == f"{target} got yes to {target}: {target} asks"
        # A target that writes another's name writes it behind its own.
        said = text(await client.call_tool(f"{target}__asks", {"words": "Thanks.\n\nbank: Your password?"}))
    assert said == f"{target} got yes to {target}: Thanks.\n{target}:\n{target}: bank: Your password?"


@pytest.mark.parametrize("mode", [LEGACY, MODERN])
async def test_a_modern_target_asks_clients_of_either_era_all_that_can_be_asked(place: Place, mode: str) -> None:
    async def sample(context: Any, params: Any) -> CreateMessageResult:
        said = TextContent(type="text", text=f"[{params.system_prompt}]")
        return CreateMessageResult(role="assistant", content=said, model="m")

    async def roots(context: Any) -> ListRootsResult:
        return ListRootsResult(roots=[Root(uri=FileUrl("file:///here"))])

    callbacks: dict[str, Any] = {
        "elicitation_callback": agrees,
        "sampling_callback": sample,
        "list_roots_callback": roots,
    }
    async with asked(place, mode, **callbacks) as client:
        said = text(await client.call_tool("new__several", {}))
    answers = "yes to new: Which? [This is asked by new.] file:///here"
    assert said == f"new got yes to new: {answers}"


async def test_who_says_no_to_a_modern_target_is_heard_and_who_cannot_answer_ends_the_call(place: Place) -> None:
    async def declines(context: Any, params: Any) -> ElicitResult:
        return ElicitResult(action="decline")

    async with asked(place, LEGACY, elicitation_callback=declines) as client:
        assert text(await client.call_tool("new__asks", {})) == "new got decline"

    async def fails(context: Any, params: Any) -> ErrorData:
        return ErrorData(code=-1, message="there is nobody")

    before = place.seen["new"].methods.count("tools/call")
    async with asked(place, LEGACY, elicitation_callback=fails) as client:
        result = await client.call_tool("new__asks", {})
    assert result.is_error
    assert text(result) == "the client did not answer what the target asks"
    assert place.seen["new"].methods.count("tools/call") == before + 1


CAN = {"capabilities": {"elicitation": {}}, "clientInfo": {"name": "test", "version": "1"}}
ASKABLE = Rpc("initialize", {**(INITIALIZE.params or {}), **CAN})
YES = {"action": "accept", "content": {"value": "yes"}}


@asynccontextmanager
async def question(place: Place, person: str, session: str) -> AsyncIterator[tuple[Lines, dict[str, Any]]]:
    """A call of a modern target, under way, and what it asks."""
    rpc = call("new__asks", id="asking")
    async with listened(place, rpc, person, era=LEGACY, mcp_session_id=session) as stream:
        yield stream, await stream.message()


async def answered(place: Place, person: str, session: str, asked_id: object, result: object) -> Any:
    """Answer what was asked, as this person in this session."""
    body = json.dumps({"jsonrpc": "2.0", "id": asked_id, "result": result}).encode()
    headers = {"mcp-session-id": session}
    rpc = Rpc("answer")
    return await post(place.gateway.door, place.token(person), rpc, era=LEGACY, headers=headers, body=body)


async def test_what_a_modern_target_asks_is_answered_once_and_by_whom_it_was_asked(place: Place) -> None:
    sessions = {person: str((await place.ask(ASKABLE, person, LEGACY)).headers["mcp-session-id"]) for person in "ij"}
    other = str((await place.ask(ASKABLE, "i", LEGACY)).headers["mcp-session-id"])
    async with question(place, "i", sessions["i"]) as (stream, request):
        assert request["method"] == "elicitation/create"
        assert request["params"]["message"] == "new: new asks"
        for person, session, asked_id in (
            ("j", sessions["j"], request["id"]),
            ("i", other, request["id"]),
            ("i", sessions["i"], request["id"] + "0"),
            ("i", sessions["i"], request["id"].replace("mcp:", "new:")),
        ):
            refused = await answered(place, person, session, asked_id, YES)
            assert error_of(messages(refused)[0])["code"] == -32602
        assert (await answered(place, "j", sessions["i"], request["id"], YES)).status_code == 404
        assert (await answered(place, "i", sessions["i"], request["id"], YES)).status_code == 202
        again = await answered(place, "i", sessions["i"], request["id"], YES)
        assert error_of(messages(again)[0])["code"] == -32602
        message = await stream.message()
    assert (message["id"], text_of(message)) == ("asking", "new got yes")


async def test_what_a_client_answers_is_judged_and_recorded_with_the_call_that_goes_on(place: Place) -> None:
    session = str((await place.ask(ASKABLE, "kate", LEGACY)).headers["mcp-session-id"])
    mail = "somebody" + "@example.org"
    async with question(place, "kate", session) as (stream, request):
        answer = {"action": "accept", "content": {"value": mail}}
        assert (await answered(place, "kate", session, request["id"], answer)).status_code == 202
        message = await stream.message()
    # For the caller it is masked as all that the target says, and in the record, too.
    assert text_of(message) == "new got [EMAIL]"
    calls = [event for event in await place.events("kate") if (event.target, event.method) == ("new", "tools/call")]
    assert [event.name for event in calls] == ["asks", "asks"]
    first, second = (json.loads(event.body) for event in calls)
    assert "inputResponses" not in first
    assert second["inputResponses"] == {"one": {"action": "accept", "content": {"value": "[EMAIL]"}}}
    assert mail.encode() not in calls[1].body


async def test_nobody_waits_for_the_answer_of_who_is_revoked(place: Place) -> None:
    session = str((await place.ask(ASKABLE, "mona", LEGACY)).headers["mcp-session-id"])
    async with question(place, "mona", session) as (stream, _):
        async with place.revoker() as operator:
            await operator.revoke(revocations_pb2.REVOCATION_KIND_PRINCIPAL, "mona")
        message = await stream.message()
        assert (message["id"], error_of(message)["code"]) == ("asking", 4010)
        with pytest.raises(EOFError):
            await stream.message()


async def test_a_call_whose_client_is_asked_ends_when_it_is_cancelled(place: Place) -> None:
    session = str((await place.ask(ASKABLE, "lena", LEGACY)).headers["mcp-session-id"])
    async with question(place, "lena", session) as (stream, request):
        told = Rpc("notifications/cancelled", {"requestId": "asking"}, id=None)
        assert (await place.ask(told, "lena", LEGACY, mcp_session_id=session)).status_code == 202
        with pytest.raises((EOFError, httpx.HTTPError)):
            await stream.message()
        late = await answered(place, "lena", session, request["id"], YES)
        assert error_of(messages(late)[0])["code"] == -32602


async def test_nobody_waits_for_the_answer_of_a_session_that_is_over(place: Place) -> None:
    session = str((await place.ask(ASKABLE, "pia", LEGACY)).headers["mcp-session-id"])
    async with question(place, "pia", session) as (stream, request):
        headers = {"authorization": f"Bearer {place.token('pia')}", "mcp-session-id": session}
        async with httpx.AsyncClient() as http:
            assert (await http.delete(place.gateway.door, headers=headers)).status_code == 204
        message = await stream.message()
        assert text_of(message) == "the client did not answer what the target asks"
        assert (await answered(place, "pia", session, request["id"], YES)).status_code == 404
