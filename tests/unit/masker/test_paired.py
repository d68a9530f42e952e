"""No value of a masked column passes under another name, without a name, or in an error that quotes it."""

from __future__ import annotations

import json

import pytest

from countersign.jsontext import parse
from countersign.masker.paired import Pairing
from countersign.masker.shown import Rows
from countersign.masking import Masker, NotMaskable
from countersign.masking.fields import Field
from countersign.masking.replacements import Partial, Redacted
from countersign.model.handoff import HandedCall, HandedColumns
from tests.support.cost import cpu_s

VALUE = "917-" + "20-4481"
NUMBER = 917204481
FIELDS = tuple(Field.of(path, lambda label: Redacted(f"[{label}]")) for path in ("ssn", "customer.*.card"))
MASKER = Masker((), FIELDS)
AS_X = HandedColumns((("x", ("ssn",)),), touched=True)
UNKNOWN = HandedColumns(everything=True, touched=True)
STAR = HandedColumns(stored=True)


def masked(message: object, *known: HandedColumns | None, masker: Masker = MASKER) -> str:
    """Mask a message, or the only answer's result, as the answer to calls with these columns."""
    calls = [HandedCall(str(number), "tools/call", "query", each) for number, each in enumerate(known, 1)]
    document = parse(json.dumps(message))
    return Pairing.of(calls, max_depth=64).masker(masker, document).json_document(document)[0]


def result(*texts: str, **more: object) -> dict[str, object]:
    content = [{"type": "text", "text": text} for text in texts]
    return {"jsonrpc": "2.0", "id": 1, "result": {"content": content, **more}}


def texts(message: str) -> list[str]:
    return [block["text"] for block in json.loads(message)["result"]["content"]]


ROWS = [{"id": 7, "x": VALUE, "name": "Ann"}, {"id": 8, "x": None, "name": "Ben"}]
SHOWN = {
    "rows": json.dumps(ROWS),
    "rows in an object": json.dumps({"rows": ROWS, "rowCount": 2, "fields": ["id", "x", "name"]}),
    "one row": json.dumps(ROWS[0]),
    "rows, twice encoded": json.dumps(json.dumps(ROWS)),
    "lists below a header": json.dumps(
        {"columns": ["id", "x", "name"], "rows": [[7, VALUE, "Ann"], [8, VALUE, "Ben"]]}
    ),
    "rows with arrays": json.dumps([{"x": VALUE, "name": "Ann", "tags": ["a", "b"], "more": {"a": 1}}]),
    "another case": json.dumps([{"X": VALUE, "name": "Ann"}]),
    "CSV": f"id,x,name\n7,{VALUE},Ann\n",
    "Markdown": f"| id | x | name |\n|---|---|---|\n| 7 | {VALUE} | Ann |\n",
    "psql": f" id |      x      | name \n----+-------------+------\n  7 | {VALUE} | Ann\n(1 row)\n",
    "words and rows": f"Found 2 rows:\n{json.dumps(ROWS)}\nDone.",
    "rows in a fence": f"```json\n{json.dumps(ROWS, indent=1)}\n```",
    "Python": f"[{{'id': 7, 'x': '{VALUE}', 'name': 'Ann'}}]",
}


@pytest.mark.parametrize("shape", SHOWN)
def test_a_renamed_column_is_masked_where_it_is_shown_and_nothing_else(shape: str) -> None:
    (text,) = texts(masked(result(SHOWN[shape]), AS_X))
    assert VALUE not in text
    assert "[SSN]" in text
    assert "Ann" in text


@pytest.mark.parametrize("shape", ["rows", "rows in an object", "one row"])
def test_structured_content_is_masked_by_column(shape: str) -> None:
    value = json.loads(SHOWN[shape])
    answer = masked(result(structuredContent={"result": value}), AS_X)
    assert VALUE not in answer
    assert "Ann" in answer
    assert VALUE not in masked(result(structuredContent={"result": SHOWN[shape]}), AS_X)


