"""Who waits is told so in the best way that its client can bear, and can come back with what it is given."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from countersign.authz.approving.telling import MOST_ROUNDS, Telling, Told, pending
from countersign.mcp import Era, Means
from countersign.model.approval import Approval, ApprovalState, ApprovalSummary, Person, Requirement
from countersign.model.principal import Principal, PrincipalKind
from countersign.runtime.sealing import MOST_NESTED_BYTES, Sealer, WaitState
from tests.unit.mcp.requests import modern, modern_rpc, read

SEALER = Sealer(bytes(range(32)))
ALICE = Principal("https://idp.test", "alice", (), PrincipalKind.AGENT, "t1")
NOW, MINUTE = 1_790_000_000_000_000, 60_000_000
OWN = '{"requestState":"theirs"}'
ROUNDS = Means(Era.MODERN, takes_rounds=True)
APPROVAL = Approval(
    id="a1",
    state=ApprovalState.PENDING,
    version=1,
    digest=b"d",
    asked_by=Person(ALICE.issuer, ALICE.subject),
    asked_by_kind="agent",
    acts_for=(),
    session_id="s1",
    target="orders",
    method="tools/call",
    name="drop",
    policy_version="v1",
    summary=ApprovalSummary("{}", "why"),
    requirements=(Requirement("ask", ("owners",)),),
    break_glass=(),
    decisions=(),
    asked_at_us=NOW - MINUTE,
    expires_at_us=NOW + 14 * MINUTE,
)
TELLING = Telling(
    message=read(modern(modern_rpc("tools/call", {"name": "drop"}))).messages[0],
    means=ROUNDS,
    principal=ALICE,
    target="orders",
    session_id="s1",
    what=b"w",
    digest=b"d",
    resumed=None,
    prefers_async=False,
    location="https://gateway.test/orders/mcp/approvals/",
    page="https://gateway.test/approvals/",
    now_us=NOW,
)
WAITED = WaitState("a1", b"w", b"d", NOW + MINUTE, rounds=3)


def told(approval: Approval = APPROVAL, **changes: Any) -> Told:
    return pending(replace(TELLING, **changes), approval, SEALER)


def result(answer: Told) -> dict[str, Any]:
    found = json.loads(answer.reply.body)["result"]
    assert isinstance(found, dict)
    return found


def handed(answer: Told) -> WaitState:
    return SEALER.open_wait(ALICE, "orders", result(answer)["requestState"], APPROVAL.expires_at_us)


def test_what_a_client_is_given_holds_all_that_it_is_known_by_and_outlives_the_question() -> None:
    state = handed(told(means=replace(ROUNDS, nested=OWN)))
    assert (state.approval_id, state.what, state.digest, state.nested) == ("a1", b"w", b"d", OWN)
    # Agreed to in the last moment, it may run for as long as people had to decide.
    assert state.expires_us >= APPROVAL.expires_at_us + 15 * MINUTE


def test_who_comes_back_keeps_the_targets_state_of_the_first_round() -> None:
    back = handed(told(means=replace(ROUNDS, nested='{"requestState":"ours"}'), resumed=replace(WAITED, nested=OWN)))
    assert (back.nested, back.rounds) == (OWN, 4)


@pytest.mark.parametrize(("means", "left"), [(ROUNDS, MOST_ROUNDS), (replace(ROUNDS, nested=OWN), MOST_ROUNDS - 1)])
def test_no_client_is_sent_round_more_often_than_it_goes(means: Means, left: int) -> None:
    resumed: WaitState | None = None
    for _ in range(left):
        answer = told(means=means, resumed=resumed)
        assert result(answer)["resultType"] == "input_required"
        resumed = handed(answer)
    assert result(told(means=means, resumed=resumed))["isError"] is True


def test_a_state_too_large_to_be_kept_is_waited_for_by_calling_again() -> None:
    fits = json.dumps({"requestState": "x" * (MOST_NESTED_BYTES - len('{"requestState": ""}'))})
    assert handed(told(means=replace(ROUNDS, nested=fits))).nested == fits
    assert result(told(means=replace(ROUNDS, nested=f"{fits} ")))["isError"] is True


def test_a_client_that_cannot_go_round_reads_what_it_waits_for() -> None:
    answer = told(means=Means(Era.MODERN))
    assert "waiting for approval by owners, id a1" in result(answer)["content"][0]["text"]
    assert answer.back_by_us == APPROVAL.expires_at_us


def test_a_link_is_shown_once_in_a_chain_and_only_where_there_is_a_page() -> None:
    means = replace(ROUNDS, elicits_urls=True)
    first = told(means=means)
    assert result(first)["inputRequests"]["approval"]["params"]["url"] == "https://gateway.test/approvals/a1"
    # While a person looks, nobody is connected: only the approval's own end tells.
    assert first.back_by_us == APPROVAL.expires_at_us
    second = told(means=means, resumed=handed(first))
    assert "inputRequests" not in result(second)
    assert second.back_by_us < APPROVAL.expires_at_us
    assert handed(second).url_shown
    assert "inputRequests" not in result(told(means=means, page=""))


def test_tasks_are_for_what_outlasts_the_rounds_and_has_not_begun_otherwise() -> None:
    means = replace(ROUNDS, takes_tasks=True)
    assert result(told(means=means))["resultType"] == "task"
    soon = replace(APPROVAL, expires_at_us=NOW + 8 * MINUTE)
    for other in (told(soon, means=means), told(means=means, resumed=WAITED), told(means=replace(means, nested=OWN))):
        assert result(other)["resultType"] == "input_required"


def test_who_prefers_not_to_wait_is_told_where_to_look_whatever_else_it_can() -> None:
    answer = told(means=replace(ROUNDS, takes_tasks=True), prefers_async=True)
    assert (answer.reply.status, dict(answer.reply.headers)["location"]) == (202, f"{TELLING.location}a1")
    assert answer.back_by_us == APPROVAL.expires_at_us
