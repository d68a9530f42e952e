"""What an answer holds is recorded with it, whatever form it takes."""

from __future__ import annotations

import json

from countersign.model.event import EventKind
from tests.unit.masker.exchanging import EVENTS, TEXT, Bench, answer
from tests.unit.masker.exchanging import bench as bench
from tests.unit.masker.exchanging import rulebook as rulebook

RECORDS = [{"id": number, "mail": "x"} for number in range(7)]


async def test_rows_of_a_whole_answer_are_recorded(bench: Bench) -> None:
    await bench.head()
    await bench.body(answer(RECORDS), ends=True)
    assert [(one.kind, one.row_count) for one in bench.sink.durable] == [(EventKind.RESPONSE, 7)]


async def test_rows_of_a_stream_are_recorded_with_each_event(bench: Bench) -> None:
    await bench.head(EVENTS)
    progress = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": RECORDS[:2]}}
    for data in (json.dumps(progress).encode(), answer(RECORDS)):
        await bench.body(b"data: " + data + b"\n\n")
    await bench.body(b"", ends=True)
    recorded = [(one.kind, one.row_count) for one in bench.sink.durable]
    assert recorded == [(EventKind.STREAM_EVENT, 2), (EventKind.STREAM_EVENT, 7), (EventKind.STREAM_END, 0)]


async def test_rows_of_errors_in_any_form_are_recorded(bench: Bench) -> None:
    await bench.head(TEXT, 500)
    await bench.body(b"key 1 exists\nkey 2 exists", ends=True)
    assert bench.sink.durable[0].row_count == 2


async def test_rows_of_an_error_that_is_no_json_rpc_are_recorded(bench: Bench) -> None:
    await bench.head(status=400)
    await bench.body(json.dumps({"errors": RECORDS}).encode(), ends=True)
    assert bench.sink.durable[0].row_count == 7


async def test_a_listing_holds_no_rows(bench: Bench) -> None:
    await bench.head(method="prompts/list")
    prompts = {"prompts": [{"name": "a"}, {"name": "b"}]}
    await bench.body(json.dumps({"jsonrpc": "2.0", "id": 1, "result": prompts}).encode(), ends=True)
    assert bench.sink.durable[0].row_count == 0


async def test_an_answer_that_is_withheld_holds_no_rows(bench: Bench) -> None:
    await bench.head()
    await bench.body(b'{"jsonrpc":"2.0","id":2,"result":{"rows":[1,2,3]}}', ends=True)
    assert [(one.status, one.row_count) for one in bench.sink.durable] == [(502, 0)]
