"""What stands in for another revocation strikes all that it strikes, for as long, and is lifted by the same hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from countersign.model.revocation import Revocation, RevocationKind
from countersign.recorder.revocations.ports import Revoked

ISSUER = "https://login.example"
WHAT = Revocation("r", RevocationKind.PRINCIPAL, ISSUER, "anna", "why", 1, until_us=1_000)
BY_OPERATOR = Revoked(WHAT, ISSUER, "olga")
BY_ISSUER = Revoked(WHAT, ISSUER, source="shared-signals")


@pytest.mark.parametrize(
    ("one", "other", "covers"),
    [
        (BY_OPERATOR, BY_OPERATOR, True),
        (BY_OPERATOR, replace(BY_OPERATOR, by_subject="oscar"), True),
        (BY_ISSUER, BY_ISSUER, True),
        (BY_OPERATOR, BY_ISSUER, False),
        (BY_ISSUER, BY_OPERATOR, False),
        (BY_ISSUER, replace(BY_ISSUER, by_issuer="https://other.example"), False),
        (BY_ISSUER, replace(BY_ISSUER, source="backchannel-logout"), False),
    ],
    ids=["itself", "operators", "an issuer", "issuer's", "operator's", "another issuer's", "another way"],
)
def test_what_one_hand_lifts_stood_in_for_nothing_of_another(one: Revoked, other: Revoked, covers: bool) -> None:
    assert one.covers(other) is covers


@pytest.mark.parametrize(
    ("until_us", "issued_before_s", "covers"),
    [(0, None, True), (2_000, None, True), (999, None, False), (1_000, 5, False)],
    ids=["for good", "longer", "shorter", "fewer tokens"],
)
def test_only_what_strikes_as_much_for_as_long_stands_in(
    until_us: int, issued_before_s: int | None, covers: bool
) -> None:
    other = replace(WHAT, until_us=until_us, issued_before_s=issued_before_s)
    assert replace(BY_OPERATOR, revocation=other).covers(BY_OPERATOR) is covers
