"""What a statement makes of masked fields goes along with its call, and what is not understood masks everything."""

from __future__ import annotations

import json

import pytest

from countersign.authz.pairing import paired, paired_all
from countersign.config import Target
from countersign.config.types import StatementArgument
from countersign.model.call import Call, NameKind
from countersign.model.handoff import HandedColumns
from countersign.model.rule import Mask

TARGET = Target("orders", "http://127.0.0.1/mcp", None, "", statements={"query": StatementArgument("sql", "postgres")})
MASKS = {
    "pii": Mask("pii", fields=("ssn", "customer.*.card")),
    "other": Mask("other", detectors=("email",)),
}


def call(arguments: object, tool: str = "query", method: str = "tools/call") -> Call:
    params = json.dumps({"name": tool, "arguments": arguments})
    return Call("orders", method, tool, NameKind.TOOL if method == "tools/call" else NameKind.NONE, params)


def of(arguments: object) -> HandedColumns:
    found = paired(TARGET, MASKS, call(arguments))
    assert found is not None
    return found


def test_the_columns_of_a_statement_are_handed_with_the_fields_of_all_masks() -> None:
    found = of({"sql": "SELECT ssn AS x, upper(card) AS y, name FROM users"})
    assert found == HandedColumns((("x", ("ssn",)), ("y", ("card",))), touched=True, plain=("x",))


def test_all_statements_of_a_list_count() -> None:
    assert of({"sql": ["SELECT ssn AS x FROM users", "SELECT card AS y FROM users"]}).columns == (
        ("x", ("ssn",)),
        ("y", ("card",)),
    )


def test_a_column_in_which_a_masked_field_stands_is_followed_once_it_has_another_name() -> None:
    assert of({"sql": "SELECT customer FROM orders"}).columns == ()
    assert of({"sql": "SELECT customer AS c FROM orders"}).columns == (("c", ("customer",)),)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"SQL": "SELECT 1"},
        {"sql": None},
        {"sql": 1},
        {"sql": {"text": "SELECT 1"}},
        {"sql": ["SELECT 1", 2]},
        {"sql": []},
        {"sql": [["SELECT 1"]]},
        {"sql": "SELEC"},
        {"sql": "EXECUTE p"},
        [],
        None,
    ],
    ids=json.dumps,
)
def test_what_is_no_statement_masks_everything(arguments: object) -> None:
    assert of(arguments).everything


def test_a_statement_that_is_not_sent_as_it_was_read_masks_everything() -> None:
    found = paired(TARGET, MASKS, call({"sql": "SELECT name FROM users"}), as_sent=False)
    assert found is not None
    assert found.everything


def test_more_columns_than_fit_into_the_handoff_mask_everything() -> None:
    small, large = (
        call({"sql": "SELECT " + ", ".join(f"ssn AS column_number_{n}" for n in range(count)) + " FROM users"})
        for count in (10, 200)
    )
    assert paired_all(TARGET, MASKS, [large]) == [HandedColumns(everything=True, touched=True)]
    assert paired_all(TARGET, MASKS, [small]) == [paired(TARGET, MASKS, small)]
    other = Call("orders", "tools/list")
    assert paired_all(TARGET, MASKS, [small, other] * 9) == [HandedColumns(everything=True, touched=True), None] * 9


def test_more_statements_than_are_followed_mask_everything() -> None:
    assert of({"sql": ["SELECT name FROM users"] * 2_000}).everything


@pytest.mark.parametrize("method", ["GET", "tasks/result", "tasks/get"])
def test_answers_that_belong_to_an_earlier_call_are_masked_whole(method: str) -> None:
    found = paired(TARGET, MASKS, Call("orders", method))
    assert found is not None
    assert found.everything


def test_nothing_is_said_of_calls_that_are_no_statements() -> None:
    assert paired(TARGET, MASKS, call({"sql": "x"}, tool="other")) is None
    assert paired(TARGET, MASKS, Call("orders", "tools/list")) is None
    assert paired(TARGET, {"other": MASKS["other"]}, call({"sql": "SELECT ssn AS x FROM users"})) is None
    assert paired(Target("orders", "", None, ""), MASKS, call({"sql": "x"})) is None
