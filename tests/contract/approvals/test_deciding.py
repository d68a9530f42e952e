"""What every store of approvals promises about who decides: the right people, each once, while it is open."""

from __future__ import annotations

from dataclasses import replace

import pytest

from countersign.approver.ports import ApprovalStore, MayNot, NoSuchApproval, NoteMissing, NotOpen, Stale
from countersign.model.approval import Approval, ApprovalState, Person, Question
from countersign.model.principal import Principal, PrincipalKind
from tests.support.approvals import (
    GLASS,
    ISSUER,
    MINUTE,
    NOON,
    OWNERS,
    REASON,
    SECURITY,
    TWO_OWNERS,
    owner,
    person,
    question,
)


async def ask(store: ApprovalStore, asked: Question) -> Approval:
    return (await store.ask(asked, NOON)).approval


async def decide(
    store: ApprovalStore, one: Approval, by: Principal, *, agrees: bool = True, note: str = "", now_us: int = NOON
) -> Approval:
    return await store.decide(one.id, by, version=one.version, agrees=agrees, note=note, now_us=now_us)


def caller_of(one: Approval, kind: PrincipalKind = PrincipalKind.PERSON) -> Principal:
    return person(one.asked_by.subject, "data-owners", kind=kind, token_id="a new token")


async def test_one_who_may_agrees_and_the_call_may_run_for_as_long_as_it_might_have_waited(
    store: ApprovalStore,
) -> None:
    asked = await ask(store, question())
    assert (asked.state, asked.version, asked.expires_at_us) == (ApprovalState.PENDING, 1, NOON + 15 * MINUTE)
    approved = await decide(store, asked, owner(), note="fine", now_us=NOON + MINUTE)
    assert (approved.state, approved.version) == (ApprovalState.APPROVED, 2)
    assert (approved.decided_at_us, approved.grant_until_us) == (NOON + MINUTE, NOON + 16 * MINUTE)
    assert [(one.by.subject, one.note, one.rules) for one in approved.decisions] == [
        ("owner 1", "fine", (OWNERS.rule,))
    ]
    assert await store.get(asked.id) == approved


async def test_one_person_never_counts_twice(store: ApprovalStore) -> None:
    asked = await ask(store, question(TWO_OWNERS))
    first = await decide(store, asked, owner(1))
    assert (first.state, first.version) == (ApprovalState.PENDING, 2)
    assert first.lacking() == ((TWO_OWNERS, 1),)
    with pytest.raises(MayNot, match="decided already"):
        await decide(store, first, owner(1), note="again")
    with pytest.raises(MayNot, match="decided already"):
        await decide(store, first, owner(1), agrees=False)
    with pytest.raises(MayNot, match="decided already"):
        await decide(store, first, person("owner 1", "data-owners", token_id="another"), note="more")
    namesake = person("owner 1", "data-owners", issuer="https://other.example")
    assert (await decide(store, first, namesake)).state is ApprovalState.APPROVED


async def test_the_same_decision_again_gets_the_same_answer_whatever_became_of_it(store: ApprovalStore) -> None:
    asked = await ask(store, question(TWO_OWNERS))
    first = await decide(store, asked, owner(1), note="ok")
    assert await decide(store, asked, owner(1), note="ok") == first
    second = await decide(store, first, owner(2))
    assert await decide(store, asked, owner(1), note="ok") == second
    assert (await store.consume(asked.id, asked.digest, "call", NOON)).granted
    assert (await decide(store, first, owner(2))).state is ApprovalState.CONSUMED
    assert len(await store.outbox(100, asked.id)) == 4


async def test_each_rule_needs_its_own_people_and_one_person_counts_for_all_that_they_may(store: ApprovalStore) -> None:
    asked = await ask(store, question(TWO_OWNERS, SECURITY))
    both = await decide(store, asked, person("both", "data-owners", "auditors"))
    assert both.lacking() == ((TWO_OWNERS, 1),)
    with pytest.raises(MayNot, match="enough people of your groups"):
        await decide(store, both, person("guard", "security"))
    assert (await decide(store, both, owner())).state is ApprovalState.APPROVED


