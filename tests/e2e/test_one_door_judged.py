"""The one door is no way around anything: who comes through it is judged and recorded as at the target itself."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from countersign.api.recorder.v1 import event_pb2
from tests.support.clients import LEGACY, MODERN, Rpc, call, mcp_client, messages, post
from tests.support.door_place import TARGETS, Place, error_of, one_door, result_of, text, text_of
from tests.support.in_turn import InTurn


@pytest.fixture(scope="module")
def place(in_turn: InTurn) -> Iterator[Place]:
    with one_door(in_turn) as opened:
        yield opened


async def test_a_caller_is_offered_what_rules_allow_and_other_targets_are_not_asked(place: Place) -> None:
    before = {target: len(place.seen[target].methods) for target in TARGETS}
    for mode in (LEGACY, MODERN):
        async with mcp_client(place.gateway.door, place.token("bob"), mode) as client:
            listed = await client.list_tools()
            assert [tool.name for tool in listed.tools] == ["new__where"]
            assert not (listed.meta or {}).get("countersign/leftOut")
            assert (await client.list_prompts()).prompts == []
            assert text(await client.call_tool("new__where", {})) == "new"
            for target in ("old", "told"):
                denied = await client.call_tool(f"{target}__where", {})
                assert text(denied) == f"No rule allows bob to call tools/call where on {target}."
            assert (await client.call_tool("new__steps", {})).is_error
    asked = {target for target in TARGETS if len(place.seen[target].methods) > before[target]}
    assert asked == {"new"}
    refused = [event for event in await place.events("bob") if event.decision.outcome == event_pb2.OUTCOME_DENY]
    named = {(event.target, event.method, event.name) for event in refused}
    assert named == {(target, "tools/call", "where") for target in ("old", "told")} | {("new", "tools/call", "steps")}


@pytest.mark.parametrize("era", [LEGACY, MODERN])
async def test_what_a_rule_denies_is_denied_behind_the_door_too_and_what_it_masks_is_masked(
    place: Place, era: str
) -> None:
    session = {"mcp_session_id": await place.session()} if era == LEGACY else {}
    mail = "somebody" + "@example.org"
    for target in TARGETS:
        before = place.seen[target].methods.count("tools/call")
        (message,) = messages(await place.ask(call(f"{target}__forbidden"), era=era, **session))
        assert "Not that." in text_of(message)
        assert place.seen[target].methods.count("tools/call") == before
        (message,) = messages(await place.ask(call(f"{target}__where", {"text": mail}), era=era, **session))
        assert text_of(message) == f"{target} [EMAIL]"


async def test_a_token_opens_the_door_it_is_for_and_no_other(place: Place) -> None:
    door, target = place.gateway.door, place.gateway.endpoint("new")
    for url, audience, path in ((door, target, "/mcp"), (door, place.gateway.url, "/mcp"), (target, door, "/new/mcp")):
        refused = await post(url, place.issuer.token("alice", audience), Rpc("tools/list"))
        assert refused.status_code == 401
        metadata = f"{place.gateway.url}/.well-known/oauth-protected-resource{path}"
        assert f'resource_metadata="{metadata}"' in refused.headers["www-authenticate"]
        async with httpx.AsyncClient() as http:
            assert (await http.get(metadata)).json()["resource"] == url
    assert (await post(door, None, Rpc("tools/list"))).status_code == 401


async def test_nobody_can_say_who_or_where_they_are_in_the_names_of_our_services(place: Place) -> None:
    bob = place.token("bob")
    forged = {
        "x-countersign-principal": "AAAA",
        "x-countersign-source": "192.0.2.99",
        "x-countersign-service": "AAAA",
        "x-countersign-inner": "yes",
        "x-forwarded-for": "192.0.2.98",
    }
    rpc = call("new__where", {"text": "forged"})
    answer = await post(place.gateway.door, bob, rpc, headers=forged)
    assert text_of(messages(answer)[0]) == "new forged"
    reached = place.seen["new"].headers[-1]
    assert not any(name.startswith("x-countersign") for name in reached)
    assert bob not in json.dumps(reached)
    # A token for the door stays one for the door, whatever else is sent.
    assert (await post(place.gateway.endpoint("new"), bob, call("where"), headers=forged)).status_code == 401
    events = await place.events("bob")
    assert {event.source_address for event in events} == {"127.0.0.1"}


async def test_a_session_at_the_door_is_its_callers_alone_and_ends(place: Place) -> None:
    mine = await place.session()
    assert (await place.ask(Rpc("tools/list"), era=LEGACY, mcp_session_id=mine)).status_code == 200
    assert (await place.ask(Rpc("tools/list"), "bob", LEGACY, mcp_session_id=mine)).status_code == 404
    # Not the last character: some of its bits say nothing.
    altered = ("A" if mine[0] != "A" else "B") + mine[1:]
    assert (await place.ask(Rpc("tools/list"), era=LEGACY, mcp_session_id=altered)).status_code == 404
    assert (await place.ask(Rpc("tools/list"), era=LEGACY)).status_code == 400
    before = place.seen["old"].methods.count("DELETE")
    async with httpx.AsyncClient() as http:
        headers = {"authorization": f"Bearer {place.token()}", "mcp-session-id": mine}
        assert (await http.delete(place.gateway.door, headers=headers)).status_code == 204
    assert place.seen["old"].methods.count("DELETE") == before + 1
    assert (await place.ask(Rpc("tools/list"), era=LEGACY, mcp_session_id=mine)).status_code == 404


NOBODYS: tuple[tuple[str, dict[str, str]], ...] = (
    ("tools/call", {"name": "where"}),
    ("tools/call", {"name": "nobody__where"}),
    ("tools/call", {"name": "__where"}),
    ("tools/call", {"name": "new__"}),
    ("tools/call", {"name": "NEW__where"}),
    ("tools/call", {"name": "../new__where"}),
    ("tools/call", {"name": "mcp__where"}),
    ("prompts/get", {"name": "greet"}),
    ("resources/read", {"uri": "file:///new/notes"}),
    ("resources/read", {"uri": "mcp+new+file:///new/notes"}),
    ("resources/read", {"uri": "new%2bfile:///new/notes"}),
    ("tasks/get", {"taskId": "new"}),
    ("tools/enumerate", {"name": "new__where"}),
)


async def test_names_that_are_nobodys_are_asked_of_nobody_and_on_the_record(place: Place) -> None:
    before = {target: len(place.seen[target].methods) for target in TARGETS}
    for method, params in NOBODYS:
        mirrored = {"mcp_name": params["taskId"]} if "taskId" in params else {}
        (message,) = messages(await place.ask(Rpc(method, params), "prober", **mirrored))
        assert error_of(message)["code"] == (-32601 if method == "tools/enumerate" else -32602), params
    assert {target: len(place.seen[target].methods) for target in TARGETS} == before
    events = await place.events("prober")
    assert {(event.target, event.decision.outcome) for event in events} == {("mcp", event_pb2.OUTCOME_DENY)}
    assert [event.method for event in events] == [method for method, _ in NOBODYS]
    named = [params.get("name", params.get("uri", "")) for _, params in NOBODYS[:-1]]
    assert [event.name for event in events] == [*named, ""]
    for event, (_, params) in zip(events, NOBODYS, strict=True):
        assert json.loads(event.body).items() >= params.items()


@pytest.mark.parametrize("era", [LEGACY, MODERN])
async def test_what_is_tried_at_no_target_is_recorded_as_masked_as_any_call(place: Place, era: str) -> None:
    mail, person = "somebody" + "@example.org", f"tries in {era}"
    session = {"mcp_session_id": await place.session(person)} if era == LEGACY else {}
    rpc = call(f"nosuch__mail to {mail}", {"to": mail}, id="tried")
    (message,) = messages(await place.ask(rpc, person, era, **session))
    assert (message["id"], error_of(message)["code"]) == ("tried", -32602)
    (event,) = [each for each in await place.events(person) if each.method == "tools/call"]
    assert (event.target, event.name, event.source_address) == ("mcp", "nosuch__mail to [EMAIL]", "127.0.0.1")
    assert json.loads(event.body)["arguments"] == {"to": "[EMAIL]"}
    assert mail not in str(event)


async def test_every_request_that_reaches_a_target_is_on_its_own_record(place: Place) -> None:
    """Also those that the hub makes by itself: it has no way around the judge."""
    starts = {target: len(place.seen[target].methods) for target in TARGETS}
    for mode in (LEGACY, MODERN):
        async with mcp_client(place.gateway.door, place.token("frank"), mode) as client:
            await client.list_tools()
            for target in TARGETS:
                await client.call_tool(f"{target}__where", {})
    events = await place.events("frank")
    for target in TARGETS:
        reached = place.seen[target].methods[starts[target] :]
        recorded = [event.method for event in events if event.target == target]
        assert sorted(recorded) == sorted(reached)
        named = [event for event in events if event.target == target and event.method == "tools/call"]
        assert [event.name for event in named] == ["where"] * 2
    assert not [event for event in events if event.target == "mcp"]


async def test_what_is_malformed_at_the_door_is_refused_and_recorded(place: Place) -> None:
    asked = sum(len(seen.methods) for seen in place.seen.values())
    twice = b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}'
    refused = await post(place.gateway.door, place.token("grace"), Rpc("ping"), era=LEGACY, body=twice)
    assert refused.status_code == 400
    lying = await place.ask(call("new__where"), "grace", mcp_name="new__exact")
    assert (lying.status_code, lying.json()["error"]["code"]) == (400, -32020)
    events = await place.events("grace")
    assert [(event.target, event.decision.outcome) for event in events] == [("mcp", event_pb2.OUTCOME_REFUSED)] * 2
    assert sum(len(seen.methods) for seen in place.seen.values()) == asked


@pytest.mark.parametrize(("era", "target"), [(LEGACY, "old"), (LEGACY, "new"), (MODERN, "old")])
async def test_a_call_that_waits_for_people_waits_behind_the_door_too(place: Place, era: str, target: str) -> None:
    session = {"mcp_session_id": await place.session()} if era == LEGACY else {}
    rpc = call(f"{target}__agreed")
    (message,) = messages(await place.ask(rpc, era=era, **session))
    assert "waiting for approval by" in text_of(message)
    async with place.owner() as owner:
        await owner.decide(await owner.wait_for(lambda one: one.target == target))
    (message,) = messages(await place.ask(rpc, era=era, **session))
    assert text_of(message) == f"{target} ran"


async def test_a_wait_is_a_task_at_the_door(place: Place) -> None:
    async def ask(rpc: Rpc, person: str = "alice", **headers: str) -> dict[str, object]:
        body = json.loads(rpc.body(MODERN))
        tasks: dict[str, object] = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
        body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = tasks
        sent = json.dumps(body).encode()
        (message,) = messages(await post(place.gateway.door, place.token(person), rpc, headers=headers, body=sent))
        return message

    task = result_of(await ask(call("new__agreed")))
    assert (task["resultType"], task["status"]) == ("task", "working")
    assert task["taskId"].startswith("new:cs-task")

    async def status(task_id: str, person: str = "alice") -> dict[str, object]:
        return await ask(Rpc("tasks/get", {"taskId": task_id}), person, **{"mcp-name": task_id})

    assert result_of(await status(task["taskId"]))["status"] == "working"
    # Another's, and the same of another target.
    assert error_of(await status(task["taskId"], "harry"))["code"] == -32602
    assert error_of(await status(task["taskId"].replace("new:", "both:")))["code"] == -32602
    async with place.owner() as owner:
        await owner.decide(await owner.wait_for(lambda one: one.target == "new"))
    assert result_of(await status(task["taskId"]))["status"] == "completed"
    assert text_of(messages(await place.ask(call("new__agreed")))[0]) == "new ran"
