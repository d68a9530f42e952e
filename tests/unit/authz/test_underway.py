"""An id is used again once its call has ended, and a cancellation reaches a target within a session alone."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from countersign.authz import underway
from countersign.authz.envoy import Answer, Forward
from tests.support.recorders import until
from tests.unit.authz.bench import GATEWAY, NOW_US, Bench, call, inquiry
from tests.unit.authz.returns import MODERN, Session, rulebook_of
from tests.unit.authz.returns import bench as bench


async def test_an_id_is_used_again_once_its_call_has_ended_and_not_before(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(underway, "PATIENCE_S", 0.0)
    session, bench.handles.under_way = Session(bench), True
    assert isinstance(await session.ask(call()), Forward)
    refused = await session.ask(call())
    assert isinstance(refused, Answer)
    error = json.loads(refused.reply.body)
    assert (refused.reply.status, error["error"]["code"], error["id"]) == (400, -32600, 1)
    # Another id, another type of it, another session, another sender: all of them are others.
    assert isinstance(await session.ask(call(rpc_id=2)), Forward)
    assert isinstance(await session.ask({**call(), "id": "1"}), Forward)
    assert isinstance(await Session(bench).ask(call()), Forward)
    for _ in range(2):
        assert isinstance(await bench.ask(inquiry(call())), Forward)
    bench.handles.under_way = False
    assert isinstance(await session.ask(call()), Forward)


async def test_an_id_whose_call_was_denied_is_free(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(underway, "PATIENCE_S", 0.0)
    session, bench.handles.under_way = Session(bench), True
    for _ in range(2):
        denied = await session.ask(call("drop_table"))
        assert isinstance(denied, Answer)
        assert denied.reply.status == 200
    assert isinstance(await session.ask(call()), Forward)


async def test_an_end_that_is_recorded_a_moment_later_is_waited_for(bench: Bench) -> None:
    session, bench.handles.under_way = Session(bench), True
    assert isinstance(await session.ask(call()), Forward)
    again = asyncio.ensure_future(session.ask(call()))
    await until(lambda: bench.handles.asked >= 2)
    bench.handles.under_way = False
    assert isinstance(await again, Forward)


def cancellation(**of: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1, **of}}


async def test_a_cancellation_reaches_a_target_only_within_a_session(bench: Bench) -> None:
    assert isinstance(await Session(bench).ask(cancellation()), Forward)
    for asked in (
        inquiry(cancellation()),
        inquiry(cancellation(), mcp_protocol_version=MODERN, mcp_method="notifications/cancelled"),
    ):
        result = await bench.ask(asked)
        assert isinstance(result, Answer)
        assert (result.reply.status, result.reply.body) == (202, b"")
        assert "nothing was sent" in bench.sink.durable[-1].reason
    among_others = await bench.ask(inquiry([cancellation(), call()]))
    assert isinstance(among_others, Answer)
    assert among_others.reply.status == 400
    assert isinstance(await Session(bench).ask([cancellation(), call()]), Forward)


async def test_what_is_remembered_of_ids_is_bounded_in_number_and_in_time(
    tmp_path: Path, rules_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(underway, "PATIENCE_S", 0.0)
    monkeypatch.setattr(underway, "_MOST", 2)
    clock = [NOW_US]
    bench = Bench(rulebook_of(tmp_path / "gateway.yaml", rules_cache, GATEWAY), clock=lambda: clock[0])
    session, bench.handles.under_way = Session(bench), True
    for rpc_id in (1, 2, 3):
        assert isinstance(await session.ask(call(rpc_id=rpc_id)), Forward)
    assert isinstance(await session.ask(call(rpc_id=3)), Answer)
    assert isinstance(await session.ask(call(rpc_id=1)), Forward), "the oldest is forgotten"
    clock[0] += underway.FORGOTTEN_US
    assert isinstance(await session.ask(call(rpc_id=3)), Forward)
