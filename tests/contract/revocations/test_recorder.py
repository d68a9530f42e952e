"""Revocations in whole recorders: who may, what is recorded, and that all who follow are told."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import grpc
import psycopg
import pytest

from countersign.recorder.revocations import follower, news_store
from tests.support.events import ALICE, request
from tests.support.postgres import Postgres
from tests.support.recorders import running_recorder, running_sender, until
from tests.support.revokers import (
    CAROL,
    ISSUER,
    OLGA,
    SIGN_IN,
    TOKEN,
    Revoker,
    following,
    revocation,
)


@pytest.fixture(scope="module")
def dsn(postgres: Postgres) -> str:
    """One that no test empties: a recorder's log may not be taken away from it."""
    return postgres.database()


@asynccontextmanager
async def revoking(dsn: str) -> AsyncIterator[Revoker]:
    async with running_recorder(dsn) as (_, address), grpc.aio.insecure_channel(address) as channel:
        yield Revoker(channel)


def recorded(dsn: str, name: str) -> list[dict[str, Any]]:
    """The record's events with a name, oldest first."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("SELECT record FROM countersign.events WHERE name = %s ORDER BY index", (name,))
        return [json.loads(record) for (record,) in rows]


async def test_what_is_revoked_is_recorded_told_listed_and_lifted(dsn: str) -> None:
    async with revoking(dsn) as people, following(people.channel) as service:
        made = await people.revoke(revocation(issued_before_s=1_700_000_000))
        await service.knows(made.revocation_id)
        assert service.known[made.revocation_id].issued_before_s == 1_700_000_000
        assert (made.by_issuer, made.by_subject) == (OLGA.issuer, "olga")
        for who in (CAROL, OLGA):
            assert made in await people.listed(who)
        await people.lift(made.revocation_id)
        await service.forgot(made.revocation_id)
        assert made.revocation_id not in [one.revocation_id for one in await people.listed()]
        with pytest.raises(grpc.aio.AioRpcError) as again:
            await people.lift(made.revocation_id)
        assert again.value.code() is grpc.StatusCode.NOT_FOUND
    told = [(one["kind"], one["method"], one["principal"]["subject"]) for one in recorded(dsn, made.value)]
    assert told == [("revoked", "Revoke", "olga"), ("revoked", "LiftRevocation", "olga")]


async def test_the_same_again_is_what_is_in_force_and_the_attempt_is_recorded(dsn: str) -> None:
    async with revoking(dsn) as people:
        wanted = revocation(TOKEN)
        made = await people.revoke(wanted)
        assert await people.revoke(wanted) == made
        # Less than what is in force is in force, too; more is not.
        wanted.issued_before_s = 1_700_000_000
        assert await people.revoke(wanted) == made
        lasting = revocation(SIGN_IN, until_us=time.time_ns() // 1_000 + 3_600_000_000)
        short = await people.revoke(lasting)
        lasting.until_us = 0
        assert (await people.revoke(lasting)).revocation_id != short.revocation_id
    told = [(one["kind"], one["method"]) for one in recorded(dsn, made.value)]
    assert told == [("revoked", "Revoke"), ("audit_read", "Revoke"), ("audit_read", "Revoke")]


async def test_others_may_not_and_their_attempts_are_recorded(dsn: str) -> None:
    async with revoking(dsn) as people:
        wanted = revocation()
        for who in (ALICE, CAROL):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await people.revoke(wanted, who)
            assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await people.listed(ALICE, value=wanted.value)
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
        made = await people.revoke(wanted)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await people.lift(made.revocation_id, CAROL)
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert await people.listed(value=wanted.value) == [made]
    told = [(one["method"], one["decision"]["outcome"]) for one in recorded(dsn, wanted.value)]
    assert told[:3] == [("Revoke", "deny"), ("Revoke", "deny"), ("ListRevocations", "deny")]
    assert [one["decision"]["outcome"] for one in recorded(dsn, made.revocation_id)] == ["deny"]


async def test_an_open_session_of_the_revoked_is_sealed_with_the_reason(dsn: str) -> None:
    mallory = replace(ALICE, subject=f"mallory-{uuid.uuid4()}")
    async with (
        running_recorder(dsn) as (_, address),
        grpc.aio.insecure_channel(address) as channel,
        running_sender(address) as sender,
    ):
        event = request(principal=mallory)
        await sender.record(event)
        await Revoker(channel).revoke(revocation(value=mallory.subject, issuer=mallory.issuer))

        def reason() -> str:
            with psycopg.connect(dsn) as connection:
                found = connection.execute(
                    "SELECT seal_reason FROM countersign.sessions WHERE session_id = %s", (event.session_id,)
                ).fetchone()
            return found[0] if found is not None else ""

        await until(lambda: bool(reason()))
        assert reason() == "revoked"


async def test_what_issuers_tell_is_taken_in_once_and_they_take_back_only_their_own(dsn: str) -> None:
    async with revoking(dsn) as people, following(people.channel) as service:
        gone = revocation(by_issuer=ISSUER)
        assert not await people.apply(gone, source_id="set-1", source="signals")
        [told] = await people.listed(value=gone.value)
        await service.knows(told.revocation_id)
        assert (told.by_issuer, told.by_subject) == (ISSUER, "")
        assert told.until_us == told.revoked_us + 30 * 86_400_000_000
        mine = await people.revoke(revocation(value=gone.value))
        assert not await people.apply(lifted=(gone,), source_id="set-2", source="signals")
        await service.forgot(told.revocation_id)
        assert await people.listed(value=gone.value) == [mine]
        # The same telling again revokes nothing anew, and another source lifts nothing of this one.
        assert await people.apply(gone, source_id="set-1", source="signals")
        assert not await people.apply(gone, source_id="set-1", source="logout")
        assert not await people.apply(lifted=(gone,), source_id="set-3", source="signals")
        assert len(await people.listed(value=gone.value)) == 2
    methods = [(one["kind"], one["method"], "principal" in one) for one in recorded(dsn, gone.value)]
    issuers = [method for kind, method, somebody in methods if kind == "revoked" and not somebody]
    assert issuers == ["Revoke", "LiftRevocation", "Revoke"]


@pytest.mark.parametrize("deaf", [False, True], ids=["notified", "notifications lost"])
async def test_each_recorder_tells_of_what_the_other_revokes(
    dsn: str, deaf: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if deaf:
        monkeypatch.setattr(news_store, "_LISTEN", b"SELECT 1")
    else:
        # So seldom that only the notification can have told.
        monkeypatch.setattr(follower, "LOOK_EVERY_S", 60)
        monkeypatch.setattr(follower, "SILENT_AFTER_S", 60)
    async with revoking(dsn) as here, revoking(dsn) as there, following(there.channel) as service:
        made = await here.revoke(revocation())
        await service.knows(made.revocation_id)
        await here.lift(made.revocation_id)
        await service.forgot(made.revocation_id)


async def test_who_comes_later_or_again_is_told_all_that_is_in_force(dsn: str) -> None:
    async with revoking(dsn) as people:
        made = [await people.revoke(revocation()) for _ in range(3)]
        await people.lift(made[0].revocation_id)
        async with following(people.channel) as service:
            assert made[0].revocation_id not in service.known
            assert {one.revocation_id for one in made[1:]} <= service.known.keys()
            # And is told that nothing changes.
            count = len(service.messages)
            await until(lambda: len(service.messages) >= count + 3)
            assert all(one.whole for one in service.messages)
    async with revoking(dsn) as people, following(people.channel) as service:
        assert {one.revocation_id for one in made[1:]} <= service.known.keys()


async def test_who_has_the_database_lifts_what_no_operator_can_and_it_is_recorded(dsn: str) -> None:
    async with revoking(dsn) as people, following(people.channel) as service:
        made = await people.revoke(revocation())
        await service.knows(made.revocation_id)
        with psycopg.connect(dsn) as connection:
            connection.execute(
                "INSERT INTO countersign.revocation_events (event_id, revocation_id, lifts, event)"
                " SELECT gen_random_uuid(), revocation_id, true, '' FROM countersign.revocations"
                " WHERE revocation_id = %s",
                (made.revocation_id,),
            )
        await service.forgot(made.revocation_id)
    [_, told] = recorded(dsn, made.value)
    assert (told["method"], told["reason"]) == ("LiftRevocation", "lifted by who has the database")
    assert "principal" not in told


async def test_streams_end_when_the_recorder_drains(dsn: str) -> None:
    async with (
        running_recorder(dsn) as (part, address),
        grpc.aio.insecure_channel(address) as channel,
        following(channel) as service,
    ):
        part.drain()
        await until(lambda: service.ended)


async def test_a_token_in_place_of_its_id_is_not_recorded(dsn: str) -> None:
    token = ".".join(["ey" + "J" * 40, "ey" + uuid.uuid4().hex, "c2ln"])
    async with revoking(dsn) as people:
        for who in (OLGA, ALICE):
            with pytest.raises(grpc.aio.AioRpcError):
                await people.revoke(revocation(TOKEN, token), who)
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "SELECT count(*) FROM countersign.bodies WHERE position(%s::bytea in content) > 0", (token.encode(),)
        ).fetchone()
    assert rows == (0,)
    assert len(recorded(dsn, "(a token)")) == 2
