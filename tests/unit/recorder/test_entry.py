"""The shape of events: what is refused, and that a record is canonical."""

from __future__ import annotations

import json
from dataclasses import replace
from uuid import UUID

import pytest

from countersign.api.recorder.v1 import event_pb2
from countersign.model.continuation import next_session
from countersign.model.decision import Outcome
from countersign.model.event import Event, EventKind, Finding
from countersign.model.principal import Principal
from countersign.recorder import entry
from countersign.recorder.entry import BadEvent, accept, to_event
from countersign.recorder.leaf import MAX_LEAF_BYTES
from countersign.recorder.who import SEARCHABLE_CHARACTERS
from countersign.runtime.recording import to_message
from tests.support.events import ALICE, approval, decision, new_id, request, response


def changed(**fields: object) -> event_pb2.Event:
    message = to_message(request())
    for name, value in fields.items():
        if value is None:
            message.ClearField(name)  # type: ignore[arg-type]  # the names come from the tests
        else:
            setattr(message, name, value)
    return message


@pytest.mark.parametrize(
    "fields",
    [
        {"event_id": ""},
        {"event_id": "7"},
        {"event_id": new_id().upper()},
        {"event_id": "{" + new_id() + "}"},
        {"session_id": ""},
        {"call_id": ""},
        {"kind": 0},
        {"kind": 99},
        {"time_us": 0},
        {"time_us": -1},
        {"time_us": 2**53},
        {"status": 1000},
        {"size_bytes": 2**53},
        {"duration_us": 2**64 - 1},
        {"target": ""},
        {"principal": None},
        {"decision": None},
        {"approval_id": "7"},
        {"name": "x" * MAX_LEAF_BYTES},
        {"reason": "\U0001f600" * (MAX_LEAF_BYTES // 4)},
        {"body": bytes(entry.MAX_BODY_BYTES + 1)},
    ],
)
def test_bad_shape_is_refused_without_showing_values(fields: dict[str, object]) -> None:
    message = changed(**fields)
    with pytest.raises(BadEvent) as caught:
        accept(message)
    assert len(str(caught.value)) < 100
    assert caught.value.__cause__ is None


def test_answers_need_neither_principal_nor_decision() -> None:
    assert accept(to_message(response(new_id()))).outcome == 0


def test_attempt_by_nobody_counts_as_refused() -> None:
    event = request(kind=EventKind.REFUSED, principal=None, decision=None, target="", method="")
    assert accept(to_message(event)).outcome == event_pb2.OUTCOME_REFUSED


def test_record_is_canonical_json_without_the_body_and_holds_all_else() -> None:
    message = to_message(
        request(body=b"the body", findings=(Finding("EMAIL", "$.a", 2),), reason='é"\\\x01', duration_us=5, status=200)
    )
    accepted = accept(message)
    fact = json.loads(accepted.record)
    assert accepted.record == json.dumps(fact, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert "the body" not in accepted.record
    assert to_event(accepted.record, b"the body") == message


def test_every_field_of_an_event_is_in_the_record() -> None:
    message = to_message(
        request(
            findings=(Finding("EMAIL", "$.a", 2),),
            reason="r",
            duration_us=5,
            status=200,
            traceparent="00-1-2-01",
            row_count=7,
            values_put_back=True,
            request_masked=True,
            approval_id=new_id(),
            session_id=str(next_session(UUID(before := new_id()))),
            continues=before,
            relations=("orders", "sales.customers"),
            other_lines="id: 7",
            decision=replace(decision(), shadow=decision(Outcome.APPROVE, "on trial")),
        )
    )
    assert {field.name for field, _ in message.ListFields()} == set(event_pb2.Event.DESCRIPTOR.fields_by_name) - {
        "seal"
    }
    assert message.decision.shadow.outcome == event_pb2.OUTCOME_APPROVE
    assert to_event(accept(message).record, message.body) == message


@pytest.mark.parametrize("by", [ALICE, None], ids=["a person", "time"])
def test_an_approval_is_nobodys_session_and_no_call(by: Principal | None) -> None:
    message = to_message(approval(new_id(), principal=by))
    accepted = accept(message)
    assert (accepted.who, accepted.outcome) == (entry.NOBODY, 0)
    assert to_event(accepted.record, b"") == message


@pytest.mark.parametrize(
    "wrong",
    [
        approval(new_id(), approval_id=""),
        approval(new_id(), approval_id="the first"),
        approval(new_id(), method=""),
        approval(new_id(), principal=replace(ALICE, issuer="")),
        response(new_id(), approval_id=new_id()),
    ],
    ids=["which is not said", "no id", "what is not said", "half a person", "an answer"],
)
def test_an_approval_is_named_where_it_must_be_and_nowhere_else(wrong: Event) -> None:
    with pytest.raises(BadEvent):
        accept(to_message(wrong))


def test_actors_are_recorded_and_whoever_has_none_as_before() -> None:
    message = to_message(request(principal=replace(ALICE, actors=("agent-7", "scheduler"))))
    assert to_event(accept(message).record, message.body) == message
    assert "actors" not in accept(to_message(request())).record


def test_columns_can_be_stored_whatever_callers_send() -> None:
    accepted = accept(to_message(request(name="a\0" * 5_000, method="\0", target="\0")))
    assert "\0" not in accepted.name + accepted.method + accepted.target
    assert len(accepted.name) == SEARCHABLE_CHARACTERS