async def test_neither_the_caller_nor_whom_they_act_for_nor_their_token_decides(store: ApprovalStore) -> None:
    asking = question(acts_for=(Person(ISSUER, "boss"), Person(ISSUER, "bot")))
    asked = await ask(store, asking)
    for by, why in (
        (caller_of(asked), "you asked for it"),
        (person("boss", "data-owners"), "asked for you"),
        (person("bot", "data-owners"), "asked for you"),
        (person("another", "data-owners", token_id=asking.caller_token_id), "by the token"),
        (person("cron", "data-owners", kind=PrincipalKind.MACHINE), "only people"),
        (person("agent", "data-owners", kind=PrincipalKind.AGENT), "only people"),
        (person("carol", "data-owners", actors=("bot",)), "by themselves"),
        (person("carol", "owners", "data-owner"), "none of the groups data-owners"),
        (person("carol"), "none of the groups data-owners"),
    ):
        for agrees in (True, False):
            with pytest.raises(MayNot, match=why):
                await decide(store, asked, by, agrees=agrees)
    assert await store.get(asked.id) == asked
    namesake = replace(caller_of(asked), issuer="https://other.example")
    assert (await decide(store, asked, namesake)).state is ApprovalState.APPROVED


async def test_a_single_denial_ends_it_and_its_note_is_the_reason(store: ApprovalStore) -> None:
    asked = await ask(store, question(TWO_OWNERS, SECURITY))
    first = await decide(store, asked, owner(1))
    denied = await decide(store, first, person("guard", "security"), agrees=False, note="not today")
    assert (denied.state, denied.reason, denied.decided_at_us) == (ApprovalState.DENIED, "not today", NOON)
    with pytest.raises(NotOpen) as refused:
        await decide(store, denied, owner(2))
    assert refused.value.approval == denied
    assert not (await store.consume(asked.id, asked.digest, "call", NOON)).granted


async def test_a_rule_that_demands_a_note_gets_one(store: ApprovalStore) -> None:
    asked = await ask(store, question(replace(OWNERS, note_required=True), SECURITY))
    for agrees in (True, False):
        for note in ("", " \t"):
            with pytest.raises(NoteMissing):
                await decide(store, asked, owner(), agrees=agrees, note=note)
    guarded = await decide(store, asked, person("guard", "security"))
    assert (await decide(store, guarded, owner(), note="looked at it")).state is ApprovalState.APPROVED


async def test_outside_of_opening_hours_nobody_agrees_and_anybody_may_deny(store: ApprovalStore) -> None:
    closed = replace(OWNERS, window="Mon-Fri 17:00-18:00 UTC")
    asked = await ask(store, question(closed))
    with pytest.raises(MayNot, match="in Mon-Fri 17:00-18:00 UTC"):
        await decide(store, asked, owner())
    assert (await decide(store, asked, owner(), agrees=False)).state is ApprovalState.DENIED
    unreadable = await ask(store, question(replace(OWNERS, window="at tea time")))
    with pytest.raises(MayNot):
        await decide(store, unreadable, owner())
    opened = await ask(store, question(replace(OWNERS, window="Fri 09:00-12:00 UTC")))
    assert (await decide(store, opened, owner())).state is ApprovalState.APPROVED


async def test_who_saw_another_version_looks_again(store: ApprovalStore) -> None:
    asked = await ask(store, question(TWO_OWNERS, glass=(GLASS,), kind=PrincipalKind.PERSON))
    first = await decide(store, asked, owner(1))
    for agrees in (True, False):
        with pytest.raises(Stale) as refused:
            await decide(store, asked, owner(2), agrees=agrees)
        assert refused.value.approval == first
    with pytest.raises(Stale):
        await store.break_glass(asked.id, caller_of(asked), version=1, reason=REASON, now_us=NOON)


