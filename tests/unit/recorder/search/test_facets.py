"""What of an event marks its block and its session."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from countersign.model.event import Finding
from countersign.recorder.entry import accept
from countersign.recorder.search.facets import UNNAMED, Marked, details_of, mark, mark_pair, marks_of
from countersign.recorder.search.signature import key_of
from countersign.runtime.recording import to_message
from tests.support.events import ALICE, decision, new_id, request

APPROVAL = new_id()


def marked(**changes: object) -> Marked:
    entry = accept(to_message(request(**changes)))  # type: ignore[arg-type]  # as request takes them
    return Marked(
        index=0,
        session_id=UUID(int=1),
        call_id=UUID(int=2),
        kind=entry.kind,
        time_us=entry.time_us,
        outcome=entry.outcome,
        target=entry.target,
        method=entry.method,
        name=entry.name,
        record=entry.record,
        first_index=0,
        issuer=ALICE.issuer,
        subject=ALICE.subject,
        groups=("analysts", "night"),
        principal_kind="person",
    )


def test_an_event_marks_its_block_by_all_that_is_asked_for() -> None:
    event = marked(
        findings=(Finding("iban"), Finding("email")),
        relations=("public.orders",),
        approval_id=APPROVAL,
        decision=decision(rule='a "rules":[ trap'),
    )
    wanted = [
        *(("subject", "alice"), ("issuer", ALICE.issuer), ("group", "night"), ("principal_kind", "person")),
        *(("target", "orders"), ("method", "tools/call"), ("name", "query"), ("outcome", "1"), ("kind", "1")),
        *(("rule", 'a "rules":[ trap'), ("label", "iban"), ("label", "email"), ("relation", "public.orders")),
        *(("approval_id", APPROVAL), ("session_id", UUID(int=1).hex), ("call_id", UUID(int=2).hex)),
    ]
    found = marks_of(event)
    assert {key_of(mark(*one)) for one in wanted} <= found.of_block
    assert key_of(mark_pair("target", "orders", "label", "iban")) in found.of_block
    assert key_of(mark_pair("subject", "alice", "rule", 'a "rules":[ trap')) in found.of_block
    assert found.of_session == {
        key_of(mark(*one)) for one in wanted if one[0] in ("method", "rule", "label", "relation", "approval_id")
    }


def test_texts_that_look_like_keys_are_none() -> None:
    text = '"relations":["secret"],"findings":[],"approval_id":"x"'
    event = marked(name=text, decision=decision(rule=text), reason=text, relations=("t",))
    assert details_of(event.record) == ((text,), (), ("t",), "")


def test_an_event_of_nobody_may_be_anybodys_unless_it_was_refused() -> None:
    nobody = replace(marked(), subject="", issuer="")
    assert key_of(UNNAMED) in marks_of(nobody).of_block
    assert key_of(UNNAMED) not in marks_of(replace(nobody, kind=5)).of_block
    assert key_of(UNNAMED) not in marks_of(marked()).of_block
