"""The promise: what an array of names says of the values in other arrays counts as keys do."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from countersign.masking import Masker, NotMaskable
from tests.support.cost import cpu_s

quick = settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])

X, N = "<<A-1>>", "[SSN]"
BODIES: dict[str, Any] = {
    "columns and rows": {"columns": ["id", "SSN"], "rows": [[1, X], [2, None], [3, X]], "count": 3},
    "rows first": {"rows": [[1, X]], "columns": ["id", "ssn"]},
    "pandas": {"columns": ["id", "ssn"], "index": [0, 1], "data": [["a", X], ["b", X]]},
    "names as objects": {"fields": [{"name": "id", "type": 1}, {"name": "u.ssn"}], "rows": [["a", X]], "x": ["p", "q"]},
    "a header row": [["ssn", "id"], [X, "a"], [X, "b"]],
    "a header row within": {"values": [["ssn", "id"], [X, "a"]], "range": "A1:B2"},
    "bigquery": {
        "schema": {"fields": [{"name": "id"}, {"name": "ssn"}]},
        "rows": [{"f": [{"v": "a"}, {"v": X}]}, {"f": [{"v": "b"}, {"v": None}]}],
    },
    "data api": {
        "columnMetadata": [{"label": "ssn", "name": "ssn"}, {"name": "id"}],
        "records": [[{"stringValue": X}, {"longValue": 7}]],
    },
    "athena": {"ResultSet": {"Rows": [["ssn", "id"], [X, "a"]]}},
    "far apart": {"meta": {"view": {"columns": [{"name": "id"}, {"name": "ssn"}]}}, "data": [["a", X]]},
    "rows deeper": {"columns": ["ssn", "id"], "result": {"page": {"rows": [[X, "a"]]}}},
    "pages": {"columns": ["id", "ssn"], "pages": [[["a", X], ["b", X], ["c", X]], [["d", X]]]},
    "described": {"description": [["id", 23, None], ["ssn", 25, None]], "rows": [["a", X]]},
    "arrays as values": {"columns": ["tags", "ssn"], "rows": [[["p"], X], [["q"], [X, X]]]},
    "too many values": {"columns": ["id", "ssn"], "rows": [["a", X], [X, X, X], [X]]},
    "two of them": [
        {"columns": ["id", "ssn"], "rows": [["a", X]]},
        {"columns": ["ssn", "id"], "rows": [[X, "a"]]},
        {"columns": ["id", "n"], "rows": [["a", "b"]]},
    ],
    "names with values": [{"name": "ssn", "value": X}, {"value": X, "key": "SSN"}, {"name": "id", "value": "a"}],
    "values of columns": {"columns": [{"name": "id", "values": ["a"]}, {"name": "ssn", "values": [X, X]}]},
    "names alone": {"columns": ["id", "ssn"], "note": "a", "sizes": ["p", "q"]},
    "required": {"required": ["id", "ssn"], "enum": ["a", "b"]},
}


def _masked(value: Any) -> Any:
    return json.loads(json.dumps(value).replace(X, N))


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value).replace(X, "A-1"))


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("nested", [False, True])
def test_values_are_masked_by_their_position(fields: Masker, name: str, nested: bool) -> None:
    body, expected = _plain(BODIES[name]), _masked(BODIES[name])
    if nested:
        text = json.dumps({"content": [{"type": "text", "text": json.dumps(body)}], "structuredContent": body})
        masked = json.loads(fields.json(text.encode()).data)
        assert json.loads(masked["content"][0]["text"]) == expected
        assert masked["structuredContent"] == expected
    else:
        assert json.loads(fields.json(json.dumps(body, indent=1).encode()).data) == expected


def test_numbers_stay_numbers(fields: Masker) -> None:
    body = {"columns": ["ssn", "id"], "rows": [[123, 4], [5.5, 6]]}
    assert json.loads(fields.json(json.dumps(body).encode()).data)["rows"] == [[0, 4], [0, 6]]


def test_names_behind_escapes_count(fields: Masker) -> None:
    masked = fields.json(b'{"columns": ["\\u0073sn", "id"], "rows": [["A-1", 1]]}')
    assert json.loads(masked.data)["rows"] == [["[SSN]", 1]]


def test_columns_that_tell_of_secrets_are_masked_but_not_their_placeholders(names: Masker) -> None:
    body = {"columns": ["user", "password"], "rows": [["bob", "hunter-1"], ["al", "********"]]}
    masked = json.loads(names.json(json.dumps(body).encode()).data)
    assert masked["rows"] == [["bob", "[SECRET]"], ["al", "********"]]
    pairs = [{"name": "DB_PASSWORD", "value": "hunter-1"}, {"name": "DB_HOST", "value": "hunter-2"}]
    assert json.loads(names.json(json.dumps(pairs).encode()).data)[0]["value"] == "[SECRET]"


CELL = st.none() | st.integers(0, 99) | st.text("abXY-é", max_size=4)


@quick
@given(st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=1, max_size=4), st.integers(0, 2), st.booleans())
def test_any_rows(fields: Masker, rows: list[list[Any]], column: int, rows_first: bool) -> None:
    header = ["id", "name", "note"]
    header[column] = "ssn"
    body = {"rows": rows, "columns": header} if rows_first else {"columns": header, "rows": rows}
    masked = json.loads(fields.json(json.dumps(body).encode()).data)
    for row, before in zip(masked["rows"], rows, strict=True):
        hidden = 0 if isinstance(before[column], int) else "[SSN]" if before[column] else before[column]
        assert row == [hidden if index == column else cell for index, cell in enumerate(before)]


KEYS = st.sampled_from(["columns", "rows", "name", "value", "data", "f", "ssn", "x"])
TREE: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(["ssn", "id", "A-1", 7, None, True]),
    lambda child: st.lists(child, max_size=3) | st.dictionaries(KEYS, child, max_size=4),
    max_leaves=20,
)


@quick
@given(TREE)
def test_no_json_breaks_the_reading_or_its_shape(fields: Masker, body: Any) -> None:
    def shape(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shape(child) for key, child in value.items()}
        return [shape(child) for child in value] if isinstance(value, list) else type(value)

    try:
        masked = fields.json(json.dumps(body).encode())
    except NotMaskable:
        raise AssertionError from None
    assert shape(json.loads(masked.data)) == shape(body)


HOSTILE: dict[str, Callable[[int], str]] = {
    "rows": lambda n: '{"columns":["ssn","id"],"rows":[' + ",".join(['["a",1]'] * n) + "]}",
    "headers": lambda n: "[" + ",".join(['{"columns":["ssn","id"]}'] * n) + ',[["a"]]]',
    "names": lambda n: '{"columns":[' + ",".join(['"ssn"'] * n) + '],"rows":[["a"]]}',
    "pairs": lambda n: "[" + ",".join(['{"value":"a","name":"ssn"}'] * n) + "]",
    "header rows": lambda n: "[" + ",".join(['[["ssn"],["a"]]'] * n) + "]",
    "arrays": lambda n: '{"columns":["ssn"],"rows":[' + ",".join(["[[[[]]]]"] * n) + "]}",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_the_time_grows_no_faster_than_the_text(fields: Masker, kind: str) -> None:
    small, large = (HOSTILE[kind](n).encode() for n in (500, 4_000))
    assert cpu_s(lambda: fields.json(large)) < 8 * 2.5 * cpu_s(lambda: fields.json(small)) + 0.02