UNSHOWN = {
    "a value": VALUE,
    "a number": str(NUMBER),
    "a word and a value": f"The answer is {VALUE}",
    "tuples": f"[(7, '{VALUE}')]",
    "lists": json.dumps([[7, VALUE]]),
    "a list": json.dumps([VALUE]),
    "lists below a header that are longer": json.dumps({"columns": ["id", "x"], "rows": [[7, "a", VALUE]]}),
    "lists below another header": json.dumps({"columns": ["id", "y"], "rows": [[7, VALUE]]}),
    "lists beside a part of the same name": json.dumps({"x": 1, "rows": [[VALUE]]}),
    "lists beside a schema": json.dumps({"schema": {"x": "text"}, "rows": [[7, VALUE]]}),
    "lists beside a row": json.dumps([{"x": VALUE}, [VALUE]]),
    "another name": json.dumps([{"X_1": VALUE}]),
    "words and lists": f"Found 1 row:\n{json.dumps([[7, VALUE]])}",
    "words and a row that lacks the name": f"x: 1\n[{{'y': '{VALUE}'}}, {{'y': '{VALUE}'}}]",
    "lines": f"{VALUE}\n{VALUE}",
    "CSV without a header": f"7,{VALUE}\n8,{VALUE}\n",
    "rows that lack the name, in code": f"[{{'x': None}}, {{'y': '{VALUE}'}}]",
    "an echo of the statement": f"SELECT ssn AS x FROM users\n{VALUE}",
}


@pytest.mark.parametrize("shape", UNSHOWN)
@pytest.mark.parametrize("wrapped", ["text", "structured", "wrapped"])
def test_what_shows_no_name_is_masked_whole(shape: str, wrapped: str) -> None:
    text = UNSHOWN[shape]
    if wrapped == "text":
        message = result(text)
    elif wrapped == "structured":
        inner = json.loads(text) if text[0] in "[{" and "'" not in text else text
        message = result(structuredContent={"result": inner})
    else:
        message = result("[]", structuredContent={"result": text})
    answer = masked(message, AS_X)
    assert VALUE not in answer
    assert str(NUMBER) not in answer


def test_each_part_of_an_answer_must_show_the_names_itself() -> None:
    answer = masked(result(f"x is {VALUE}", structuredContent={"rows": ROWS}), AS_X)
    assert VALUE not in answer
    assert "Ann" in answer


def test_words_about_rows_may_stand_beside_them() -> None:
    shown = texts(masked(result("Found 2 rows.", json.dumps(ROWS)), AS_X))
    assert shown[0] == "Found 2 rows."
    assert VALUE not in shown[1]
    assert "Ann" in shown[1]
    assert texts(masked(result("No rows found."), AS_X)) == ["No rows found."]


def test_several_masked_columns_must_all_be_shown() -> None:
    both = HandedColumns((("x", ("ssn",)), ("y", ("card",))))
    assert "Ann" in masked(result(json.dumps([{"x": VALUE, "y": VALUE, "name": "Ann"}])), both)
    answer = masked(result(json.dumps([{"x": VALUE, "other": VALUE}])), both)
    assert VALUE not in answer


def test_a_name_that_a_client_may_have_numbered_is_masked_with_its_number() -> None:
    loose = HandedColumns((("name", ("ssn",)),), loose=True, stored=True)
    for key in ("name_1", "name:1", "name.1", "NAME (2)"):
        assert VALUE not in masked(result(json.dumps([{"name": "Ann", key: VALUE}])), loose), key
    assert VALUE not in masked(result(f"name,name\nAnn,{VALUE}\n"), loose)


def test_blanks_in_the_name_of_an_expression_do_not_hide_it() -> None:
    upper = HandedColumns((("upper( ssn )", ("ssn",)),))
    answer = masked(result(json.dumps([{"UPPER(SSN)": VALUE, "name": "Ann"}])), upper)
    assert VALUE not in answer
    assert "Ann" in answer


