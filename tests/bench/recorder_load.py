"""Loads for the recorder: ready-made messages, so that to make events takes nothing of what is measured."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import grpc

from countersign.api.recorder.v1 import recorder_pb2
from countersign.runtime.recording import Recorder, to_message
from tests.support.events import new_id, request

BATCH = 32
BODY_BYTES = 600
SESSIONS = 16
# Messages that one sender has under way.
AHEAD = 16

Body = Callable[[random.Random], bytes]


def rows(chance: random.Random) -> bytes:
    """An answer as databases give them: rows in JSON, masked here and there; exactly ``BODY_BYTES``."""
    found = [
        {
            "id": chance.randrange(10**6),
            "customer": f"C-{chance.randrange(10**5):05}",
            "email": "[EMAIL]",
            "total": round(chance.uniform(1, 5_000), 2),
            "status": chance.choice(["open", "shipped", "returned"]),
        }
        for _ in range(9)
    ]
    text = json.dumps({"result": {"content": [{"type": "text", "text": json.dumps(found)}]}})
    return text.encode().ljust(BODY_BYTES)[:BODY_BYTES]


def noise(chance: random.Random) -> bytes:
    """What nothing can pack."""
    return chance.randbytes(BODY_BYTES)


def messages(count: int, body: Body) -> list[bytes]:
    """So many serialized messages of ``BATCH`` events, in sessions of their own."""
    chance = random.Random(count)
    sessions = [new_id() for _ in range(SESSIONS)]
    return [
        recorder_pb2.AppendRequest(
            batch_id=number,
            events=[to_message(request(sessions[at % SESSIONS], body=body(chance))) for at in range(BATCH)],
        ).SerializeToString()
        for number in range(count)
    ]


@dataclass(frozen=True)
class Sent:
    """What became of a load: acknowledged events, in how many seconds, and what each message waited, in ms."""

    events: int
    seconds: float
    waited_ms: Sequence[float]

    @property
    def per_s(self) -> float:
        """Acknowledged events a second."""
        return self.events / self.seconds

    def percentile(self, share: float) -> float:
        """The wait that so many per cent of the messages did not exceed."""
        return sorted(self.waited_ms)[min(int(len(self.waited_ms) * share / 100), len(self.waited_ms) - 1)]


async def send(address: str, ready: Sequence[bytes], seconds: float) -> Sent:
    """Send over one stream, ``AHEAD`` messages under way, until there are no more, or the time is over."""
    async with grpc.aio.insecure_channel(address) as channel:
        method: grpc.aio.StreamStreamMultiCallable[bytes, recorder_pb2.AppendResponse] = channel.stream_stream(
            "/countersign.api.recorder.v1.RecorderService/Append",
            request_serializer=None,
            response_deserializer=recorder_pb2.AppendResponse.FromString,
        )
        stream = method(wait_for_ready=True)
        room = asyncio.Semaphore(AHEAD)
        began, sent_at = time.monotonic(), []
        waited: list[float] = []

        async def write() -> None:
            for message in ready:
                await room.acquire()
                if time.monotonic() - began > seconds:
                    break
                sent_at.append(time.monotonic())
                await stream.write(message)
            await stream.done_writing()

        writing = asyncio.ensure_future(write())
        async for answer in stream:
            assert not answer.refusals, answer.refusals[0]
            waited.append((time.monotonic() - sent_at[len(waited)]) * 1_000)
            room.release()
        await writing
    return Sent(len(waited) * BATCH, time.monotonic() - began, waited)


async def send_to_all(addresses: Sequence[str], ready: Sequence[Sequence[bytes]], seconds: float) -> Sent:
    """Send to several recorders at once."""
    found = await asyncio.gather(*[send(to, mine, seconds) for to, mine in zip(addresses, ready, strict=True)])
    waited = [one for sent in found for one in sent.waited_ms]
    return Sent(sum(sent.events for sent in found), max(sent.seconds for sent in found), waited)


async def call(sender: Recorder, seconds: float, count: int = 64) -> Sent:
    """``count`` callers, each waiting for its event before the next."""
    began = time.monotonic()
    waited: list[float] = []

    async def one() -> None:
        session, chance = new_id(), random.Random(count)
        while (asked := time.monotonic()) - began < seconds:
            await sender.record(request(session, body=rows(chance)))
            waited.append((time.monotonic() - asked) * 1_000)

    await asyncio.gather(*[one() for _ in range(count)])
    return Sent(len(waited), time.monotonic() - began, waited)


async def lone(sender: Recorder, count: int) -> Sent:
    """Single events, one after the other."""
    session, chance = new_id(), random.Random(count)
    began, waited = time.monotonic(), []
    for _ in range(count):
        event = request(session, body=rows(chance))
        asked = time.monotonic()
        await sender.record(event)
        waited.append((time.monotonic() - asked) * 1_000)
    return Sent(count, time.monotonic() - began, waited)
