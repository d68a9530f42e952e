"""OTLP exports count when the collector took every record, and only then."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from countersign.config.types import OtlpSink, Secret
from countersign.exports import otlp
from countersign.exports.collector import CollectorDestination
from countersign.exports.ports import NotTaken
from tests.support.exporting import facts
from tests.support.listeners import Listener, listening

CANARY = "canary-" + "x" * 8


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    async with listening() as one:
        yield one


async def _take(listener: Listener, token: Secret | None = None) -> None:
    destination = CollectorDestination(OtlpSink(f"{listener.url}/", token), lambda some: otlp.export_request(some, "1"))
    try:
        await destination.take(facts(3))
    finally:
        await destination.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"{}",
        b'{"partialSuccess":{}}',
        b'{"partialSuccess":null}',
        b'{"partialSuccess":{"rejectedLogRecords":"0","errorMessage":"be kind"}}',
    ],
    ids=ascii,
)
async def test_full_acceptance_counts(listener: Listener, answer: bytes) -> None:
    listener.answer = lambda _: (200, answer)
    await _take(listener, Secret(CANARY))
    (posted,) = listener.posted
    assert posted.path == "/v1/logs"
    assert posted.headers["content-type"] == "application/json"
    assert posted.headers["authorization"] == f"Bearer {CANARY}"
    assert len(json.loads(posted.body)["resourceLogs"][0]["scopeLogs"][0]["logRecords"]) == 3


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, b'{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"CANARY"}}'),
        (200, b'{"partialSuccess":{"rejectedLogRecords":3}}'),
        (200, b'{"partial_success":{"rejected_log_records":"1"}}'),
        (200, b'{"partialSuccess":{"rejectedLogRecords":"-1"}}'),
        (200, b'{"partialSuccess":{"rejectedLogRecords":"many"}}'),
        (200, b'{"partialSuccess":[1]}'),
        (200, b"CANARY"),
        (200, b"[1]"),
        (200, b"[" * 30_000),
        (200, b" " * 100_000),
        (302, b""),
        (400, b"CANARY"),
        (401, b"CANARY"),
        (500, b""),
        (503, b"{}"),
    ],
    ids=lambda value: ascii(value)[:60],
)
async def test_anything_else_does_not_and_nothing_of_it_is_told(listener: Listener, status: int, answer: bytes) -> None:
    listener.answer = lambda _: (status, answer.replace(b"CANARY", CANARY.encode()))
    with pytest.raises(NotTaken) as refused:
        await _take(listener)
    assert CANARY not in str(refused.value)
    assert len(listener.posted) == 1


async def test_who_is_not_there_takes_nothing(listener: Listener) -> None:
    gone = Listener(port=listener.port)
    async with listening() as other:
        gone.port = other.port
    with pytest.raises(NotTaken, match="cannot be reached"):
        await _take(gone)


async def test_what_is_too_large_may_come_in_smaller_pieces(listener: Listener) -> None:
    listener.answer = lambda _: (413, b"")
    with pytest.raises(NotTaken) as refused:
        await _take(listener)
    assert refused.value.smaller
