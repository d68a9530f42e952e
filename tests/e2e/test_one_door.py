"""One door for all targets: what it offers, to whom, and that every call through it is judged as its target's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import (
    ElicitResult,
    PromptReference,
    ResourceLink,
    ResourceTemplateReference,
    TextResourceContents,
)

from countersign.api.access.v1 import revocations_pb2
from countersign.api.recorder.v1 import event_pb2
from tests.fault.rig import eventually
from tests.support.clients import AUTO, LEGACY, MODERN, Rpc, call, mcp_client, messages, post
from tests.support.door_place import Place, error_of, listened, result_of, text, text_of
from tests.support.door_targets import Talker, running_server
from tests.support.gateway import Setup, Upstream, free_port
from tests.support.in_turn import InTurn
from tests.support.issuer import running_issuer
from tests.support.recorders import until
from tests.support.targets import Exchange, scripted_target

MODES = (AUTO, LEGACY, MODERN)
TARGETS = ("old", "new", "both")
TOOLS = ("where", "exact", "links", "slow", "steps", "asks", "again", "agreed")
RULES = (
    {"name": "analysts use all", "allow": {"groups": ["analysts"], "targets": ["*"]}, "mask": ["pii"]},
    {"name": "support asks new", "allow": {"groups": ["support"], "targets": ["new"], "tools": ["where"]}},
    {
        "name": "others agree",
        "approve": {"groups": ["analysts"], "targets": ["*"], "tools": ["agreed"]},
        "by": {"groups": ["owners"]},
    },
    {"name": "nobody", "deny": {"targets": ["*"], "tools": ["forbidden"]}, "message": "Not that."},
)
EXTRA = {"operators": {"groups": ["operators"]}, "approvals": {"hold": "0.2s"}}


@pytest.fixture(scope="module")
def place(in_turn: InTurn) -> Iterator[Place]:
    with (
        running_issuer() as issuer,
        running_server("old", "legacy") as (old, old_seen),
        running_server("new", "modern") as (new, new_seen),
        running_server("both") as (both, both_seen),
    ):
        extra = {"new_tools": "allow"}
        told, heard = free_port(), free_port()
        targets = {
            "old": Upstream(f"{old.url}/mcp", extra=extra),
            "new": Upstream(f"{new.url}/mcp", extra=extra),
            "both": Upstream(f"{both.url}/mcp", extra=extra),
            "told": Upstream(f"http://127.0.0.1:{told}/mcp", extra=extra),
            "heard": Upstream(f"http://127.0.0.1:{heard}/mcp", extra=extra),
        }
        gateway = in_turn.take(Setup(issuer.url, targets, RULES, extra=EXTRA, hub=True))
        yield Place(gateway, issuer, {"old": old_seen, "new": new_seen, "both": both_seen}, told, heard)


@pytest.mark.parametrize("mode", MODES)
async def test_every_client_finds_and_uses_what_servers_of_either_era_offer(place: Place, mode: str) -> None:
    async with mcp_client(place.gateway.door, place.token(), mode) as client:
        tools = await client.list_tools()
        tool_names = {tool.name for tool in tools.tools}
        assert tool_names == {f"{target}__{tool}" for target in TARGETS for tool in TOOLS}
        assert tools.meta is not None
        assert tools.meta["countersign/leftOut"] == dict.fromkeys(("told", "heard"), "it does not answer")
        assert {prompt.name for prompt in (await client.list_prompts()).prompts} == {
            f"{each}__greet" for each in TARGETS
        }
        resources = (await client.list_resources()).resources
        assert {str(each.uri) for each in resources} == {f"{each}+file:///{each}/notes" for each in TARGETS}
        templates = (await client.list_resource_templates()).resource_templates
        assert {each.uri_template for each in templates} == {f"{each}+data://{each}/{{key}}" for each in TARGETS}
        for target in TARGETS:
            assert text(await client.call_tool(f"{target}__where", {"text": "it is"})) == f"{target} it is"
            links = await client.call_tool(f"{target}__links", {})
            (link, _) = links.content
            assert isinstance(link, ResourceLink)
            assert link.uri == f"{target}+file:///{target}/notes"
            prompt = await client.get_prompt(f"{target}__greet", {"who": "you"})
            assert text(SimpleNamespace(content=[prompt.messages[0].content])) == f"{target} greets you"
            for uri, said in ((f"file:///{target}/notes", "notes of"), (f"data://{target}/key", "key of")):
                (read,) = (await client.read_resource(f"{target}+{uri}")).contents
                assert isinstance(read, TextResourceContents)
                assert (str(read.uri), read.text) == (f"{target}+{uri}", f"{said} {target}")


@pytest.mark.parametrize("mode", [LEGACY, MODERN])
async def test_progress_and_logs_come_while_a_call_runs(place: Place, mode: str) -> None:
    said: list[object] = []

    async def heard(progress: float, total: float | None, message: str | None) -> None:
        said.append(message)

    async with mcp_client(place.gateway.door, place.token(), mode) as client:
        for target in TARGETS:
            assert text(await client.call_tool(f"{target}__steps", {}, progress_callback=heard)) == f"{target} done"
    assert said == [f"{target} half" for target in TARGETS]


@pytest.mark.parametrize(("mode", "target"), [(LEGACY, "old"), (LEGACY, "both"), (MODERN, "new"), (MODERN, "both")])
async def test_a_target_asks_the_person_behind_a_client(place: Place, mode: str, target: str) -> None:
    async def answer(context: Any, params: Any) -> ElicitResult:
        return ElicitResult(action="accept", content={"value": f"yes to {params.message}"})

    headers = {"authorization": f"Bearer {place.token()}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
        Client(
            streamable_http_client(place.gateway.door, http_client=http), mode=mode, elicitation_callback=answer
        ) as client,
    ):
        said = text(await client.call_tool(f"{target}__asks", {}))
    assert said == f"{target} got yes to {target} asks"


async def test_a_legacy_client_uses_modern_targets_as_far_as_its_version_goes(place: Place) -> None:
    async with mcp_client(place.gateway.door, place.token(), LEGACY) as client:
        assert text(await client.call_tool("new__again", {})) == "new had new-2 back"
        result = await client.call_tool("new__asks", {})
    assert result.is_error
    assert "cannot give through the one door" in text(result)


@pytest.mark.parametrize("era", [LEGACY, MODERN])
async def test_numbers_and_ids_go_through_as_they_were_written(place: Place, era: str) -> None:
    session = {"mcp_session_id": await place.session()} if era == LEGACY else {}
    for target in TARGETS:
        rpc = call(f"{target}__exact", {"big": 12345678901234567890123}, id="läuft-9007199254740993")
        (message,) = messages(await place.ask(rpc, era=era, **session))
        assert message["id"] == "läuft-9007199254740993"
        assert text_of(message) == "12345678901234567890123"


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
    altered = mine[:-1] + ("A" if mine[-1] != "A" else "B")
    assert (await place.ask(Rpc("tools/list"), era=LEGACY, mcp_session_id=altered)).status_code == 404
    assert (await place.ask(Rpc("tools/list"), era=LEGACY)).status_code == 400
    before = place.seen["old"].methods.count("DELETE")
    async with httpx.AsyncClient() as http:
        headers = {"authorization": f"Bearer {place.token()}", "mcp-session-id": mine}
        assert (await http.delete(place.gateway.door, headers=headers)).status_code == 204
    assert place.seen["old"].methods.count("DELETE") == before + 1
    assert (await place.ask(Rpc("tools/list"), era=LEGACY, mcp_session_id=mine)).status_code == 404


@pytest.mark.parametrize(
    ("method", "params"),
    [
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
    ],
)
async def test_a_name_that_is_nobodys_is_asked_of_nobody(place: Place, method: str, params: dict[str, object]) -> None:
    before = {target: len(place.seen[target].methods) for target in TARGETS}
    mirrored = {"mcp_name": str(params["taskId"])} if "taskId" in params else {}
    (message,) = messages(await place.ask(Rpc(method, params), **mirrored))
    assert error_of(message)["code"] == -32602
    assert {target: len(place.seen[target].methods) for target in TARGETS} == before


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


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("era", [LEGACY, MODERN])
async def test_a_call_that_is_cancelled_is_cancelled_at_its_target(place: Place, target: str, era: str) -> None:
    key, seen = f"{target} {era}", place.seen[target]
    session = await place.session() if era == LEGACY else ""
    rpc = call(f"{target}__slow", {"key": key}, id=f"cancel-{target}")
    sent = {"mcp_session_id": session} if session else {}
    running = asyncio.ensure_future(place.ask(rpc, era=era, **sent))
    await until(lambda: key in seen.started)
    if era == LEGACY:
        told = Rpc("notifications/cancelled", {"requestId": f"cancel-{target}"}, id=None)
        assert (await place.ask(told, era=era, **sent)).status_code == 202
    else:
        running.cancel()
    await until(lambda: key in seen.cancelled)
    running.cancel()
    await asyncio.wait({running})


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


@pytest.mark.parametrize("mode", [LEGACY, MODERN])
async def test_arguments_are_completed_by_the_target_that_has_them(place: Place, mode: str) -> None:
    async with mcp_client(place.gateway.door, place.token(), mode) as client:
        for target in TARGETS:
            prompt = PromptReference(type="ref/prompt", name=f"{target}__greet")
            found = await client.complete(prompt, {"name": "who", "value": "y"})
            assert found.completion.values == [f"{target} greet y"]
            template = ResourceTemplateReference(type="ref/resource", uri=f"{target}+data://{target}/{{key}}")
            found = await client.complete(template, {"name": "key", "value": "k"})
            assert found.completion.values == [f"{target} data://{target}/{{key}} k"]


async def names(place: Place, person: str, session: str) -> set[str]:
    (message,) = messages(await place.ask(Rpc("tools/list"), person, LEGACY, mcp_session_id=session))
    return {tool["name"] for tool in result_of(message)["tools"]}


async def test_nobody_spoils_a_target_for_others_by_how_they_introduce_themselves(place: Place) -> None:
    odd = Rpc("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": 5}})
    theirs = str((await place.ask(odd, "gina", LEGACY)).headers["mcp-session-id"])
    assert "old__where" not in await names(place, "gina", theirs)
    mine = await place.session()
    assert "old__where" in await names(place, "alice", mine)
    # In her own era still, too.
    (message,) = messages(await place.ask(call("both__where"), era=LEGACY, mcp_session_id=mine))
    assert text_of(message) == "both"
    assert place.seen["both"].headers[-1]["mcp-protocol-version"] != MODERN


async def test_a_target_that_refuses_everything_while_it_starts_is_offered_once_it_runs(place: Place) -> None:
    async def starting(exchange: Exchange) -> None:
        await exchange.head(404, length=0)

    session = await place.session()
    async with scripted_target(starting, place.told):
        assert "told__t0a" not in await names(place, "alice", session)
    async with scripted_target(Talker("legacy"), place.told):
        assert "told__t0a" in await names(place, "alice", session)


async def test_a_target_without_logs_is_offered_to_who_asks_for_logs(place: Place) -> None:
    told = Talker("legacy")
    told.without.add("logging/setLevel")
    async with scripted_target(told, place.told):
        session = await place.session()
        for _ in range(2):
            level = Rpc("logging/setLevel", {"level": "debug"})
            assert (await place.ask(level, era=LEGACY, mcp_session_id=session)).status_code == 200
            assert "told__t0a" in await names(place, "alice", session)


CHANGED = "notifications/tools/list_changed"
UPDATED = "notifications/resources/updated"


async def test_a_legacy_stream_has_what_all_targets_say(place: Place) -> None:
    told, heard = Talker("legacy"), Talker("modern")
    async with scripted_target(told, place.told), scripted_target(heard, place.heard):
        session = await place.session()
        async with listened(place, None, mcp_session_id=session) as stream:
            await until(lambda: told.listening == 1 and heard.listening == 1)
            # What another target was asked is not for this one to answer.
            asked = asyncio.ensure_future(
                place.ask(call("old__slow", {"key": "spoofed"}, id="mine"), era=LEGACY, mcp_session_id=session)
            )
            await until(lambda: "spoofed" in place.seen["old"].started)
            told.claim(id="mine", result={"content": [{"type": "text", "text": "spoofed"}]})
            told.claim(id="mine", error={"code": 1, "message": "spoofed"})
            told.say("notifications/progress", progressToken="mine", progress=1)
            told.say(UPDATED, uri="file:///a")
            message = await stream.message()
            assert (message["method"], message["params"]["uri"]) == (UPDATED, "told+file:///a")
            asked.cancel()
            told.claim(id=3, method="roots/list", params={})
            assert (await stream.message())["id"] == "told:3"
            told.say("notifications/cancelled", requestId=3)
            assert (await stream.message())["params"]["requestId"] == "told:3"
            told.say("notifications/message", level="info", data="says told")
            assert (await stream.message())["params"]["data"] == "says told"
            heard.say(CHANGED)
            assert (await stream.message())["method"] == CHANGED
        await until(lambda: told.listening == 0 and heard.listening == 0)
        assert stream.ids[0] == "gtold:7"
        # Where it was lost it begins again, at the target that said the last of it.
        async with listened(place, None, mcp_session_id=session, last_event_id="gtold:7"):
            await until(lambda: told.listening == 1 and heard.listening == 1)
        await until(lambda: told.listening == 0 and heard.listening == 0)
        # What goes on of an answer is that alone, also when it is lost once more.
        async with listened(place, None, mcp_session_id=session, last_event_id="ptold:7") as stream:
            await until(lambda: told.listening == 1)
            told.say(UPDATED, uri="file:///a")
            await stream.message()
            assert stream.ids == ["ptold:7"]
            assert heard.listening == 0
    assert heard.subscribed[0] == dict.fromkeys(
        ("promptsListChanged", "resourcesListChanged", "toolsListChanged"), True
    )


async def test_a_modern_caller_listens_to_all_targets_at_once(place: Place) -> None:
    told, heard = Talker("legacy"), Talker("modern")
    wanted = {"toolsListChanged": True, "resourceSubscriptions": ["told+file:///a", "heard+file:///b"]}
    rpc = Rpc("subscriptions/listen", {"notifications": wanted}, id="listening")
    async with scripted_target(told, place.told), scripted_target(heard, place.heard):
        async with listened(place, rpc) as stream:
            acknowledged = await stream.message()
            assert acknowledged["params"]["notifications"] == wanted
            await until(lambda: told.listening == 1 and heard.listening == 1)
            assert told.subscribed == ["file:///a"]
            assert heard.subscribed == [{"toolsListChanged": True, "resourceSubscriptions": ["file:///b"]}]
            told.say("notifications/message", level="info", data="nobody asked for it")
            told.say("notifications/prompts/list_changed")
            told.say(UPDATED, uri="file:///a")
            message = await stream.message()
            assert (message["method"], message["params"]["uri"]) == (UPDATED, "told+file:///a")
            assert message["params"]["_meta"] == {"io.modelcontextprotocol/subscriptionId": "listening"}
            heard.say(UPDATED, uri="file:///b")
            assert (await stream.message())["params"]["uri"] == "heard+file:///b"
        await until(lambda: told.listening == 0 and heard.listening == 0)


async def test_a_list_is_paged_and_its_cursor_is_its_callers_alone(place: Place) -> None:
    told, heard = Talker("legacy"), Talker("modern")
    async with scripted_target(told, place.told), scripted_target(heard, place.heard):
        found: list[str] = []
        cursor: str | None = None
        pages = 0
        while pages == 0 or cursor is not None:
            params = {"cursor": cursor} if cursor is not None else {}
            (message,) = messages(await place.ask(Rpc("tools/list", params)))
            result = result_of(message)
            found += [tool["name"] for tool in result["tools"]]
            assert result["cacheScope"] == "private"
            previous, cursor = cursor, result.get("nextCursor")
            pages += 1
        talkers = [f"{target}__t{page}{each}" for page in range(3) for target in ("told", "heard") for each in "ab"]
        assert (pages, found[-len(talkers) + 4 :]) == (3, talkers[4:])
        assert len(found) == len(set(found)) == len(talkers) + len(TARGETS) * len(TOOLS)
        assert previous is not None
        altered = previous[:-4] + ("AAAA" if previous[-4:] != "AAAA" else "BBBB")
        for method, person, text in (
            ("tools/list", "alice", altered),
            ("tools/list", "alice", "1"),
            ("prompts/list", "alice", previous),
            ("tools/list", "bob", previous),
        ):
            (message,) = messages(await place.ask(Rpc(method, {"cursor": text}), person))
            assert error_of(message)["code"] == -32602


async def test_a_stream_ends_when_its_caller_is_revoked(place: Place) -> None:
    told = Talker("legacy")
    async with scripted_target(told, place.told):
        session = await place.session("dave")
        async with listened(place, None, "dave", mcp_session_id=session) as stream:
            await until(lambda: told.listening == 1)
            async with place.revoker() as operator:
                await operator.revoke(revocations_pb2.REVOCATION_KIND_PRINCIPAL, "dave")
            with pytest.raises((EOFError, httpx.HTTPError)):
                await stream.message()
        await until(lambda: told.listening == 0)


async def test_a_session_outlives_the_hub(place: Place) -> None:
    session = await place.session()
    rpc = call("old__where", {"text": "still"})
    assert text_of(messages(await place.ask(rpc, era=LEGACY, mcp_session_id=session))[0]) == "old still"
    running = asyncio.ensure_future(
        place.ask(call("old__slow", {"key": "hub dies"}), era=LEGACY, mcp_session_id=session)
    )
    await until(lambda: "hub dies" in place.seen["old"].started)
    killed = place.gateway.kill("hub")
    # Of a stream that broke off no client takes what it has for an answer.
    with pytest.raises(httpx.RemoteProtocolError):
        await running
    await until(lambda: not killed.is_running())

    async def goes_on() -> bool:
        answer = await place.ask(rpc, era=LEGACY, mcp_session_id=session)
        return answer.status_code == 200 and text_of(messages(answer)[0]) == "old still"

    await eventually(goes_on, 60)


async def test_callers_that_share_a_token_do_not_get_in_one_anothers_way(place: Place) -> None:
    rpcs = [call("old__where", {"text": str(number)}, id=1) for number in range(8)]
    token = place.token()
    answers = await asyncio.gather(*(post(place.gateway.door, token, rpc) for rpc in rpcs))
    told = [messages(answer)[0] for answer in answers]
    assert [(each["id"], text_of(each)) for each in told] == [(1, f"old {number}") for number in range(8)]
    both = {"key": "shared"}
    running = [asyncio.ensure_future(post(place.gateway.door, token, call("old__slow", both, id=1))) for _ in range(2)]
    await until(lambda: place.seen["old"].started.count("shared") == 2)
    running[0].cancel()
    await until(lambda: place.seen["old"].cancelled.count("shared") == 1)
    assert not running[1].done()
    running[1].cancel()
    await asyncio.gather(*running, return_exceptions=True)
