"""Rows are never counted low enough that a bulk read could pass for a few small ones."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.jsontext import parse
from countersign.mcp.row_values import Counted, Unread, frame, text_rows, value_rows
from countersign.mcp.rows import count_rows
from tests.support.cost import cpu_s

N = 50
RECORDS = [{"id": number, "name": f"Name {number}", "city": None, "paid": number % 2 == 0} for number in range(N)]
CALL = ("tools/call",)


def rows(message: object, methods: tuple[str, ...] = CALL) -> int:
    return count_rows(parse(json.dumps(message)).root, methods)


def result(**members: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": 1, "result": members}


def texts(*blocks: str) -> list[Mapping[str, object]]:
    return [{"type": "text", "text": block} for block in blocks]


SHAPES: list[tuple[str, object]] = [
    ("records", RECORDS),
    ("wrapped", {"result": RECORDS, "count": N}),
    ("deeply wrapped", {"data": {"page": {"items": RECORDS}}, "next": None}),
    ("a table with its columns", {"columns": ["id", "name"], "rows": [[one["id"], one["name"]] for one in RECORDS]}),
    ("records with their fields", {"fields": ["id", "name", "city", "paid"], "records": RECORDS}),
    ("columns as arrays", {"id": list(range(N)), "name": [f"n{number}" for number in range(N)]}),
    ("columns as arrays of arrays", [list(range(N)), [f"n{number}" for number in range(N)]]),
    ("one column as an array", [list(range(N))]),
    ("rows as arrays", [[number, f"n{number}"] for number in range(N)]),
    ("ids alone", list(range(N))),
    ("names alone", [f"name {number}" for number in range(N)]),
    ("records by their ids", {f"id-{number}": {"name": "x"} for number in range(N)}),
    ("two tables", {"customers": RECORDS[: N // 2], "orders": RECORDS[N // 2 :]}),
    ("packed into a cell", {"columns": ["all"], "rows": [[RECORDS]]}),
    ("packed into a text in a cell", {"columns": ["all"], "rows": [[json.dumps(RECORDS)]]}),
    ("packed twice", {"all": json.dumps({"all": json.dumps(RECORDS)})}),
    ("a list in a cell", [{"string_agg": ",".join(f"user{number}@example.com" for number in range(N))}]),
    ("lines in a cell", [{"csv": "\n".join(f"{number},x" for number in range(N))}]),
    ("under no name", {"": {"": RECORDS}}),
    ("a map", {f"user{number}": f"user{number}@example.com" for number in range(N)}),
    ("a map in a cell", [{"json_object_agg": {f"user{number}": number for number in range(N)}}]),
    ("in a text under no name", [{"": json.dumps(RECORDS)}]),
    ("records nested in records", [{"id": 1, "orders": RECORDS[:20]}, {"id": 2, "orders": RECORDS[20:]}]),
]


@pytest.mark.parametrize(("name", "value"), SHAPES, ids=[name for name, _ in SHAPES])
def test_a_value_counts_its_records_however_they_are_arranged(name: str, value: object) -> None:
    expected = N + name.startswith("packed into")  # and the record that it is packed into
    assert rows(result(structuredContent={"result": value})) == expected
    assert rows(result(content=texts(json.dumps(value)))) == expected
    both = result(content=texts(json.dumps(value, indent=2)), structuredContent={"result": value})
    assert rows(both) == expected


TEXTS: list[tuple[str, str, int]] = [
    ("one line", "Order 5 was shipped.", 1),
    ("nothing", "  \n ", 0),
    ("no letter or digit", "----\n***", 0),
    ("lines", "\n".join(f"line {number}" for number in range(N)), N),
    ("CSV with its head", "id,name\n" + "\n".join(f"{number},x" for number in range(N)), N + 1),
    ("TSV on other line ends", "\r\n".join(f"{number}\tx" for number in range(N)), N),
    ("NDJSON", "\n".join(json.dumps(one) for one in RECORDS), N),
    ("JSON run together", "".join(json.dumps(one) for one in RECORDS), N),
    ("JSON in a fence", f"```json\n{json.dumps(RECORDS, indent=1)}\n```", N),
    ("JSON in prose", f"Found these: {json.dumps(RECORDS)} and that is all.", N + 2),
    ("prose that begins like JSON", '[1] see below\n[{"broken\n' + json.dumps(RECORDS), N + 3),
    ("Markdown", "| id | name |\n|---|---|\n" + "\n".join(f"| {number} | x |" for number in range(N)), N),
    ("psql", " id | name\n----+------\n" + "\n".join(f" {number} | x" for number in range(N)), N),
    ("ASCII", "+----+\n| id |\n+----+\n" + "\n".join(f"| {number} |" for number in range(N)) + "\n+----+", N),
    ("rules between rows", "\n".join(f"| {number} |\n|---|" for number in range(N)), N - 1),
    ("YAML documents", "\n---\n".join(f"id: {number}" for number in range(N)), N),
    ("HTML in one line", "<table>" + "<tr><td>1</td></tr>" * N + "</table>", N),
    ("XML without content", "<rows>" + '<row id="1"/>' * N + "</rows>", N),
    ("a list in a line", ", ".join(f"user{number}@example.com" for number in range(N)), N),
    ("one giant line", "x" * 200 * N, N),
    ("one giant line with blanks", "word " * 40 * N, N),
    ("other line ends", "\u2028".join("abc" for _ in range(N)), N),
    ("as Python prints it", str([{"id": number, "when": None} for number in range(N)]), N),
    ("YAML in one line", "; ".join(f"{{id: {number}, name: x}}" for number in range(N)), N),
    ("numbers", "\n".join(str(number) for number in range(N)), N),
]


@pytest.mark.parametrize(("name", "text", "expected"), TEXTS, ids=[name for name, *_ in TEXTS])
def test_a_text_counts_its_lines_or_what_stands_in_it(name: str, text: str, expected: int) -> None:
    assert text_rows(text) == expected


@pytest.mark.parametrize(
    "record",
    [
        {"id": 1, "name": "Ada"},
        {"id": 1, "address": {"street": "x", "zip": "1"}, "name": {"first": "A"}, "billing": {"iban": "y"}},
        {"id": 1, "tags": ["new"]},
        {"id": 1, "note": "A short story of a customer. " * 5},
        {},
        5,
        "text",
        True,
    ],
)
def test_one_record_counts_one(record: object) -> None:
    assert rows(result(structuredContent={"result": record})) == 1


def test_nothing_counts_nothing() -> None:
    assert rows(result()) == rows(result(content=[])) == rows(result(structuredContent=None)) == value_rows([]) == 0


def test_a_wide_record_counts_by_its_fields() -> None:
    packed = {f"user{number}@example.com": number for number in range(320)}
    assert value_rows(parse(json.dumps([packed])).root) == 10


def test_a_wide_record_is_no_map() -> None:
    for some in ("x", 1, None):
        record = {f"field{number}": some if number % 2 else number % 4 == 0 for number in range(60)}
        assert value_rows(parse(json.dumps(record)).root) == 2


def test_what_stands_beside_the_content_counts_when_it_is_more_than_a_remark() -> None:
    text: dict[str, object] = dict(texts("1")[0])
    remark: dict[str, object] = {
        "annotations": {"audience": ["user", "assistant"], "priority": 1},
        "_meta": {"tag": "x"},
    }
    blocks: list[object] = [text | remark, {"type": "image", "data": "AA", "mimeType": "image/png", **remark}]
    assert rows(result(content=blocks, _meta=remark)) == 2
    for key in ("_meta", "annotations", "cells"):
        assert rows(result(content=[{**text, key: RECORDS}])) == 1 + N
        assert rows(result(contents=[{"uri": "x:y", "text": "1", key: RECORDS}]), ("resources/read",)) == 1 + N
    assert rows(result(content=[], _meta={"ui": RECORDS})) == N
    same = [{**texts(json.dumps(RECORDS))[0], "_meta": RECORDS}]
    assert rows(result(content=same, structuredContent={"result": RECORDS})) == 2 * N


def test_other_data_beside_structured_content_counts_as_well() -> None:
    others = [{"id": number} for number in range(N)]
    assert rows(result(content=texts(json.dumps(others)), structuredContent={"result": RECORDS})) == 2 * N
    both = texts(json.dumps({"result": RECORDS}), json.dumps(others))
    assert rows(result(content=both, structuredContent={"result": RECORDS})) == 3 * N


def test_a_block_for_each_element_is_the_same_data() -> None:
    blocks = texts(*[json.dumps(one) for one in RECORDS])
    assert rows(result(content=blocks, structuredContent={"result": RECORDS})) == N
    assert rows(result(content=texts(*"abc"), structuredContent={"result": ["a", "b", "c"]})) == 3


CONTENTS: list[tuple[object, int]] = [
    ({"uri": "x:y", "mimeType": "text/csv", "text": "1,2\n3,4"}, 2),
    ({"uri": "x:y", "mimeType": "text/csv", "blob": base64.b64encode(b"1,2\n3,4\n5,6").decode()}, 3),
    (
        {"uri": "x:y", "mimeType": "application/json", "blob": base64.b64encode(json.dumps(RECORDS).encode()).decode()},
        N,
    ),
    ({"uri": "x:y", "mimeType": "text/csv", "blob": "no base64" * 200}, 9),
    ({"uri": "x:y", "blob": "A" * 200 * N}, N),
    ({"uri": "x:y", "mimeType": "image/png", "blob": "A" * 200 * N}, 1),
]


@pytest.mark.parametrize(("resource", "expected"), CONTENTS)
def test_resources_count_wherever_they_stand(resource: object, expected: int) -> None:
    assert rows(result(contents=[resource, resource]), ("resources/read",)) == 2 * expected
    assert rows(result(content=[{"type": "resource", "resource": resource}])) == expected


def test_prompts_count_by_their_messages() -> None:
    one = {"role": "user", "content": {"type": "text", "text": "1\n2\n3"}}
    assert rows(result(description="x", messages=[one, {"role": "user", "content": texts("4", "5")}])) == 6


def test_pictures_links_and_kinds_that_are_not_known_count() -> None:
    blocks = [
        {"type": "image", "data": "A" * 9_000, "mimeType": "image/png"},
        {"type": "audio", "data": "A" * 9_000, "mimeType": "audio/wav"},
        {"type": "resource_link", "uri": "x:y", "name": "y"},
        {"type": "table", "cells": RECORDS},
    ]
    assert rows(result(content=blocks)) == 3 + N


@pytest.mark.parametrize("method", ["tools/list", "resources/list", "initialize", "server/discover", "ping"])
def test_what_only_connects_holds_no_rows(method: str) -> None:
    listing = result(tools=[{"name": "x", "inputSchema": {}}] * 9, instructions="many\nlines")
    assert rows(listing, (method,)) == 0
    assert rows(listing, (method, "tools/call")) > 0
    assert rows(result(content=texts("1\n2")), ("GET",)) == 2, "a stream may replay any answer"
    assert rows(result(content=texts("1\n2")), ()) == 2


def test_all_answers_to_a_batch_count() -> None:
    assert rows([result(content=texts("1\n2")), result(structuredContent={"result": RECORDS})]) == 2 + N


def test_members_of_a_result_that_are_not_known_count() -> None:
    assert rows(result(_meta={"a": [1, 2, 3]}, nextCursor="x", isError=False)) == 0
    assert rows(result(values=list(range(N)), total=N)) == N
    assert rows(result(content=texts("1"), extra=RECORDS)) == 1 + N


def test_errors_and_messages_on_the_way_count() -> None:
    error = {
        "jsonrpc": "2.0",
        "id": 1,
        "error": {"code": 1, "message": "duplicate key: ada@example.com", "data": RECORDS},
    }
    assert rows(error) == 1 + N
    log = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": RECORDS}}
    assert rows(log) == N
    progress = {"progressToken": 1, "progress": 3, "total": 9}
    assert rows({"jsonrpc": "2.0", "method": "notifications/progress", "params": progress}) == 0
    told = progress | {"message": "read 1\nread 2"}
    assert rows({"jsonrpc": "2.0", "method": "notifications/progress", "params": told}) == 2
    assert rows({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}) == 0


RECORD = st.dictionaries(st.sampled_from("abcdef"), st.text(max_size=20) | st.integers() | st.booleans(), min_size=1)


@given(st.lists(RECORD, min_size=1, max_size=60), st.sampled_from(["json", "indented", "lines", "structured", "both"]))
def test_no_way_to_send_records_counts_fewer_than_there_are(records: list[dict[str, object]], way: str) -> None:
    sent = {
        "json": result(content=texts(json.dumps(records))),
        "indented": result(content=texts(json.dumps(records, indent=2, ensure_ascii=False))),
        "lines": result(content=texts("\n".join(map(json.dumps, records)))),
        "structured": result(structuredContent={"result": records}),
        "both": result(content=texts(json.dumps(records)), structuredContent={"result": records}),
    }[way]
    assert rows(sent) >= len(records)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@given(JSON)
def test_no_value_stops_the_counting(value: object) -> None:
    assert value_rows(parse(json.dumps(value)).root) >= 0
    assert rows({"jsonrpc": "2.0", "id": 1, "result": value}) >= 0
    assert rows(result(content=value, contents=value, messages=value, structuredContent=value)) >= 0


@given(JSON, JSON, st.booleans())
def test_a_frame_counts_what_the_whole_message_does(value: object, other: object, same: bool) -> None:
    said = json.dumps(value if same else other, indent=1)
    for message in (result(content=texts(said), structuredContent={"rows": value}), result(content=texts(said))):
        assert count_rows(frame(json.dumps(message)), CALL) == rows(message)
    for odd in (result(content=value, contents=other, _meta=value), {"jsonrpc": "2.0", "id": 1, "result": value}):
        with suppress(Unread):
            assert count_rows(frame(json.dumps(odd)), CALL) == rows(odd)


@pytest.mark.parametrize(("name", "value"), SHAPES, ids=[name for name, _ in SHAPES])
def test_a_frame_tells_data_that_is_sent_twice(name: str, value: object) -> None:
    both = result(content=texts(json.dumps(value, indent=2)), structuredContent={"result": value})
    assert count_rows(frame(json.dumps(both)), CALL) == rows(both)


def test_a_frame_keeps_no_records_and_never_shows_one_as_empty() -> None:
    read = frame(json.dumps(RECORDS))
    assert isinstance(read, list)
    record = read[0]
    assert isinstance(record, Counted)
    for look in (iter, dict, list, lambda one: one.get("id"), lambda one: one == {}, lambda one: "id" in one):
        with pytest.raises(Unread):
            look(record)


@given(st.text(alphabet='[]{}",:0a \n|-<', max_size=200))
def test_no_text_stops_the_counting(text: str) -> None:
    assert text_rows(text) >= 0


EVIL = {
    "open brackets": "[1," * 300_000,
    "open strings": '["x ' * 300_000,
    "scraps": "[1]x" * 250_000,
    "late ends": ("[" + "0," * 1_000) * 400,
    "tags": "<a " * 300_000,
    "separators": ",;|\t" * 250_000,
    "deep": "[" * 100_000 + "1" + "]" * 100_000,
    "records": "}" + " " * 200_000 + "} {" * 250_000,
    "gaps": "1" + "} " * 500_000,
    "numbers": "[" + "1" * 1_000_000 + "]",
}


@pytest.mark.parametrize("text", EVIL.values(), ids=EVIL.keys())
def test_texts_of_a_megabyte_take_bounded_time(text: str) -> None:
    assert text_rows(text) > 0
    assert cpu_s(lambda: text_rows(text)) < 2.0


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\u2028"], ids=["lf", "crlf", "cr", "separator"])
def test_lines_of_a_long_text_count_however_they_end(end: str) -> None:
    lines = 20_000
    assert text_rows(f"a line of words{end}" * lines) == lines
