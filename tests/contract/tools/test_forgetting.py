"""Operators have tools forgotten, on a real database: it is on the record first, and lets nobody call anything."""

from __future__ import annotations

import asyncio
import json

import grpc
import psycopg
import pytest

from countersign.api.access.v1 import tools_pb2, tools_pb2_grpc
from countersign.model.principal import Principal
from countersign.recorder.tools.asked import to_pins
from countersign.recorder.tools.plan import Offer
from countersign.recorder.tools.review import PRINCIPAL_METADATA
from countersign.recorder.tools.store import PostgresPinStore
from countersign.runtime.pins import PinState
from countersign.runtime.sealing import KEY_BYTES, Sealer
from tests.contract.tools.test_recorder import (
    EVIL,
    GOOD,
    MALLORY,
    OLGA,
    following,
    observe,
    page,
    recorded,
    reviewing,
)
from tests.support.pins import offer
from tests.support.postgres import Postgres
from tests.support.recorders import SEALER, running_recorder, until


@pytest.fixture
def dsn(postgres: Postgres) -> str:
    return postgres.database()


async def forget(
    address: str, *tools: Offer, principal: Principal | None = OLGA, sealer: Sealer = SEALER, target: str = "shop"
) -> tools_pb2.ForgetToolsResponse:
    """Have tools forgotten as they were seen."""
    sealed = () if principal is None else ((PRINCIPAL_METADATA, sealer.seal_principal(principal)),)
    seen = [tools_pb2.SeenTool(name=tool.name, digest=tool.digest) for tool in tools]
    async with grpc.aio.insecure_channel(address) as channel:
        stub = tools_pb2_grpc.ToolReviewServiceStub(channel)
        request = tools_pb2.ForgetToolsRequest(target=target, tools=seen)
        return await stub.ForgetTools(request, metadata=sealed, timeout=10)


async def test_a_forgotten_tool_is_on_the_record_gone_for_all_and_waits_when_it_comes_again(dsn: str) -> None:
    async with (
        running_recorder(dsn) as (_, one),
        running_recorder(dsn) as (_, other),
        following(one) as pins,
        following(other) as judge,
        reviewing(one) as review,
    ):
        await observe(pins, GOOD, offer("list"))
        await observe(pins, EVIL)
        done = await forget(one, EVIL, offer("list"), offer("none"))
        assert (list(done.forgotten), list(done.not_forgotten)) == (["query", "list"], ["none"])
        for told in (pins, judge):
            await until(lambda told=told: told.offered("shop") == frozenset())  # type: ignore[misc]
            assert told.state("shop", "query") is PinState.UNLISTED
        assert (await review.list(target="shop")).tools == []
        states = [pin.state for pin in await observe(pins, GOOD, offer("list"))]
        assert states == [PinState.NEW, PinState.NEW]
        await until(lambda: judge.state("shop", "query") is PinState.NEW)
    record, body = (await recorded(dsn))[2]
    assert (record["kind"], record["method"]) == ("tools_forgotten", "ForgetTools")
    assert record["principal"]["subject"] == "olga"  # type: ignore[index]  # it is an object
    assert (body["forgotten"], body["not_forgotten"]) == (["query", "list"], ["none"])
    assert body["tools"][0] == {  # type: ignore[index]  # it is an array
        "name": "query",
        "was": "changed",
        "digest": EVIL.digest.hex(),
        "accepted_digest": GOOD.digest.hex(),
    }


async def test_who_hears_late_of_a_tool_that_came_again_takes_it_for_known(dsn: str) -> None:
    store = PostgresPinStore(dsn)
    async with running_recorder(dsn) as (_, address), following(address) as pins:
        await observe(pins, GOOD)
        begin = await store.news(0)
        await forget(address, GOOD)
        await observe(pins, EVIL)
        assert begin is not None
        late = await store.news(begin.revision)
        await store.close()
    assert late is not None
    states = [(pin.name, pin.state) for pin in to_pins(late)]
    assert states == [("query", tools_pb2.TOOL_STATE_FORGOTTEN), ("query", tools_pb2.TOOL_STATE_NEW)]


