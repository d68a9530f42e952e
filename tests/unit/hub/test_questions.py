"""What a modern target asks is put to a legacy client as that client knows it, and what it does not know is not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import count
from typing import Any

import pytest

from countersign.hub.questions import MOST_QUESTIONS, CannotAsk, Question, questions, responses_json
from countersign.jsontext import parse

FORM = {"method": "elicitation/create", "params": {"message": "m", "requestedSchema": {"type": "object"}}}
LINK: dict[str, Any] = {
    "method": "elicitation/create",
    "params": {"mode": "url", "message": "m", "url": "https://x.test"},
}
SAMPLED: dict[str, Any] = {"messages": [], "maxTokens": 5}
SAMPLE = {"method": "sampling/createMessage", "params": SAMPLED}
TOOLED = {"method": "sampling/createMessage", "params": {**SAMPLED, "tools": []}}
ROOTS = {"method": "roots/list"}
ALL = {"elicitation": {"form": {}, "url": {}}, "sampling": {"tools": {}}, "roots": {"listChanged": True}}


def put(asked: object, can: Mapping[str, object]) -> tuple[Question, ...]:
    numbers = count(1)
    result = {"resultType": "input_required", "requestState": "s", "inputRequests": asked}
    document = parse(json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}))
    return questions("new", document, json.dumps(can), lambda: f"n{next(numbers)}")


def test_each_question_is_a_request_of_its_own_that_names_its_target() -> None:
    found = put({"a": FORM, 'b"\\': SAMPLE, "c": ROOTS}, ALL)
    assert [(each.key, each.own_id) for each in found] == [("a", "n1"), ('b"\\', "n2"), ("c", "n3")]
    sent = [json.loads(each.text) for each in found]
    assert [(each["jsonrpc"], each["id"], each["method"]) for each in sent] == [
        ("2.0", "mcp:n1", "elicitation/create"),
        ("2.0", "mcp:n2", "sampling/createMessage"),
        ("2.0", "mcp:n3", "roots/list"),
    ]
    assert sent[0]["params"]["message"] == "new: m"
    assert sent[1]["params"]["systemPrompt"] == "This is asked by new."
    assert all(each["params"]["_meta"] == {"countersign/target": "new"} for each in sent)


@pytest.mark.parametrize("given", [{}, {"elicitationId": "theirs"}])
def test_a_link_has_the_id_by_which_older_clients_know_it(given: Mapping[str, str]) -> None:
    (found,) = put({"a": {**LINK, "params": {**LINK["params"], **given}}}, ALL)
    assert json.loads(found.text)["params"]["elicitationId"] == ("new:theirs" if given else "n1")


@pytest.mark.parametrize(
    ("request_", "can"),
    [
        (FORM, {}),
        (FORM, {"elicitation": {"url": {}}}),
        (LINK, {"elicitation": {}}),
        (LINK, {"elicitation": {"form": {}}}),
        ({**FORM, "params": {"mode": "other", "message": "m"}}, ALL),
        (SAMPLE, {"elicitation": {}}),
        (TOOLED, {"sampling": {}}),
        (ROOTS, {"sampling": {}}),
        ({"method": "ping"}, ALL),
        ({"method": "tools/call", "params": {"name": "x"}}, ALL),
        ("x", ALL),
        (None, ALL),
    ],
)
def test_a_client_is_asked_nothing_that_it_did_not_say_it_knows(request_: object, can: Mapping[str, object]) -> None:
    with pytest.raises(CannotAsk):
        put({"fine": FORM, "other": request_} if "elicitation" in can else {"other": request_}, can)


@pytest.mark.parametrize(
    ("request_", "can"),
    [
        (FORM, {"elicitation": {}}),
        (FORM, {"elicitation": {"form": {}}}),
        (LINK, {"elicitation": {"url": {}}}),
        (SAMPLE, {"sampling": {}}),
        (TOOLED, {"sampling": {"tools": {}}}),
        (ROOTS, {"roots": {}}),
    ],
)
def test_a_client_is_asked_what_it_said_it_knows(request_: object, can: Mapping[str, object]) -> None:
    assert len(put({"a": request_}, can)) == 1


@pytest.mark.parametrize("asked", [[], "x", 5, {str(number): ROOTS for number in range(MOST_QUESTIONS + 1)}])
def test_what_is_no_list_of_questions_or_too_long_is_not_asked(asked: object) -> None:
    with pytest.raises(CannotAsk):
        put(asked, ALL)


def test_answers_go_back_as_they_were_written() -> None:
    text = responses_json({"a": '{"action" : "accept","content":{"n":1E400}}', 'b"': "{}"})
    assert text == '{"a":{"action" : "accept","content":{"n":1E400}},"b\\"":{}}'
    assert responses_json({}) == "{}"