@pytest.mark.parametrize("shape", [*SHOWN, *UNSHOWN])
def test_of_an_answer_that_cannot_be_followed_every_cell_is_masked(shape: str) -> None:
    text = {**SHOWN, **UNSHOWN}[shape]
    answer = masked(result(text, structuredContent={"n": [{"x": NUMBER}], "t": text}), UNKNOWN)
    assert VALUE not in answer
    assert "Ann" not in answer
    assert str(NUMBER) not in answer
    assert json.loads(answer)["id"] == 1
    assert json.loads(answer)["result"]["content"][0]["type"] == "text"


def test_files_and_links_of_an_answer_that_shows_nothing_are_masked() -> None:
    blocks = [
        {"type": "resource", "resource": {"uri": "f:///a.csv", "text": VALUE}},
        {"type": "resource_link", "uri": f"f:///{VALUE}", "name": VALUE},
        {"type": "resource", "resource": {"uri": "f:///b", "blob": VALUE}},
    ]
    message = {"jsonrpc": "2.0", "id": 1, "result": {"content": blocks}}
    assert VALUE not in masked(message, AS_X)


@pytest.mark.parametrize("value", [[[1, "Ann", VALUE]], {"data": [[1, VALUE]]}, f"[(1, '{VALUE}')]"])
def test_rows_without_names_of_stored_columns_are_masked_whole(value: object) -> None:
    assert VALUE not in masked(result(json.dumps(value)), STAR)
    assert VALUE not in masked(result("", structuredContent={"result": value}), STAR)


@pytest.mark.parametrize(
    "value", [[{"id": 1, "ok": "Ann"}], {"tags": ["Ann", "Ben"]}, {"columns": ["a"], "rows": [["Ann"]]}]
)
def test_rows_with_names_of_stored_columns_stay(value: object) -> None:
    assert "Ann" in masked(result(json.dumps(value)), STAR)


def test_a_row_as_json_is_relied_on_only_in_json() -> None:
    rows = HandedColumns(loose=True)
    cell = json.dumps({"ssn": VALUE, "name": "Ann"})
    assert VALUE not in masked(result('to_jsonb\n"' + cell.replace('"', '""') + '"\n'), rows)
    answer = masked(result(json.dumps([{"to_jsonb": {"ssn": VALUE, "name": "Ann"}}])), rows)
    assert VALUE not in answer
    assert "Ann" in answer


def test_an_error_of_a_statement_that_uses_masked_columns_is_masked() -> None:
    quoting = f'invalid input syntax for type integer: "{VALUE}"'
    touched = HandedColumns(touched=True)
    assert VALUE not in masked(result(quoting, isError=True), touched)
    error = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": quoting, "data": {"detail": quoting}}}
    assert VALUE not in masked(error, touched)
    assert json.loads(masked(error, touched))["error"]["code"] == -32000
    assert VALUE not in masked({**error, "id": None}, touched)
    assert quoting in json.loads(masked(error, HandedColumns()))["error"]["message"]


def test_messages_on_the_way_to_an_answer_are_masked() -> None:
    notice = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": {"row": VALUE}}}
    assert VALUE not in masked(notice, AS_X)
    assert json.loads(masked(notice, AS_X))["params"]["level"] == "info"
    assert VALUE in masked(notice, HandedColumns())


def test_the_protocols_own_keys_are_no_columns() -> None:
    for key in ("id", "jsonrpc", "result", "type", "content", "isError"):
        known = HandedColumns(((key, ("ssn",)),))
        answer = json.loads(masked(result(json.dumps([{key: VALUE}]), isError=False), known))
        assert VALUE not in json.dumps(answer)
        assert (answer["id"], answer["jsonrpc"]) == (1, "2.0")
        assert answer["result"]["content"][0]["type"] == "text"


