"""Our load generator, a process of its own: reads a plan as JSON from standard input, prints the outcome as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import asdict
from functools import partial
from typing import cast

import uvloop

from tests.bench.load import Outcome, Plan
from tests.bench.wire import AnswerReader, BadAnswer, request_bytes

_DRAIN_S = 30.0


class _Tally:
    """What all clients of one plan found."""

    def __init__(self) -> None:
        self.calls = 0
        self.wrong = 0
        self.problem = ""
        self.latencies_us: Counter[int] = Counter()

    def right(self, took_ns: int) -> None:
        self.calls += 1
        self.latencies_us[took_ns // 1000] += 1

    def refuse(self, problem: str) -> None:
        self.wrong += 1
        self.problem = self.problem or problem


class _Client(asyncio.Protocol):
    """One connection: sends, waits for the whole answer, checks it, sends again until ``until_ns``."""

    def __init__(self, request: bytes, expected: bytes, until_ns: int, tally: _Tally) -> None:
        self._request = request
        self._expected = expected
        self._until_ns = until_ns
        self._tally = tally
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def _send(self) -> None:
        self._answer = AnswerReader()
        self._began_ns = time.perf_counter_ns()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        try:
            if not self._answer.feed(data):
                return
        except BadAnswer as error:
            self._finish(str(error))
            return
        now_ns = time.perf_counter_ns()
        if self._answer.status != 200:
            self._tally.refuse(f"status {self._answer.status}")
        elif self._answer.body != self._expected:
            self._tally.refuse("the body is not the expected one")
        else:
            self._tally.right(now_ns - self._began_ns)
        if now_ns < self._until_ns:
            self._send()
        else:
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish("the connection was closed")

    def _finish(self, problem: str = "") -> None:
        if not self.done.done():
            if problem:
                self._tally.refuse(problem)
            self.done.set_result(None)
            self._transport.close()


async def send(plan: Plan) -> Outcome:
    """Carry out the plan."""
    loop = asyncio.get_running_loop()
    tally = _Tally()
    request = request_bytes(plan.port, plan.path, plan.headers, plan.body.encode())
    began_ns = time.perf_counter_ns()
    until_ns = began_ns + plan.seconds * 1_000_000_000
    clients = [_Client(request, plan.expected.encode(), until_ns, tally) for _ in range(plan.clients)]
    for client in clients:
        await loop.create_connection(partial(_itself, client), "127.0.0.1", plan.port)
    _, unanswered = await asyncio.wait([client.done for client in clients], timeout=plan.seconds + _DRAIN_S)
    for _ in unanswered:
        tally.refuse("no answer")
    seconds = (time.perf_counter_ns() - began_ns) / 1e9
    return Outcome(tally.calls, tally.wrong, tally.problem, seconds, dict(tally.latencies_us))


def _itself(client: _Client) -> _Client:
    return client


if __name__ == "__main__":
    print(json.dumps(asdict(uvloop.run(send(Plan(**json.load(sys.stdin)))))))
