"""A waiting client comes back with exactly what it was given, in time, and nobody else does."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.model.principal import Principal, PrincipalKind
from countersign.runtime.sealing import (
    MOST_NESTED_BYTES,
    SealedSession,
    Sealer,
    TaskState,
    Unsealable,
    WaitOver,
    WaitState,
    is_sealed_state,
    is_task,
    is_wait,
)

SEALER = Sealer(bytes(range(32)))
ALICE = Principal("https://idp.test", "alice", ("analysts",), PrincipalKind.PERSON, "t1")
BOB = replace(ALICE, subject="bob")
WAIT = WaitState("a1", bytes(range(32)), bytes(32), 1_000, 3, True, '{"requestState":"their own"}')
TASK = TaskState("a1", "s1")
STATE = "their own"
NOT_OURS = "not one that this gateway gave"


def open_wait(text: str, principal: Principal = ALICE, target: str = "orders", sealer: Sealer = SEALER) -> WaitState:
    return sealer.open_wait(principal, target, text, 999)


def open_task(text: str, principal: Principal = ALICE, target: str = "orders", sealer: Sealer = SEALER) -> TaskState:
    return sealer.open_task(principal, target, text)


def open_state(text: str, principal: Principal = ALICE, target: str = "orders", sealer: Sealer = SEALER) -> str:
    return sealer.open_state(principal, target, text)


SEALED: list[tuple[str, Callable[..., object]]] = [
    (SEALER.seal_wait(ALICE, "orders", WAIT), open_wait),
    (SEALER.seal_task(ALICE, "orders", TASK), open_task),
    (SEALER.seal_state(ALICE, "orders", STATE), open_state),
]


@given(
    st.builds(
        WaitState,
        approval_id=st.text(max_size=40),
        what=st.binary(max_size=32),
        digest=st.binary(max_size=32),
        expires_us=st.integers(1_000, 2**53),
        rounds=st.integers(0, 11),
        url_shown=st.booleans(),
        nested=st.text(max_size=50),
    )
)
def test_a_wait_comes_back_whole_and_tells_nothing(state: WaitState) -> None:
    sealed = SEALER.seal_wait(ALICE, "orders", state)
    assert open_wait(sealed) == state
    assert is_wait(sealed)
    assert not is_task(sealed)
    assert sealed != SEALER.seal_wait(ALICE, "orders", state)


@given(st.text(max_size=40))
def test_a_targets_state_comes_back_whole_and_tells_nothing(state: str) -> None:
    sealed = SEALER.seal_state(ALICE, "orders", state)
    assert open_state(sealed) == state
    assert is_sealed_state(sealed)
    assert not is_wait(sealed)
    assert sealed != SEALER.seal_state(ALICE, "orders", state)


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_task_has_one_id_that_a_header_can_repeat(approval_id: str, session_id: str) -> None:
    state = TaskState(approval_id, session_id)
    sealed = SEALER.seal_task(ALICE, "orders", state)
    assert open_task(sealed) == state
    assert is_task(sealed)
    assert not is_wait(sealed)
    assert re.fullmatch(r"[!-~]+", sealed)
    assert sealed == SEALER.seal_task(ALICE, "orders", state)


@pytest.mark.parametrize(("sealed", "opened"), SEALED, ids=["wait", "task", "state"])
def test_only_its_caller_at_its_target_of_this_deployment_gets_in(sealed: str, opened: Callable[..., object]) -> None:
    moved = replace(ALICE, issuer="https://idp.testa", subject="lice")
    for others in (
        {"principal": BOB},
        {"principal": replace(ALICE, issuer="https://other.test")},
        {"principal": moved},
        {"target": "billing"},
        {"sealer": Sealer(bytes(32))},
    ):
        with pytest.raises(Unsealable, match=NOT_OURS):
            opened(sealed, **others)
    opened(sealed, principal=replace(ALICE, token_id="t2", groups=()))


@pytest.mark.parametrize(("sealed", "opened"), SEALED, ids=["wait", "task", "state"])
def test_any_change_of_a_single_character_closes_it(sealed: str, opened: Callable[..., object]) -> None:
    for position in range(len(sealed)):
        other = "A" if sealed[position] != "A" else "B"
        with pytest.raises(Unsealable, match=NOT_OURS):
            opened(sealed[:position] + other + sealed[position + 1 :])
    for spelt in (sealed + "=", sealed + " ", " " + sealed, sealed[:-1], sealed.upper(), sealed + "A"):
        with pytest.raises(Unsealable, match=NOT_OURS):
            opened(spelt)


@pytest.mark.parametrize("prefix", ["", "cs-wait1.", "cs-task1.", "cs-state1.", "cs1."])
@given(text=st.text(max_size=60))
def test_nothing_invented_opens(prefix: str, text: str) -> None:
    for opened in (open_wait, open_task, open_state):
        with pytest.raises(Unsealable, match=NOT_OURS):
            opened(prefix + text)


def test_what_was_sealed_for_one_purpose_serves_no_other() -> None:
    session = SEALER.seal_session(ALICE, "orders", SealedSession("theirs", "s1")).removeprefix("cs1.")
    wait, task, state = (sealed for sealed, _ in SEALED)
    for attempt in (f"cs-wait1.{session}", task, task.replace("task", "wait"), state.replace("state", "wait")):
        with pytest.raises(Unsealable, match=NOT_OURS):
            open_wait(attempt)
    for attempt in (f"cs-task1.{session}", wait, wait.replace("wait", "task")):
        with pytest.raises(Unsealable, match=NOT_OURS):
            open_task(attempt)
    for attempt in (f"cs-state1.{session}", wait, wait.replace("wait", "state"), task.replace("task", "state")):
        with pytest.raises(Unsealable, match=NOT_OURS):
            open_state(attempt)


def test_a_wait_that_is_over_is_told_from_a_forged_one() -> None:
    sealed = SEALED[0][0]
    assert SEALER.open_wait(ALICE, "orders", sealed, 999) == WAIT
    for now_us in (1_000, 1_001):
        with pytest.raises(WaitOver, match="expired"):
            SEALER.open_wait(ALICE, "orders", sealed, now_us)
    with pytest.raises(Unsealable, match=NOT_OURS) as forged:
        SEALER.open_wait(BOB, "orders", sealed, 1_001)
    assert not isinstance(forged.value, WaitOver)


def test_more_of_a_targets_own_state_than_fits_is_refused() -> None:
    assert open_wait(SEALER.seal_wait(ALICE, "orders", replace(WAIT, nested="é" * (MOST_NESTED_BYTES // 2))))
    with pytest.raises(ValueError, match="too large"):
        SEALER.seal_wait(ALICE, "orders", replace(WAIT, nested="é" * (MOST_NESTED_BYTES // 2) + "e"))
