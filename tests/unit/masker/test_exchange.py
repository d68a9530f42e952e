"""No byte of a target is released before its event is durable, whatever fails or is cancelled."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest

from countersign.jsontext import JsonValue
from countersign.masker.ends import HUNG_UP
from countersign.masker.exchange import Reset
from countersign.model.event import EventKind
from countersign.runtime.rulebook import Rulebook
from tests.support.pins import FakePins
from tests.unit.masker.exchanging import (
    EVENTS,
    JSON,
    MAIL,
    TEXT,
    Bench,
    answer,
    listing,
    note,
    refused,
    released,
)
from tests.unit.masker.exchanging import bench as bench
from tests.unit.masker.exchanging import rulebook as rulebook


async def test_nothing_of_a_json_answer_is_released_before_its_event_is_durable(bench: Bench) -> None:
    bench.sink.open.clear()
    assert await bench.head() == []
    assert await bench.body(answer()) == []
    ending = asyncio.ensure_future(bench.body(b"", ends=True))
    await bench.sink.asked.wait()
    done, _ = await asyncio.wait({ending}, timeout=0.05)
    assert not done
    bench.sink.open.set()
    replies = await ending
    assert [reply.WhichOneof("response") for reply in replies] == ["response_headers", "response_body"]
    assert released(replies) == answer("[EMAIL]")
    assert [event.kind for event in bench.sink.durable] == [EventKind.RESPONSE]


async def test_a_picture_that_may_pass_is_not_on_the_record(bench: Bench) -> None:
    picture = base64.b64encode(b"\x89PNG" + bytes(range(256))).decode()
    image = {"type": "image", "mimeType": "image/png", "data": picture}
    data = json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"content": [image]}}).encode()
    await bench.head()
    assert released(await bench.body(data, ends=True)) == data
    (event,) = bench.sink.durable
    assert picture.encode() not in event.body
    assert [finding.label for finding in event.findings] == ["BINARY"]


async def test_no_event_of_a_stream_is_released_before_it_is_durable(bench: Bench) -> None:
    await bench.head(EVENTS)
    bench.sink.open.clear()
    taking = asyncio.ensure_future(bench.body(note(MAIL) + note("two") + note("half")[:-1]))
    await bench.sink.asked.wait()
    done, _ = await asyncio.wait({taking}, timeout=0.05)
    assert not done
    bench.sink.open.set()
    assert released(await taking) == note("[EMAIL]") + note("two")
    assert [event.kind for event in bench.sink.durable] == [EventKind.STREAM_EVENT] * 2


async def test_an_answer_that_cannot_be_recorded_is_withheld(bench: Bench) -> None:
    bench.sink.refuse = lambda _: True
    await bench.head()
    assert refused(await bench.body(answer(), ends=True)) == 503


async def test_an_empty_answer_that_cannot_be_recorded_is_withheld(bench: Bench) -> None:
    bench.sink.refuse = lambda _: True
    assert refused(await bench.head("", 202)) == 503


async def test_a_refusal_that_cannot_be_recorded_is_unavailable(bench: Bench) -> None:
    bench.sink.refuse = lambda _: True
    assert refused(await bench.head("image/png")) == 503


async def test_a_stream_is_cut_at_the_event_that_cannot_be_recorded(bench: Bench) -> None:
    await bench.head(EVENTS)
    assert released(await bench.body(note("one"))) == note("one")
    bench.sink.refuse = lambda event: b"three" in event.body
    with pytest.raises(Reset):
        await bench.body(note("two") + note("three"))


async def test_a_stream_whose_end_cannot_be_recorded_is_cut(bench: Bench) -> None:
    await bench.head(EVENTS)
    bench.sink.refuse = lambda event: event.kind is EventKind.STREAM_END
    with pytest.raises(Reset):
        await bench.body(note("last"), ends=True)


@pytest.mark.parametrize("content_type", [JSON, EVENTS])
async def test_a_cancelled_step_releases_nothing_and_is_recorded_as_broken_off(bench: Bench, content_type: str) -> None:
    data = note(MAIL) if content_type == EVENTS else answer()
    await bench.head(content_type)
    bench.sink.open.clear()
    ending = asyncio.ensure_future(bench.body(data, ends=True))
    await bench.sink.asked.wait()
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    bench.sink.open.set()
    await bench.exchange.abandoned()
    assert "broke off" in bench.sink.durable[-1].reason


class StuckPins(FakePins):
    """Whoever asks for a schema waits for ever."""

    asked = asyncio.Event()

    async def output_schema(self, target: str, name: str) -> JsonValue:
        self.asked.set()
        await asyncio.Event().wait()
        return None


async def test_an_answer_whose_caller_left_while_it_was_looked_at_is_ended_on_the_record(rulebook: Rulebook) -> None:
    bench = Bench(rulebook, StuckPins())
    beginning = asyncio.ensure_future(bench.head())
    await StuckPins.asked.wait()
    beginning.cancel()
    await asyncio.wait({beginning})
    assert bench.exchange.unfinished
    await bench.exchange.abandoned()
    assert [(event.status, event.reason) for event in bench.sink.durable] == [(0, HUNG_UP)]
    assert not bench.exchange.unfinished


async def test_an_answer_without_a_body_is_ended_once_also_when_its_caller_leaves_before_the_last_frame(
    bench: Bench,
) -> None:
    await bench.head("", 202)
    assert bench.exchange.unfinished
    await bench.exchange.abandoned()
    assert [(event.status, event.reason) for event in bench.sink.durable] == [(202, "")]


async def test_a_complete_answer_is_not_recorded_as_broken_off(bench: Bench) -> None:
    await bench.head()
    await bench.body(answer(), ends=True)
    await bench.exchange.abandoned()
    assert [event.reason for event in bench.sink.durable] == [""]


async def test_a_stream_is_whole_once_its_answer_is_out_and_not_before(bench: Bench) -> None:
    said = b"data: " + answer() + b"\n\n"
    await bench.head(EVENTS)
    await bench.body(note("first"), ends=True)
    assert bench.sink.durable[-1].reason == "the target ended the stream before its answer"
    for pieces, reason in (([said], ""), ([note("first"), said], ""), ([note("first")], "broke off")):
        left = Bench(bench.rulebook)
        await left.head(EVENTS)
        for piece in pieces:
            await left.body(piece)
        await left.exchange.abandoned()
        told = left.sink.durable[-1].reason
        assert reason in told if reason else not told


async def test_an_answer_to_no_judged_call_is_withheld(bench: Bench) -> None:
    assert refused(await bench.head(handed=False)) == 502


async def test_an_answer_under_a_policy_that_is_not_known_is_withheld(bench: Bench) -> None:
    bench.version = "another"
    assert refused(await bench.head()) == 502


async def test_an_answer_that_said_it_was_empty_is_cut_when_it_is_not(bench: Bench) -> None:
    await bench.head("", 202)
    with pytest.raises(Reset):
        await bench.body(MAIL.encode(), ends=True)


@pytest.mark.parametrize("content_type", ["", JSON])
async def test_an_accepted_notification_may_have_no_body(bench: Bench, content_type: str) -> None:
    replies = [
        *await bench.head(content_type, 202, method="notifications/initialized"),
        *await bench.body(b"", ends=True),
    ]
    assert [reply.WhichOneof("response") for reply in replies] == ["response_headers", "response_body"]
    assert [event.status for event in bench.sink.durable] == [202]


@pytest.mark.parametrize(
    ("content_type", "status"), [(JSON, 200), (JSON, 400), (JSON, 500), (TEXT, 404), ("text/html", 500), (EVENTS, 200)]
)
async def test_a_listing_is_filtered_whatever_it_comes_as(bench: Bench, content_type: str, status: int) -> None:
    await bench.head(content_type, status, method="tools/list")
    data = b"data: " + listing() + b"\n\n" if content_type == EVENTS else listing()
    shown = released(await bench.body(data, ends=True))
    assert b"query" in shown
    assert b"export" not in shown


@pytest.mark.parametrize(("era", "told"), [("modern", True), ("legacy", False)])
async def test_clients_are_told_of_tasks_where_calls_may_wait(bench: Bench, era: str, told: bool) -> None:
    await bench.head(method="server/discover", era=era)
    said = {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}
    data = json.dumps({"jsonrpc": "2.0", "id": 1, "result": said}).encode()
    sent = json.loads(released(await bench.body(data, ends=True)))
    assert sent["result"]["supportedVersions"] == ["2026-07-28"]
    assert sent["result"]["capabilities"].get("extensions") == ({"io.modelcontextprotocol/tasks": {}} if told else None)
    assert (b"io.modelcontextprotocol/tasks" in bench.sink.durable[-1].body) is told


@pytest.mark.parametrize("prefix", [b"\xef\xbb\xbf", b'{"a": 1, "a": ', b"["])
async def test_a_listing_in_an_odd_error_is_withheld(bench: Bench, prefix: bytes) -> None:
    await bench.head(TEXT, 400, method="tools/list")
    suffix = {b"[": b", 1]", b"\xef\xbb\xbf": b""}.get(prefix, b"}")
    assert refused(await bench.body(prefix + listing() + suffix, ends=True)) == 502


@pytest.mark.parametrize("content_type", [JSON, TEXT])
@pytest.mark.parametrize("within", [True, False])
async def test_stripping_makes_no_listing_of_an_error(bench: Bench, content_type: str, within: bool) -> None:
    hidden = "\U000e0061".encode()
    data = listing().replace(b'"result"', b'"res' + hidden + b'ult"') if within else hidden + listing()
    await bench.head(content_type, 400, method="tools/list")
    assert refused(await bench.body(data, ends=True)) == 502
    assert b"export" not in repr(bench.sink.durable).encode()


async def test_masking_a_large_piece_of_a_stream_holds_up_nobody(bench: Bench) -> None:
    await bench.head(EVENTS)
    order: list[str] = []
    large = asyncio.ensure_future(bench.body(b"\n" * 300_000))
    large.add_done_callback(lambda _: order.append("large"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    order.append("another")
    assert released(await large) == b":\n\n"
    assert order == ["another", "large"]


async def test_answers_together_hold_no_more_than_the_budget(bench: Bench) -> None:
    bench.budget.take(999_990)
    await bench.head()
    assert refused(await bench.body(answer(), ends=True)) == 502
    bench.exchange.close()
    assert bench.budget.held_bytes == 999_990


async def test_what_an_answer_held_is_given_back(bench: Bench) -> None:
    await bench.head()
    await bench.body(answer())
    assert bench.budget.held_bytes == len(answer())
    bench.exchange.close()
    bench.exchange.close()
    assert bench.budget.held_bytes == 0
