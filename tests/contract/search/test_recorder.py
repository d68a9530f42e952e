"""A recorder indexes what it records, beside recording it, and lets auditors search and follow it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import grpc
import psycopg

from countersign.api.recorder.v1 import event_pb2, search_pb2
from countersign.api.recorder.v1.search_pb2_grpc import SearchServiceStub
from countersign.recorder.door import PRINCIPAL_METADATA
from countersign.recorder.search.block import BLOCK_EVENTS
from countersign.runtime.moments import now_us
from tests.support.events import ALICE, new_id, request
from tests.support.postgres import Postgres
from tests.support.recorders import SEALER, running_recorder, running_sender, until


def carol() -> tuple[tuple[str, str], ...]:
    """The seal is good for a minute."""
    return ((PRINCIPAL_METADATA, SEALER.seal_principal(replace(ALICE, subject="carol", groups=("auditors",)))),)


async def test_what_is_recorded_is_indexed_found_and_followed(postgres: Postgres) -> None:
    dsn = postgres.database()
    session = new_id()
    wanted = search_pb2.EventFilter(text='"overdue invoice"', subject="alice", kinds=[event_pb2.EVENT_KIND_REQUEST])

    def indexed() -> bool:
        with psycopg.connect(dsn) as connection:
            return connection.execute("SELECT FROM countersign.marks").fetchone() is not None

    async with (
        running_recorder(dsn) as (_, address),
        running_sender(address) as sender,
        grpc.aio.insecure_channel(address) as channel,
    ):
        stub = SearchServiceStub(channel)
        first = request(session, time_us=now_us(), body=b'{"note":"An overdue\\ninvoice."}')
        await sender.record(first)
        following = stub.FollowEvents(search_pb2.FollowEventsRequest(filter=wanted, from_index=0), metadata=carol())
        events = [request(session, time_us=now_us(), body=b'{"note":"paid"}') for _ in range(BLOCK_EVENTS)]
        await asyncio.gather(*[sender.record(one) for one in events])
        await until(indexed)
        answer = await stub.SearchEvents(search_pb2.SearchEventsRequest(filter=wanted, bodies=True), metadata=carol())
        assert [one.event.event_id for one in answer.events] == [first.event_id]
        assert [one.event.body for one in answer.events] == [first.body]
        assert answer.complete
        last = replace(first, event_id=new_id(), call_id=new_id())
        await sender.record(last)
        followed: list[str] = []
        async for step in following:
            followed += [one.event.event_id for one in step.events]
            if len(followed) == 2:
                break
        assert followed == [first.event_id, last.event_id]
        following.cancel()
