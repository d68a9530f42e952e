"""Nobody but the caller for whom it was sealed gets in with a sealed session id or principal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.model.principal import Principal, PrincipalKind
from countersign.runtime.sealing import PRINCIPAL_MAX_AGE_S, SealedSession, Sealer, Unsealable

KEY = bytes(range(32))
ALICE = Principal("https://idp.test", "alice", ("analysts", "staff"), PrincipalKind.PERSON, "t1")
BOB = Principal("https://idp.test", "bob", ("support",), PrincipalKind.PERSON, "t2")
SESSION = SealedSession(target_session="their-id", session_id="5f0f8f4e-0000-4000-8000-000000000001")


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


def test_a_sealed_session_opens_for_its_owner_only() -> None:
    sealer = Sealer(KEY)
    sealed = sealer.seal_session(ALICE, "orders", SESSION)
    assert sealer.open_session(ALICE, "orders", sealed) == SESSION
    for principal, target in ((BOB, "orders"), (ALICE, "billing")):
        with pytest.raises(Unsealable):
            sealer.open_session(principal, target, sealed)
    with pytest.raises(Unsealable):
        Sealer(bytes(32)).open_session(ALICE, "orders", sealed)


def test_a_sealed_session_tells_nothing_of_the_targets_own_id() -> None:
    assert SESSION.target_session not in Sealer(KEY).seal_session(ALICE, "orders", SESSION)


def test_the_same_session_is_sealed_the_same_way_so_that_servers_may_repeat_it() -> None:
    sealer = Sealer(KEY)
    assert sealer.seal_session(ALICE, "orders", SESSION) == sealer.seal_session(ALICE, "orders", SESSION)


@given(st.text(max_size=200))
def test_no_invented_session_id_opens(text: str) -> None:
    for attempt in (text, f"cs1.{text}"):
        with pytest.raises(Unsealable):
            Sealer(KEY).open_session(ALICE, "orders", attempt)


def test_a_flipped_character_anywhere_closes_a_sealed_session() -> None:
    sealer = Sealer(KEY)
    sealed = sealer.seal_session(ALICE, "orders", SESSION)
    # The last character of base64 may carry unused bits only.
    for position in range(4, len(sealed) - 1):
        other = "A" if sealed[position] != "A" else "B"
        with pytest.raises(Unsealable):
            sealer.open_session(ALICE, "orders", sealed[:position] + other + sealed[position + 1 :])


def test_a_sealed_principal_comes_back_whole_and_only_for_a_minute() -> None:
    clock = Clock()
    sealer = Sealer(KEY, clock=clock)
    sealed = sealer.seal_principal(ALICE)
    assert sealer.open_principal(sealed) == ALICE
    clock.now_s += PRINCIPAL_MAX_AGE_S + 1
    with pytest.raises(Unsealable):
        sealer.open_principal(sealed)


@given(st.text(max_size=200))
def test_no_invented_principal_opens(text: str) -> None:
    with pytest.raises(Unsealable):
        Sealer(KEY).open_principal(text)


def test_a_session_cannot_be_passed_off_as_a_principal() -> None:
    sealer = Sealer(KEY)
    with pytest.raises(Unsealable):
        sealer.open_principal(sealer.seal_session(ALICE, "orders", SESSION).removeprefix("cs1."))


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 32"):
        Sealer(b"short")
