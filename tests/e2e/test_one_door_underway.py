"""What goes on at the one door: streams, calls that are cancelled, sessions, and callers who share a token."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from countersign.api.access.v1 import revocations_pb2
from tests.fault.rig import eventually
from tests.support.clients import LEGACY, MODERN, Rpc, call, messages, post
from tests.support.door_place import TARGETS, Place, listened, one_door, result_of, text_of
from tests.support.door_targets import Talker
from tests.support.in_turn import InTurn
from tests.support.recorders import until
from tests.support.targets import scripted_target

CHANGED = "notifications/tools/list_changed"
UPDATED = "notifications/resources/updated"


@pytest.fixture(scope="module")
def place(in_turn: InTurn) -> Iterator[Place]:
    with one_door(in_turn) as opened:
        yield opened


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
            # Nor is what the client keeps for another.
            told.claim(id=2, method="tasks/result", params={"taskId": "of another"})
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


async def test_a_session_that_is_revoked_at_one_target_takes_no_other_along(place: Place) -> None:
    told = Talker("legacy")
    async with scripted_target(told, place.told):
        session = await place.session("erin")
        async with listened(place, None, "erin", mcp_session_id=session) as stream:
            await until(lambda: told.listening == 1)
            (with_old,) = {each.session_id for each in await place.events("erin") if each.target == "old"}
            async with place.revoker() as operator:
                await operator.revoke(revocations_pb2.REVOCATION_KIND_SESSION, with_old, issuer="")

            async def missing() -> dict[str, str]:
                answer = await place.ask(Rpc("tools/list"), "erin", LEGACY, mcp_session_id=session)
                result = result_of(messages(answer)[0])
                listed = {tool["name"].partition("__")[0] for tool in result["tools"]}
                assert listed >= {"new", "both", "told"}
                left_out: dict[str, str] = result["_meta"]["countersign/leftOut"]
                assert ("old" in left_out) == ("old" not in listed)
                return left_out

            async def said() -> bool:
                return (await missing()).get("old") == "the session with it was revoked"

            await eventually(said, 30)
            # What is asked of that target is refused, and of any other answered; no token is said to be bad.
            refused = await place.ask(call("old__where"), "erin", LEGACY, mcp_session_id=session)
            assert (refused.status_code, refused.json()["error"]["code"]) == (403, 4011)
            assert "www-authenticate" not in refused.headers
            (message,) = messages(await place.ask(call("both__where"), "erin", LEGACY, mcp_session_id=session))
            assert text_of(message) == "both"
            told.say(UPDATED, uri="file:///a")
            assert (await stream.message())["params"]["uri"] == "told+file:///a"
            # Whoever has no good token any more has none for any of them.
            async with place.revoker() as operator:
                await operator.revoke(revocations_pb2.REVOCATION_KIND_PRINCIPAL, "erin")

            async def ended() -> bool:
                answer = await place.ask(Rpc("tools/list"), "erin", LEGACY, mcp_session_id=session)
                return answer.status_code == 401 and 'error="invalid_token"' in answer.headers["www-authenticate"]

            await eventually(ended, 30)


async def test_what_is_revoked_of_a_token_at_one_target_leaves_it_the_others(place: Place) -> None:
    token = place.token("nora")
    (message,) = messages(await post(place.gateway.door, token, Rpc("tools/list")))
    assert "told" in result_of(message)["_meta"]["countersign/leftOut"]
    (with_new,) = {each.session_id for each in await place.events("nora") if each.target == "new"}
    async with place.revoker() as operator:
        await operator.revoke(revocations_pb2.REVOCATION_KIND_SESSION, with_new, issuer="")

    async def left_out() -> bool:
        (message,) = messages(await post(place.gateway.door, token, Rpc("tools/list")))
        listed = {tool["name"].partition("__")[0] for tool in result_of(message)["tools"]}
        assert listed >= {"old", "both"}
        reason = result_of(message)["_meta"]["countersign/leftOut"].get("new")
        return bool(reason == "the session with it was revoked") and "new" not in listed

    await eventually(left_out, 30)
    refused = await post(place.gateway.door, token, call("new__where"))
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, 4011)
    assert text_of(messages(await post(place.gateway.door, token, call("both__where")))[0]) == "both"


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
