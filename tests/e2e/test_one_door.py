"""One door for all targets: what it offers to clients of either era, and that they can use it."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from mcp_types import (
    PromptReference,
    ResourceLink,
    ResourceTemplateReference,
    TextResourceContents,
)

from tests.support.clients import AUTO, LEGACY, MODERN, Rpc, call, mcp_client, messages
from tests.support.door_place import TARGETS, TOOLS, Place, error_of, one_door, result_of, text, text_of
from tests.support.door_targets import Talker
from tests.support.in_turn import InTurn
from tests.support.targets import Exchange, scripted_target

MODES = (AUTO, LEGACY, MODERN)


@pytest.fixture(scope="module")
def place(in_turn: InTurn) -> Iterator[Place]:
    with one_door(in_turn) as opened:
        yield opened


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


async def test_a_legacy_client_uses_modern_targets_as_far_as_its_version_goes(place: Place) -> None:
    async with mcp_client(place.gateway.door, place.token(), LEGACY) as client:
        assert text(await client.call_tool("new__again", {})) == "new had new-2 back"
        result = await client.call_tool("new__asks", {})
    assert result.is_error
    assert "an answer that the client did not say it can give" in text(result)


@pytest.mark.parametrize("era", [LEGACY, MODERN])
async def test_numbers_and_ids_go_through_as_they_were_written(place: Place, era: str) -> None:
    session = {"mcp_session_id": await place.session()} if era == LEGACY else {}
    for target in TARGETS:
        rpc = call(f"{target}__exact", {"big": 12345678901234567890123}, id="läuft-9007199254740993")
        (message,) = messages(await place.ask(rpc, era=era, **session))
        assert message["id"] == "läuft-9007199254740993"
        assert text_of(message) == "12345678901234567890123"


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
