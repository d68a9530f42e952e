"""What the hub gives to no target is brought to the record first; while that cannot be, its caller gets 503."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import pytest

from countersign.hub.inside import Inside
from countersign.hub.peers import Peers, Waiting, Way
from countersign.mcp import Era
from countersign.mcp.eras import MIRRORED_PARAMS, REQUEST_METHODS
from countersign.model.methods import KNOWN_METHODS
from tests.support.recorders import until
from tests.unit.hub.bench import CONFIG, MODERN_VERSION, TARGET, Hub, rpc

LEGACY_ATTEMPTS: tuple[tuple[object, int], ...] = (
    ({"jsonrpc": "2.0", "id": "mcp:x", "result": {}}, 200),
    ({"jsonrpc": "2.0", "id": "t:1", "result": {}}, 200),
    ({"jsonrpc": "2.0", "id": "t:{", "error": {"code": 1, "message": ""}}, 200),
    ({"jsonrpc": "2.0", "id": -1, "result": {}}, 200),
    (rpc("tasks/list", id=1), 200),
    (rpc("tools/list", {"cursor": "x"}, id=1), 200),
    (rpc("notifications/cancelled", {"requestId": 1}), 202),
    (rpc("notifications/x"), 202),
    (rpc("notifications/roots/list_changed"), 202),
    (rpc("tools/call", {"name": "t__x"}, id=1), 502),
    (rpc("tools/call", {"name": "gone__x"}, id=1), 503),
)


@pytest.mark.parametrize(("message", "status"), LEGACY_ATTEMPTS)
async def test_it_is_brought_once_as_it_came_and_answered_only_once_it_is_recorded(
    message: object, status: int
) -> None:
    hub = Hub()
    session = await hub.session()
    assert (await hub.say(message, mcp_session_id=session))[0] == status
    ((verb, headers, body),) = hub.inner.brought
    assert (verb, json.loads(body)) == ("POST", message)
    said, _, reason = headers["x-countersign-dismissed"].partition(" ")
    assert int(said) == status
    assert reason.startswith("no target gets it: ")
    hub.inner.status = 503
    answered, heard = await hub.say(message, mcp_session_id=session)
    assert (answered, heard["error"]["code"]) == (503, 5030)
    assert len(hub.inner.brought) == 2


@pytest.mark.parametrize(
    ("verb", "headers", "usable", "status"),
    [
        ("POST", {}, True, 400),
        ("POST", {"mcp_session_id": "x"}, True, 404),
        ("GET", {"mcp_session_id": "x"}, True, 404),
        ("DELETE", {"mcp_session_id": "x"}, True, 404),
        ("GET", {"mcp_session_id": ""}, False, 405),
        ("GET", {"mcp_session_id": "", "last_event_id": "pgone:1"}, True, 200),
    ],
)
async def test_so_is_what_comes_in_no_session_or_in_one_of_nothing(
    verb: str, headers: dict[str, str], usable: bool, status: int
) -> None:
    hub = Hub((TARGET,) if usable else ())
    session = await hub.session()
    headers = {name: value or session for name, value in headers.items()}
    ping = rpc("ping", id=1)
    assert (await hub.say(ping, verb, **headers))[0] == status
    ((brought, _, _),) = hub.inner.brought
    assert brought == verb
    hub.inner.status = 503
    assert (await hub.say(ping, verb, **headers))[0] == 503


@pytest.mark.parametrize(
    ("method", "params", "usable", "status"),
    [
        ("tools/list", {}, False, 200),
        ("tools/list", {"cursor": "x"}, True, 200),
        ("subscriptions/listen", {"notifications": {}}, True, 200),
        ("subscriptions/listen", {"notifications": 5}, True, 200),
        ("subscriptions/listen", {"notifications": {"toolsListChanged": True}}, False, 200),
        ("subscriptions/listen", {"notifications": {"toolsListChanged": True, "other": True}}, True, 200),
        ("subscriptions/listen", {"notifications": {"resourceSubscriptions": ["x:y"]}}, True, 200),
        ("subscriptions/listen", {"notifications": {"resourceSubscriptions": ["gone+x:y", "t+x:y"]}}, True, 200),
        ("subscriptions/listen", {"notifications": {"resourceSubscriptions": [5, "t+x:y"]}}, True, 200),
        ("subscriptions/listen", {"notifications": {"resourceSubscriptions": ["t+x:y"] * 257}}, True, 200),
    ],
)
async def test_so_is_what_a_modern_caller_asks_of_nobody(
    method: str, params: dict[str, object], usable: bool, status: int
) -> None:
    hub = Hub((TARGET,) if usable else ())
    assert (await hub.ask(method, params))[0] == status
    assert len(hub.inner.brought) == 1
    hub.inner.status = 503
    assert (await hub.ask(method, params))[0] == 503


KEEPS = {"initialize", "ping", "server/discover", "logging/setLevel", "notifications/initialized"}
"""Methods that need leave no trace, for no target is asked and nothing refused."""


@pytest.mark.parametrize("method", sorted(REQUEST_METHODS | KNOWN_METHODS - {"GET", "DELETE"}))
async def test_no_method_of_either_era_is_answered_without_a_trace(method: str) -> None:
    members: dict[str, object] = {} if method.startswith("notifications/") else {"id": 1}
    params = {"name": "t__x", "uri": "t+x:y", "taskId": "t:1", "ref": {"type": "ref/prompt", "name": "t__x"}}
    for modern in (False, True):
        hub = Hub()
        if modern:
            mirrors = {} if method not in MIRRORED_PARAMS else {"mcp_name": params[MIRRORED_PARAMS[method]]}
            status, _ = await hub.ask(method, params, notified=not members, **cast(dict[str, Any], mirrors))
        else:
            offer = {"protocolVersion": "2025-11-25"} if method == "initialize" else {}
            message = rpc(method, {**params, **offer}, **members)
            status, _ = await hub.say(message, mcp_session_id=await hub.session())
        assert status
        assert hub.inner.brought or hub.inner.asked or method in KEEPS, method


async def test_what_only_keeps_a_connection_is_not_brought() -> None:
    hub = Hub()
    session = await hub.session()
    assert (await hub.say(rpc("notifications/initialized"), mcp_session_id=session))[0] == 202
    assert (await hub.say(rpc("ping", id=1), mcp_session_id=session))[0] == 200
    assert (await hub.say(rpc("logging/setLevel", {"level": "info"}, id=1), mcp_session_id=session))[0] == 200
    assert (await hub.ask("server/discover"))[0] == 200
    listened = {"notifications": {"toolsListChanged": True, "resourceSubscriptions": ["t+x:y"]}}
    assert (await hub.ask("subscriptions/listen", listened)) == (200, "stream")
    assert (await hub.say(None, "DELETE", mcp_session_id=session))[0] == 204
    assert hub.inner.brought == []


async def test_an_error_that_cannot_be_recorded_is_not_taken_and_can_come_again() -> None:
    hub = Hub()
    session = await hub.session()
    owner, waits = hub.owner(session), asyncio.get_running_loop().create_future()
    owner.asked["q"] = waits
    no = {"jsonrpc": "2.0", "id": "mcp:q", "error": {"code": 1, "message": "no"}}
    hub.inner.status = 503
    assert (await hub.say(no, mcp_session_id=session))[0] == 503
    assert not waits.done()
    hub.inner.status = 202
    assert (await hub.say(no, mcp_session_id=session))[0] == 202
    assert waits.result() == ""
    # Of two that come at once, one is taken, and both are on record; the other once more, as nobody's.
    hub.inner.brought.clear()
    owner.asked["q"] = asyncio.get_running_loop().create_future()
    both = await asyncio.gather(*(hub.say(no, mcp_session_id=session) for _ in range(2)))
    assert sorted(status for status, _ in both) == [200, 202]
    assert 2 <= len(hub.inner.brought) <= 3
    assert owner.asked == {}


async def test_what_is_answered_with_a_result_is_on_record_with_the_call_that_is_made_again() -> None:
    hub = Hub()
    session = await hub.session()
    hub.owner(session).asked["q"] = asyncio.get_running_loop().create_future()
    assert (await hub.say({"jsonrpc": "2.0", "id": "mcp:q", "result": {}}, mcp_session_id=session))[0] == 202
    assert hub.inner.brought == []


@pytest.mark.parametrize("status", [503, 403, 401, 202])
async def test_an_answer_that_a_target_asked_for_is_not_lost_while_it_cannot_be_recorded(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    async def tell(*_: object) -> int:
        return status

    monkeypatch.setattr(Peers, "tell", tell)
    hub = Hub()
    session = await hub.session()
    hub.owner(session).ways["t"] = Way(Era.LEGACY, "2025-11-25", "s")
    answer = {"jsonrpc": "2.0", "id": "t:1", "result": {}}
    told = await hub.say(answer, mcp_session_id=session)
    assert told[0] == {503: 503, 202: 202}.get(status, 403)
    told = await hub.say(rpc("notifications/roots/list_changed"), mcp_session_id=session)
    assert told[0] == (503 if status == 503 else 202)
    assert hub.inner.brought == []


async def test_nothing_is_held_of_what_is_brought() -> None:
    hub = Hub()
    session = await hub.session()
    owner = hub.owner(session)
    for number in range(300):
        forged = {"jsonrpc": "2.0", "id": f"mcp:{number}", "result": {}}
        await hub.say(forged, mcp_session_id=session)
        await hub.say(forged, mcp_session_id="x" * 1_000)
        await hub.say(rpc("notifications/cancelled", {"requestId": number}), mcp_session_id=session)
    assert (len(hub.owners), owner.asked, owner.waiting, len(owner.theirs), owner.ways) == (1, {}, {}, 0, {})
    assert len(hub.inner.brought) == 900


async def test_no_more_of_its_head_is_brought_than_it_is_read_by() -> None:
    """Else a caller could make it longer than Envoy takes, and would leave no trace."""
    hub = Hub()
    headers: dict[str, Any] = {
        "mcp_param_a": "a" * 60_000,
        "accept": "application/json, text/event-stream" + ", x/y" * 9_000,
    }
    await hub.ask("tools/list", {"cursor": "x", "arguments": {"a": "a" * 60_000}}, **headers)
    ((_, brought, _),) = hub.inner.brought
    assert sum(len(name) + len(value) for name, value in brought.items()) < 500


async def test_who_hangs_up_while_it_is_recorded_leaves_a_trace_and_is_held_until_it_is_there() -> None:
    hub, done = Hub(), asyncio.Event()
    session = await hub.session()
    hub.inner.held = asyncio.Event()
    saying = asyncio.ensure_future(hub.say(rpc("notifications/x"), mcp_session_id=session))
    saying.add_done_callback(lambda _: done.set())
    await until(lambda: hub.inner.brought != [])
    saying.cancel()
    # It would end in the next turns of the loop.
    for _ in range(10):
        await asyncio.sleep(0)
    assert not done.is_set()
    hub.inner.held.set()
    with pytest.raises(asyncio.CancelledError):
        await saying
    assert hub.inner.over == 1


@pytest.mark.parametrize("era", [Era.LEGACY, Era.MODERN])
async def test_what_envoy_would_not_take_inside_is_on_record_and_not_sent(
    monkeypatch: pytest.MonkeyPatch, era: Era
) -> None:
    async def way(*_: object) -> Way:
        return Way(Era.MODERN, MODERN_VERSION)

    monkeypatch.setattr(Peers, "way", way)
    hub = Hub()
    hub.inner.ask = Inside("unix:/nowhere", "", lambda: CONFIG).ask  # type: ignore[method-assign]
    if era is Era.LEGACY:
        # As long as a request may be; what is said of its client does not fit any more.
        room = CONFIG.limits.request_bytes - len(json.dumps(rpc("tools/call", {"name": "t__x", "a": ""}, id=1)))
        long = rpc("tools/call", {"name": "t__x", "a": "a" * room}, id=1)
        status, said = await hub.say(long, mcp_session_id=await hub.session())
    else:
        mirrors: dict[str, Any] = {f"mcp_param_{number}": "a" for number in range(95)}
        status, said = await hub.ask(
            "tools/call", {"name": "t__x", "arguments": {"a": "a"}}, mcp_name="t__x", **mirrors
        )
    assert (status, said["error"]["code"]) == (413, 4130)
    ((_, headers, _),) = hub.inner.brought
    assert headers["x-countersign-dismissed"] == "413 no target gets it: in its target's words it is too long"


@pytest.mark.parametrize("method", ["notifications/cancelled", "notifications/roots/list_changed"])
async def test_who_tells_while_nobody_judges_hears_that(method: str) -> None:
    hub = Hub()
    session = await hub.session()
    owner = hub.owner(session)
    owner.ways["t"] = Way(Era.LEGACY, "2025-11-25", "s")
    owner.waiting["1"] = Waiting("t", None)
    told = await hub.say(rpc(method, {"requestId": 1}), mcp_session_id=session)
    assert (told[0], told[1]["error"]["code"]) == (503, 5030)
