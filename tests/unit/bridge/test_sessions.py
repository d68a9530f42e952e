"""Whose a server is, for how long, and how many there are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from countersign.bridge.sessions import Session
from countersign.config import Limits
from countersign.config.types import Processes
from tests.support.clients import INITIALIZE, MODERN, Rpc, call, messages
from tests.support.recorders import until
from tests.unit.bridge.rig import ALICE, BOB, Rig, running, said, scripted


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with running(scripted(), keepalive_s=0.2) as made:
        yield made


def only(rig: Rig) -> Session:
    (session,) = rig.sessions.all()
    return session


async def test_each_session_has_its_own_process_and_nobody_elses(rig: Rig) -> None:
    mine, mine_too, his = await rig.initialize(), await rig.initialize(), await rig.initialize(BOB)
    pids = [await rig.call(session, "pid", who) for session, who in ((mine, ALICE), (mine_too, ALICE), (his, BOB))]
    assert len({json.dumps(pid) for pid in pids}) == 3
    assert (await rig.post(call("pid"), his)).status_code == 404
    assert (await rig.end(his)).status_code == 404
    assert (await rig.client.get(rig.path, headers=rig.headers(ALICE, his))).status_code == 404
    assert await rig.call(his, "echo", BOB, text="here") == "here"


async def test_who_does_not_come_by_way_of_authz_is_refused(rig: Rig) -> None:
    headers = rig.headers()
    for name in ("x-countersign-principal", "x-countersign-session"):
        left = {key: value for key, value in headers.items() if key != name}
        answer = await rig.client.post(rig.path, content=call("pid").body(MODERN), headers=left)
        assert answer.status_code == 403
    answer = await rig.client.post(rig.path, content=b"{}", headers=headers | {"x-countersign-principal": "forged"})
    assert answer.status_code == 403
    assert rig.sessions.processes == 0


@pytest.mark.parametrize("path", ["/", "/git", "/git/", "/git/0000000000000000", "/hub/ffffffffffffffff"])
async def test_only_what_is_stated_now_is_served(rig: Rig, path: str) -> None:
    answer = await rig.client.post(path, content=b"{}", headers=rig.headers())
    assert answer.status_code == 503
    assert rig.sessions.processes == 0


async def test_without_a_session_nothing_but_initialize_is_answered(rig: Rig) -> None:
    assert (await rig.post(call("pid"))).status_code == 400
    assert (await rig.post(call("pid"), "made-up")).status_code == 404
    batch = await rig.client.post(
        rig.path, content=b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', headers=rig.headers()
    )
    assert batch.status_code == 400
    assert rig.sessions.processes == 0


async def test_progress_comes_before_the_answer_and_only_with_a_token(rig: Rig) -> None:
    session = await rig.initialize()
    rpc = Rpc("tools/call", {"name": "progress", "arguments": {}, "_meta": {"progressToken": "my token"}}, "x")
    for era, given in (("legacy", session), (MODERN, "")):
        if era == MODERN:
            body = json.loads(rpc.body(MODERN))
            body["params"]["_meta"]["progressToken"] = "my token"
            headers = rpc.headers(era) | rig.headers(era=era)
            answer = await rig.client.post(rig.path, content=json.dumps(body), headers=headers)
        else:
            answer = await rig.post(rpc, given, era=era)
        assert answer.headers["content-type"] == "text/event-stream"
        heard = messages(answer)
        assert [message["params"]["message"] for message in heard[:-1]] == ["step 0", "step 1", "step 2"]  # type: ignore[index]
        assert {message["params"]["progressToken"] for message in heard[:-1]} == {"my token"}  # type: ignore[index]
        assert heard[-1]["id"] == "x"
        # In the modern era nobody can come back, so nothing is named.
        assert ("id: " in answer.text) == (era != MODERN)
    without = await rig.post(call("progress"), session)
    assert without.headers["content-type"] == "application/json"


async def events(answer: httpx.Response, count: int) -> list[tuple[str, dict[str, object]]]:
    """The next messages of a stream with the ids of their events."""
    found: list[tuple[str, dict[str, object]]] = []
    name = ""
    async with asyncio.timeout(10):
        async for line in answer.aiter_lines():
            if line.startswith("id: "):
                name = line[4:]
            elif line.startswith("data: "):
                found.append((name, json.loads(line[6:])))
                if len(found) == count:
                    return found
    raise AssertionError(f"the stream ended after {found}")


async def test_what_the_server_asks_is_answered_once_and_by_the_asked_alone(rig: Rig) -> None:
    mine, other = await rig.initialize(), await rig.initialize()
    answered = b'{"jsonrpc":"2.0","id":"q1","result":{"roots":[]}}'
    refused = await rig.client.post(rig.path, content=answered, headers=rig.headers(session=mine))
    assert refused.status_code == 400
    async with rig.client.stream("GET", rig.path, headers=rig.headers(session=mine)) as standing:
        asking = await rig.post(call("ask"), mine)
        asked = [each for each in messages(asking) if each.get("method") == "roots/list"]
        assert [each["id"] for each in asked] == ["q1"]
        for session, status in ((other, 400), (mine, 202), (mine, 400)):
            answer = await rig.client.post(rig.path, content=answered, headers=rig.headers(session=session))
            assert answer.status_code == status
        ((_, told),) = await events(standing, 1)
        assert told["params"] == {"level": "info", "data": {"answered": "q1"}}


async def test_who_lost_a_stream_comes_back_to_it(rig: Rig) -> None:
    session = await rig.initialize()
    rpc = Rpc("tools/call", {"name": "progress", "arguments": {}, "_meta": {"progressToken": 1}}, 1)
    body, headers = rpc.body("legacy"), rpc.headers("legacy") | rig.headers(session=session)
    async with rig.client.stream("POST", rig.path, content=body, headers=headers) as answer:
        ((first, message),) = await events(answer, 1)
    assert message["params"]["message"] == "step 0"  # type: ignore[index]
    again = rig.headers(session=session) | {"last-event-id": first}
    async with rig.client.stream("GET", rig.path, headers=again) as answer:
        rest = await events(answer, 3)
    assert [each["params"]["message"] for _, each in rest[:2]] == ["step 1", "step 2"]  # type: ignore[index]
    assert rest[2][1]["id"] == 1


async def test_in_the_modern_era_hanging_up_cancels_and_in_the_legacy_only_saying_so(rig: Rig, tmp_path: Path) -> None:
    session = await rig.initialize()
    marks = [tmp_path / name for name in ("modern", "legacy", "said")]
    slow = [call("slow", {"mark": str(mark)}, 70 + number) for number, mark in enumerate(marks)]

    async def hang_up(rpc: Rpc, era: str, given: str) -> None:
        headers = rpc.headers(era) | rig.headers(session=given, era=era)
        async with rig.client.stream("POST", rig.path, content=rpc.body(era), headers=headers) as answer:
            # Nothing comes for a while, so the bridge begins a stream to say that it is there.
            async for line in answer.aiter_lines():
                assert line in (":", "")
                return

    await hang_up(slow[0], MODERN, "")
    await until(marks[0].exists)
    await hang_up(slow[1], "legacy", session)
    asking = asyncio.ensure_future(rig.post(slow[2], session))
    # The third stream of the session, after those of initialize and of the call before.
    await until(lambda: any(each.session_id and 3 in each.streams for each in rig.sessions.all()))
    cancelled = Rpc("notifications/cancelled", {"requestId": 72}, None)
    assert (await rig.post(cancelled, session)).status_code == 202
    await until(marks[2].exists)
    assert messages(await asking)[-1]["id"] == 72
    assert not marks[1].exists()


@pytest.mark.parametrize("processes", Processes)
async def test_who_listens_hears_what_they_subscribed_to_by_their_own_id(processes: Processes) -> None:
    async with running(scripted(processes=processes)) as rig:
        rpc = Rpc("subscriptions/listen", {"notifications": {"toolsListChanged": True}}, "mine")
        headers = rpc.headers(MODERN) | rig.headers(era=MODERN)
        async with rig.client.stream("POST", rig.path, content=rpc.body(MODERN), headers=headers) as listening:
            # It was acknowledged: only then the stream began.
            changing = asyncio.ensure_future(rig.post(call("changed"), era=MODERN))
            heard = await events(listening, 2)
            assert [message["id"] for message in messages(await changing)] == [1]
        assert [each["method"] for _, each in heard] == [
            "notifications/subscriptions/acknowledged",
            "notifications/tools/list_changed",
        ]
        assert {json.dumps(each["params"]) for _, each in heard} == {
            '{"_meta": {"io.modelcontextprotocol/subscriptionId": "mine"}}'
        }


async def test_a_server_of_the_legacy_era_is_told_apart_and_costs_nothing_then() -> None:
    async with running(scripted("legacy")) as rig:
        for _ in range(2):
            answer = await rig.post(Rpc("server/discover", {}, "d"), era=MODERN)
            assert answer.status_code == 404
            assert answer.json() == {
                "jsonrpc": "2.0",
                "id": "d",
                "error": {"code": -32601, "message": "Method not found"},
            }
        await until(lambda: rig.sessions.processes == 0)
        assert await rig.call(await rig.initialize(), "echo", text="legacy") == "legacy"


async def test_modern_calls_of_one_recorded_session_share_a_process_and_no_others(rig: Rig) -> None:
    async def pid(who: object, recorded: str) -> object:
        return said(await rig.post(call("pid"), era=MODERN, who=who, recorded=recorded))  # type: ignore[arg-type]

    first = await pid(ALICE, "one")
    assert await pid(ALICE, "one") == first
    assert await pid(ALICE, "two") != first
    assert await pid(BOB, "three") != first
    # The same id at once, from two clients with one token: each has its own answer.
    texts = [f"text {number}" for number in range(20)]
    answers = await asyncio.gather(*(rig.post(call("echo", {"text": each}), era=MODERN) for each in texts))
    assert [said(answer) for answer in answers] == texts


async def test_sessions_are_bounded_for_each_caller_and_in_all() -> None:
    now = [0.0]
    stdio = replace(scripted(), sessions=3, sessions_per_caller=2)
    async with running(stdio, monotonic_s=lambda: now[0]) as rig:
        first = await rig.initialize()
        now[0] += 1
        second = await rig.initialize()
        # The one that was unused for longest makes room for the next of the same caller.
        third = await rig.initialize()
        assert (await rig.post(call("echo"), first)).status_code == 404
        assert await rig.call(second, "echo", text="kept") == "kept"
        await rig.initialize(BOB)
        refused = await rig.post(INITIALIZE, who=replace(BOB, subject="c"))
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
        # What is in use is not taken away.
        async with (
            rig.client.stream("GET", rig.path, headers=rig.headers(session=second)),
            rig.client.stream("GET", rig.path, headers=rig.headers(session=third)),
        ):
            busy = await rig.post(INITIALIZE)
            assert busy.status_code == 503
        assert len(rig.sessions) == 3


async def test_nobody_has_more_than_their_share_by_being_quick() -> None:
    stdio = replace(scripted(), sessions_per_caller=2)
    async with running(stdio) as rig:
        answers = await asyncio.gather(*(rig.post(INITIALIZE) for _ in range(10)))
        assert sorted({answer.status_code for answer in answers}) == [200, 503]
        assert rig.sessions.processes <= 4
        for _ in range(6):
            answers.append(await rig.post(INITIALIZE))
            assert rig.sessions.processes <= 4
        assert len(rig.sessions) == 2
        await rig.initialize(BOB)


async def test_what_is_unused_revoked_or_no_longer_stated_is_ended() -> None:
    now = [0.0]
    async with running(replace(scripted(), idle_s=60), monotonic_s=lambda: now[0]) as rig:
        session, his = await rig.initialize(), await rig.initialize(BOB)
        now[0] = 59
        rig.sessions.sweep()
        assert await rig.call(session, "echo", text="used") == "used"
        now[0] = 61
        rig.sessions.sweep()
        assert only(rig).session_id == session
        assert (await rig.post(call("echo"), his, who=BOB)).status_code == 404
        rig.revoked.add("alice")
        assert (await rig.post(call("echo"), session)).status_code == 403
        rig.revoked.clear()
        async with rig.client.stream("GET", rig.path, headers=rig.headers(session=session)) as standing:
            now[0] = 600
            rig.sessions.sweep()
            assert only(rig).session_id == session
            rig.config.targets.pop("git")  # type: ignore[attr-defined]
            rig.sessions.sweep()
            assert [line async for line in standing.aiter_lines() if line.startswith("data")] == []
        assert len(rig.sessions) == 0


async def test_a_call_of_which_nothing_is_heard_is_ended(tmp_path: Path) -> None:
    now = [0.0]
    async with running(scripted(), limits=Limits(upstream_timeout_s=30), monotonic_s=lambda: now[0]) as rig:
        session, mark = await rig.initialize(), tmp_path / "cancelled"
        asking = asyncio.ensure_future(rig.post(call("slow", {"mark": str(mark)}), session))
        await until(lambda: 2 in only(rig).streams)
        now[0] = 29
        rig.sessions.sweep()
        assert await rig.call(session, "echo", text="a sign of life") == "a sign of life"
        now[0] = 58
        rig.sessions.sweep()
        assert not asking.done()
        now[0] = 60
        rig.sessions.sweep()
        answer = await asking
        assert (answer.status_code, "silent" in answer.text) == (502, True)
        await until(mark.exists)


async def test_callers_who_share_a_process_hear_nothing_of_one_another() -> None:
    async with running(replace(scripted(), processes=Processes.SHARED), keepalive_s=0.2) as rig:
        mine, his = await rig.initialize(), await rig.initialize(BOB)
        assert await rig.call(mine, "pid") == await rig.call(his, "pid", BOB)
        assert rig.sessions.processes == 1
        async with (
            rig.client.stream("GET", rig.path, headers=rig.headers(session=mine)) as hers,
            rig.client.stream("GET", rig.path, headers=rig.headers(BOB, his)) as of_bob,
        ):
            token = Rpc("tools/call", {"name": "progress", "arguments": {}, "_meta": {"progressToken": 1}}, 1)
            together = await asyncio.gather(rig.post(token, mine), rig.post(token, his, who=BOB))
            assert [len(messages(answer)) for answer in together] == [4, 4]
            assert len(messages(await rig.post(call("log", {"text": "mine"}), mine))) == 1
            assert len(messages(await rig.post(call("ask"), mine))) == 1
            await rig.call(mine, "changed")
            for stream in (hers, of_bob):
                ((_, told),) = await events(stream, 1)
                assert told["method"] == "notifications/tools/list_changed"
        assert (await rig.end(mine)).status_code == 200
        assert await rig.call(his, "echo", BOB, text="goes on") == "goes on"
        # A cancellation reaches nobody else's call of the same id.
        assert (await rig.post(Rpc("notifications/cancelled", {"requestId": 1}, None), his, who=BOB)).status_code == 202
        assert (await rig.end(his, BOB)).status_code == 200
        rig.sessions.sweep()
        await until(lambda: rig.sessions.processes == 0)
