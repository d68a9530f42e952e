"""Whoever revokes what a sealed session goes on as revokes that session: authz knows no other id of it."""

from __future__ import annotations

import uuid

import grpc
import psycopg

from countersign.recorder.revocations.store import PostgresRevocationStore
from tests.support.events import new_id, request
from tests.support.postgres import Postgres
from tests.support.recorders import running_recorder, running_sender
from tests.support.revokers import SESSION, Revoker, following, revocation

_GO_ON = b"""
    INSERT INTO countersign.sessions SELECT (jsonb_populate_record(s, jsonb_build_object(
        'session_id', %s::text, 'continues', s.session_id, 'first_index', s.first_index + 1000))).*
    FROM countersign.sessions AS s WHERE session_id = %s"""


async def test_the_session_that_began_it_all_is_told(postgres: Postgres) -> None:
    dsn, began = postgres.database(), new_id()
    async with running_recorder(dsn) as (_, address):
        async with running_sender(address) as sender:
            await sender.record(request(session_id=began))
        onwards = [str(uuid.uuid4()) for _ in range(2)]
        with psycopg.connect(dsn) as connection:
            for before, after in zip([began, *onwards], onwards, strict=False):
                connection.execute(_GO_ON, (after, before))
        async with grpc.aio.insecure_channel(address) as channel, following(channel) as service:
            people = Revoker(channel)
            for one in onwards:
                made = await people.revoke(revocation(SESSION, one, issuer=""))
                assert made.value == one
                await service.knows(made.revocation_id)
                assert service.known[made.revocation_id].value == began
            stranger = str(uuid.uuid4())
            made = await people.revoke(revocation(SESSION, stranger, issuer=""))
            await service.knows(made.revocation_id)
            assert service.known[made.revocation_id].value == stranger
    store = PostgresRevocationStore(dsn)
    try:
        news = await store.news(-1, -1)
        assert {one.revocation.value for one in news.revoked} == {began, stranger}
    finally:
        await store.close()