async def test_what_is_over_is_not_decided_even_before_it_was_swept(store: ApprovalStore) -> None:
    asked = await ask(store, question(glass=(GLASS,)))
    over_us = asked.expires_at_us
    with pytest.raises(NotOpen) as refused:
        await decide(store, asked, owner(), now_us=over_us)
    assert refused.value.approval.state is ApprovalState.EXPIRED
    assert (await store.get(asked.id)).state is ApprovalState.EXPIRED
    with pytest.raises(NotOpen):
        await store.break_glass(asked.id, caller_of(asked), version=2, reason=REASON, now_us=over_us)


async def test_the_caller_breaks_the_glass_for_themself_with_a_reason(store: ApprovalStore) -> None:
    asked = await ask(store, question(OWNERS, glass=(replace(GLASS, reuse_us=MINUTE), GLASS)))
    for by, reason, error in (
        (owner(), REASON, MayNot),
        (caller_of(asked, PrincipalKind.AGENT), REASON, MayNot),
        (replace(caller_of(asked), actors=("bot",)), REASON, MayNot),
        (replace(caller_of(asked), issuer="https://other.example"), REASON, MayNot),
        (caller_of(asked), "too short", NoteMissing),
        (caller_of(asked), "short" + " " * 20, NoteMissing),
    ):
        with pytest.raises(error):
            await store.break_glass(asked.id, by, version=1, reason=reason, now_us=NOON)
    broken = await store.break_glass(asked.id, caller_of(asked), version=1, reason=REASON, now_us=NOON)
    assert (broken.state, broken.reuse_us) == (ApprovalState.APPROVED, MINUTE)
    assert broken.grant_until_us == NOON + MINUTE
    assert [(one.glass, one.note, one.rules) for one in broken.decisions] == [(GLASS.rule, REASON, ())]
    assert await store.break_glass(asked.id, caller_of(asked), version=1, reason=REASON, now_us=NOON) == broken
    assert [one.what for one in await store.outbox(10, asked.id)] == ["asked", "glass_broken"]


async def test_no_glass_is_broken_where_no_rule_says_so_nor_after_a_denial(store: ApprovalStore) -> None:
    without = await ask(store, question(kind=PrincipalKind.PERSON))
    with pytest.raises(MayNot, match="no rule"):
        await store.break_glass(without.id, caller_of(without), version=1, reason=REASON, now_us=NOON)
    asked = await ask(store, question(glass=(GLASS,)))
    denied = await decide(store, asked, owner(), agrees=False)
    with pytest.raises(NotOpen):
        await store.break_glass(asked.id, caller_of(asked), version=denied.version, reason=REASON, now_us=NOON)


async def test_where_only_glass_can_be_broken_nobody_else_decides(store: ApprovalStore) -> None:
    asked = await ask(store, replace(question(glass=(GLASS,)), requirements=()))
    assert asked.state is ApprovalState.PENDING
    for agrees in (True, False):
        with pytest.raises(MayNot, match="only its caller"):
            await decide(store, asked, owner(), agrees=agrees)
    broken = await store.break_glass(asked.id, caller_of(asked), version=1, reason=REASON, now_us=NOON)
    assert (broken.state, broken.grant_until_us) == (ApprovalState.APPROVED, NOON + 10 * MINUTE)


async def test_an_unknown_approval_is_told_as_such(store: ApprovalStore) -> None:
    for unknown in ("", "none", "\0", "00000000-0000-4000-8000-000000000000"):
        with pytest.raises(NoSuchApproval):
            await store.get(unknown)
        with pytest.raises(NoSuchApproval):
            await store.decide(unknown, owner(), version=1, agrees=True, note="", now_us=NOON)


async def test_hostile_words_are_kept_and_read_back(store: ApprovalStore) -> None:
    words = "NUL \0, quotes ' \" \\, lone \ud800, bidi \u202e and 😀"
    asked = await ask(store, question())
    denied = await decide(store, asked, owner(), agrees=False, note=words)
    assert denied.reason == "NUL \ufffd, quotes ' \" \\, lone ?, bidi \u202e and 😀"
    assert await store.get(asked.id) == denied
    assert await decide(store, asked, owner(), agrees=False, note=words) == denied
    assert [one.note for one in await store.outbox(10, asked.id)] == ["", denied.reason]