async def test_nothing_is_forgotten_that_could_not_be_recorded(dsn: str) -> None:
    async with running_recorder(dsn) as (_, address), following(address) as pins:
        await observe(pins, GOOD)
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            await connection.execute("ALTER TABLE countersign.events ADD CHECK (kind <> 9) NOT VALID")
            with pytest.raises(grpc.aio.AioRpcError, match="UNAVAILABLE"):
                await forget(address, GOOD)
            held = await connection.execute("SELECT name FROM countersign.tools")
            assert await held.fetchall() == [("query",)]
        assert pins.state("shop", "query") is PinState.ACCEPTED


async def test_only_operators_have_tools_forgotten_and_the_attempts_of_others_are_recorded(dsn: str) -> None:
    forger = Sealer(b"\x01" * KEY_BYTES)
    async with running_recorder(dsn) as (_, address), following(address) as pins:
        await observe(pins, GOOD)
        for principal, sealer, status in (
            (MALLORY, SEALER, "PERMISSION_DENIED"),
            (OLGA, forger, "UNAUTHENTICATED"),
            (None, SEALER, "UNAUTHENTICATED"),
        ):
            with pytest.raises(grpc.aio.AioRpcError, match=status):
                await forget(address, GOOD, principal=principal, sealer=sealer)
        assert pins.state("shop", "query") is PinState.ACCEPTED
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        found = await connection.execute("SELECT record FROM countersign.events WHERE kind IN (6, 9)")
        attempts = [json.loads(record) for (record,) in await found.fetchall()]
    assert [(one["method"], one["decision"]["outcome"]) for one in attempts] == [("ForgetTools", "deny")]


async def test_what_changed_since_it_was_shown_stays_and_a_request_that_is_repeated_finds_nothing(dsn: str) -> None:
    async with running_recorder(dsn) as (_, address), following(address) as pins:
        await observe(pins, GOOD)
        await observe(pins, EVIL)
        assert list((await forget(address, GOOD)).not_forgotten) == ["query"]
        assert pins.state("shop", "query") is PinState.CHANGED
        answers = await asyncio.gather(*(forget(address, EVIL) for _ in range(8)))
        assert sum(len(answer.forgotten) for answer in answers) == 1
        assert sum(len(answer.not_forgotten) for answer in answers) == 7


async def test_no_page_of_a_first_listing_pins_what_was_forgotten_meanwhile(dsn: str) -> None:
    async with running_recorder(dsn) as (_, address), following(address) as pins:
        await pins.observe("shop", page(GOOD, ends=False), allow_new=False)
        assert list((await forget(address, GOOD)).forgotten) == ["query"]
        await until(lambda: not pins.is_open("shop"))
        seen = await pins.observe("shop", page(EVIL, offer("later"), ends=False), allow_new=False)
        assert [pin.state for pin in seen] == [PinState.NEW, PinState.NEW]


async def test_bad_requests_to_forget_are_refused(dsn: str) -> None:
    async with running_recorder(dsn) as (_, address):
        short = Offer("a", b"short", "{}")
        for tools in ((), (short,), (GOOD, EVIL), tuple(offer(f"t{number}") for number in range(1_001))):
            with pytest.raises(grpc.aio.AioRpcError, match="INVALID_ARGUMENT"):
                await forget(address, *tools)
        assert list((await forget(address, GOOD, target="never listed")).not_forgotten) == ["query"]


async def test_operators_are_told_which_targets_gateway_yaml_does_not_name(dsn: str) -> None:
    async with running_recorder(dsn) as (_, address), following(address) as pins, reviewing(address) as review:
        for target in ("removed", "shop"):
            await pins.observe(target, page(GOOD), allow_new=False)
        shown = (await review.list()).tools
        assert [(tool.target, tool.not_configured) for tool in shown] == [("removed", True), ("shop", False)]
        assert list((await forget(address, GOOD, target="removed")).forgotten) == ["query"]
