"""A live session is followed up to the seal that the recorder puts on it, and the session tells that seal."""

from __future__ import annotations

import time
from dataclasses import replace

import grpc

from countersign.api.recorder.v1 import event_pb2, session_pb2, session_pb2_grpc
from countersign.config.types import Recording
from countersign.recorder.door import PRINCIPAL_METADATA
from tests.support.events import ALICE, new_id, request, response
from tests.support.postgres import Postgres
from tests.support.recorders import SEALER, running_recorder, running_sender

CAROL = replace(ALICE, subject="carol", groups=("auditors",))


async def test_a_following_ends_with_the_seal_that_the_recorder_makes(postgres: Postgres) -> None:
    auditor = ((PRINCIPAL_METADATA, SEALER.seal_principal(CAROL)),)
    now_us, one = time.time_ns() // 1_000, new_id()
    async with (
        running_recorder(postgres.database(), recording=lambda: Recording(seal_after_s=1.0)) as (_, address),
        running_sender(address) as sender,
        grpc.aio.insecure_channel(address) as channel,
    ):
        stub = session_pb2_grpc.SessionServiceStub(channel)
        asked = request(one, time_us=now_us)
        await sender.record(asked)
        followed = stub.ReplaySession(
            session_pb2.ReplaySessionRequest(session_id=one, follow=True), metadata=auditor, timeout=30
        )
        await sender.record(response(one, call_id=asked.call_id, time_us=now_us + 1))
        told = [answer.event async for answer in followed if answer.HasField("event")]
        session = (
            await stub.GetSession(session_pb2.GetSessionRequest(session_id=one), metadata=auditor, timeout=30)
        ).session
        beyond = stub.ReplaySession(
            session_pb2.ReplaySessionRequest(session_id=one, follow=True, from_sequence=3), metadata=auditor, timeout=30
        )
        assert [answer async for answer in beyond] == []
    assert [each.sequence for each in told] == [0, 1, 2]
    assert told[-1].event.kind == event_pb2.EVENT_KIND_SEAL
    assert session.seal == told[-1].event.seal
    assert (session.seal.event_count, session.seal_reason, session.continues) == (2, "idle", "")
    assert session.HasField("sealed_at")
    assert not any(each.body_erased for each in told)