def test_each_answer_of_a_batch_has_the_columns_of_its_own_call() -> None:
    answers = [result(json.dumps([{"x": VALUE}])), {**result(f"plain {NUMBER}"), "id": 2}]
    answer = masked(answers, AS_X, None)
    assert VALUE not in answer
    assert str(NUMBER) in answer


def test_answers_to_earlier_calls_on_a_stream_of_its_own_are_masked_whole() -> None:
    calls = [HandedCall("", "GET", "", HandedColumns(everything=True))]
    document = parse(json.dumps({**result(VALUE), "id": 99}))
    assert VALUE not in Pairing.of(calls, max_depth=64).masker(MASKER, document).json_document(document)[0]


def test_the_result_of_a_task_is_masked_as_any_other() -> None:
    inner = {"taskId": "t", "status": "completed", "result": {"content": [{"type": "text", "text": VALUE}]}}
    answer = masked({"jsonrpc": "2.0", "id": 1, "result": inner}, UNKNOWN)
    assert VALUE not in answer
    assert '"completed"' in answer


def test_a_mask_without_the_field_masks_nothing() -> None:
    other = Masker((), [Field.of("phone", lambda label: Redacted(f"[{label}]"))])
    assert VALUE in masked(result(SHOWN["rows"]), AS_X, masker=other)
    assert VALUE in masked(result(VALUE), UNKNOWN, masker=Masker((), ()))


def test_the_whole_of_an_http_error_is_masked_where_it_may_quote() -> None:
    pairing = Pairing.of([HandedCall("1", "tools/call", "query", AS_X)], max_depth=64)
    for body in ({"error": f"bad {VALUE}"}, {"error": {"code": 1, "message": VALUE}}, {"detail": [VALUE]}):
        document = parse(json.dumps(body))
        assert VALUE not in pairing.masker_of_error(MASKER, document).json_document(document)[0]
    assert VALUE.encode() not in pairing.masked_text(MASKER, f"bad {VALUE}".encode()).data
    plain = Pairing.of([HandedCall("1", "tools/call", "query")], max_depth=64)
    assert plain.masked_text(MASKER, b"Not found").data == b"Not found"


def test_a_mistake_of_ours_withholds_the_answer_and_shows_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_self: Rows, value: object) -> None:
        raise ValueError(str(value))

    monkeypatch.setattr(Rows, "visit", fails)
    with pytest.raises(NotMaskable) as refused:
        masked(result(VALUE), AS_X)
    assert VALUE not in str(refused.value)
    assert refused.value.__context__ is None


def test_an_answer_without_rows_stays_as_it_is() -> None:
    message: dict[str, object] = {
        "jsonrpc": "2.0",
        "id": 1,
        "result": {"content": [], "structuredContent": {"rows": []}},
    }
    assert json.loads(masked(message, AS_X)) == message
    assert texts(masked(result("[]"), AS_X)) == ["[]"]


def test_of_what_was_made_of_a_value_no_part_is_left() -> None:
    partial = Masker((), [Field.of("ssn", lambda _: Partial())])
    rows = json.dumps([{"x": VALUE, "ssn": VALUE}])
    derived = masked(result(rows), HandedColumns((("x", ("ssn",)), ("ssn", ("ssn",)))), masker=partial)
    assert VALUE[-4:] not in derived
    same = HandedColumns((("x", ("ssn",)), ("ssn", ("ssn",))), plain=("x", "ssn"))
    assert masked(result(rows), same, masker=partial).count(VALUE[-4:]) == 2
    assert VALUE[-4:] not in masked(result(VALUE), same, masker=partial)


@pytest.mark.parametrize("piece", ["[\n", "{x\n", "[(x", "x: "], ids=repr)
def test_time_grows_with_the_text_only(piece: str) -> None:
    message = result(piece * 20_000)
    assert cpu_s(lambda: masked(message, AS_X)) < 1.5
