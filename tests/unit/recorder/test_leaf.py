"""Leaves: canonical, committed to their bodies, bounded; and who is refused before anything is stored."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from uuid import UUID

import pytest

from countersign.api.recorder.v1 import event_pb2
from countersign.model.continuation import next_session
from countersign.model.decision import Outcome
from countersign.model.event import Event, Finding
from countersign.model.principal import Principal
from countersign.recorder.entry import (
    CLOCK_SKEW,
    DAY_US,
    INVALID,
    TOO_LARGE,
    BadEvent,
    Entry,
    accept,
    sealing,
    to_event,
)
from countersign.recorder.leaf import MAX_LEAF_BYTES
from countersign.runtime.recording import to_message
from tests.support.events import ALICE, START_US, approval, decision, new_id, request, response

SALT = bytes(range(32))
ODD = 'é"\\\x01\u2028\U0001f600\x7f/\0'


def taken(event: Event, at_us: int = START_US) -> Entry:
    return accept(to_message(event), clock_us=lambda: at_us, salt=lambda: SALT)


def everything() -> Event:
    before = new_id()
    return request(
        str(next_session(UUID(before))),
        continues=before,
        principal=replace(ALICE, subject=ODD, groups=(ODD, "b"), actors=(ODD,), signed_in=ODD, token_subject=ODD),
        findings=(Finding("EMAIL", ODD, 2), Finding("SECRET")),
        decision=replace(decision(), reason=ODD, shadow=decision(Outcome.DENY, ODD)),
        **dict.fromkeys(("name", "method", "target", "reason", "source_address", "body_type", "traceparent"), ODD),
        status=200,
        duration_us=5,
        row_count=7,
        values_put_back=True,
        request_masked=True,
        approval_id=new_id(),
        relations=(ODD, "b"),
        other_lines=ODD,
    )


@pytest.mark.parametrize("event", [everything(), request(), response(new_id())], ids=["all", "request", "answer"])
def test_leaf_is_what_a_plain_encoder_makes_of_it_and_holds_the_event(event: Event) -> None:
    entry = taken(event)
    fact = json.loads(entry.record)
    assert entry.record == json.dumps(fact, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert to_event(entry.record, event.body) == to_message(event)
    assert (fact["recorded_us"], fact["commitment"]) == (START_US, sha256(SALT + event.body).hexdigest())


def test_event_without_a_body_commits_to_none() -> None:
    entry = taken(request(body=b""))
    assert "commitment" not in json.loads(entry.record)
    assert entry.salt == b""


def test_salts_are_never_the_same_again() -> None:
    message = to_message(request())
    assert len({accept(message).salt for _ in range(1_000)}) == 1_000


def test_too_many_findings_are_condensed_by_label_and_nothing_is_lost_of_their_number() -> None:
    many = tuple(Finding(("EMAIL", "SECRET")[at % 2], f"$.rows[{at}].mail", 3) for at in range(5_000))
    entry = taken(request(findings=many))
    assert len(entry.record.encode()) <= MAX_LEAF_BYTES
    assert [(one["label"], one["place"], one["count"]) for one in json.loads(entry.record)["findings"]] == [
        ("EMAIL", "", 7_500),
        ("SECRET", "", 7_500),
    ]
    assert entry.findings == 15_000


def test_counts_of_condensed_findings_stay_what_an_event_can_hold() -> None:
    entry = taken(request(findings=tuple(Finding("EMAIL", "x" * 9_000, 2**32 - 1) for _ in range(9))))
    assert to_event(entry.record, b"").findings[0].count == 2**32 - 1


@pytest.mark.parametrize("length", range(-2, 3))
def test_leaf_has_exactly_as_many_bytes_as_a_bundle_of_the_log_can_hold(length: int) -> None:
    room = MAX_LEAF_BYTES - len(taken(request(reason="x")).record) + 1 + length
    if length <= 0:
        assert len(taken(request(reason="x" * room)).record) == MAX_LEAF_BYTES + length
        return
    with pytest.raises(BadEvent) as caught:
        taken(request(reason="x" * room))
    assert caught.value.code == TOO_LARGE


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (request(time_us=START_US - DAY_US - 1), CLOCK_SKEW),
        (request(time_us=START_US + DAY_US + 1), CLOCK_SKEW),
        (approval(new_id(), time_us=START_US - 30 * DAY_US - 1), CLOCK_SKEW),
        (approval(new_id(), time_us=START_US + DAY_US + 1), CLOCK_SKEW),
        (request(reason="é" * MAX_LEAF_BYTES), TOO_LARGE),
        (request(continues=new_id()), INVALID),
        (request(continues="the one before"), INVALID),
    ],
    ids=["late", "early", "late approval", "early approval", "large", "continues another", "continues nothing"],
)
def test_event_is_refused_with_the_code_that_says_why(event: Event, code: int) -> None:
    with pytest.raises(BadEvent) as caught:
        taken(event)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "event", [request(time_us=START_US - DAY_US), approval(new_id(), time_us=START_US - 30 * DAY_US)]
)
def test_clocks_may_be_as_far_apart_as_promised(event: Event) -> None:
    assert taken(event).time_us == event.time_us


@pytest.mark.parametrize("lends", ["event_id", "session_id", "call_id"])
def test_no_id_lends_characters_to_another(lends: str) -> None:
    message = to_message(request())
    names = ["event_id", "session_id", "call_id"]
    whole = " ".join(getattr(message, name) for name in names)
    others = [name for name in names if name != lends]
    setattr(message, lends, whole)
    for name in others:
        setattr(message, name, "")
    with pytest.raises(BadEvent, match="is not a UUID"):
        accept(message)


def test_seal_says_what_the_session_was_and_comes_back() -> None:
    session = UUID(new_id())
    entry = sealing(
        session, target="orders", event_count=3, root=SALT, unanswered_count=0, reason="idle", at_us=START_US
    )
    assert entry.record == (
        f'{{"call_id":"{entry.event_id}","event_id":"{entry.event_id}","kind":"seal","method":"idle",'
        f'"recorded_us":{START_US},"seal":{{"event_count":3,"root":"{SALT.hex()}","unanswered_count":0}},'
        f'"session_id":"{session}","target":"orders","time_us":{START_US}}}'
    )
    event = to_event(entry.record, None)
    assert event.seal == event_pb2.Seal(event_count=3, root=SALT)
    assert (
        sealing(session, target="x", event_count=9, root=b"", unanswered_count=1, reason="ended", at_us=1).event_id
        == entry.event_id
    )


def test_seals_of_others_are_refused() -> None:
    message = to_message(request())
    message.seal.event_count = 1
    with pytest.raises(BadEvent, match="the recorder's own"):
        accept(message)


def test_principals_that_differ_in_anything_are_told_apart() -> None:
    def told(principal: Principal) -> object:
        return json.loads(taken(request(principal=principal)).record)["principal"]

    others = [
        replace(ALICE, issuer="other"),
        replace(ALICE, subject="other"),
        replace(ALICE, token_id="other"),
        replace(ALICE, signed_in="other"),
    ]
    assert len({json.dumps(told(one)) for one in (ALICE, *others, replace(ALICE, groups=("a", "b")))}) == 6
