"""A logout ends the sign-in that it names, or all of the subject until then, and nothing else is a logout."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from countersign.config.types_portal import LogoutSource
from countersign.model.principal import Principal, PrincipalKind
from countersign.model.revocation import RevocationKind, RevocationList
from countersign.portal.hears.claims import AHEAD_S, OLDEST_S
from countersign.portal.hears.logouts import LOGOUT_EVENT, read_logout
from countersign.portal.hears.told import Err, Heard, NotTaken
from tests.support.telling import CLIENT, ISSUER, NOW_S, logout_claims

NOW = int(NOW_S)
SKEW_S = 10


def heard(typ: str = "logout+jwt", **changed: object) -> Heard:
    return heard_of(typ, changed)


def heard_of(typ: str, changed: Mapping[str, object], *, everywhere: bool = False) -> Heard:
    source = LogoutSource(ISSUER, CLIENT, everywhere=everywhere)
    return read_logout(typ, logout_claims(**changed), source, skew_s=SKEW_S, now_s=NOW_S)


def test_a_sign_in_that_is_named_ends_and_no_other() -> None:
    telling = heard()
    (revocation,) = telling.revocations
    assert (revocation.kind, revocation.issuer, revocation.value) == (RevocationKind.SIGN_IN, ISSUER, "sign-in-1")
    assert revocation.issued_before_s is None
    assert telling.source_id == f"{ISSUER} telling-1"
    assert telling.lifted == ()


@pytest.mark.parametrize(("issued_s", "ended"), [(NOW - 60, True), (NOW, True), (NOW + 1, False)])
def test_a_subject_alone_ends_all_its_tokens_up_to_that_second(issued_s: int, ended: bool) -> None:
    (revocation,) = heard(sid=...).revocations
    anna = Principal(ISSUER, "anna", (), PrincipalKind.PERSON, "t", issued_s=issued_s)
    assert (RevocationList([revocation]).of_principal(anna, NOW * 1_000_000) is not None) is ended


@pytest.mark.parametrize(
    ("told_s", "good_again_s"),
    [(NOW + 3, NOW + 4), (NOW - 3, NOW + 1), (NOW - SKEW_S, NOW + 1), (NOW - 3600, NOW - 3600 + SKEW_S + 1)],
    ids=["the issuer's clock is ahead", "ours is ahead", "by as much as may be", "it was sent late"],
)
def test_tokens_by_both_clocks_end_and_those_of_later_sign_ins_do_not(told_s: int, good_again_s: int) -> None:
    (revocation,) = heard(sid=..., iat=told_s).revocations
    assert revocation.issued_before_s == good_again_s


def test_where_tokens_do_not_name_their_sign_in_all_that_the_subject_has_ends() -> None:
    told = heard_of("logout+jwt", {}, everywhere=True).revocations
    assert [(one.kind, one.value) for one in told] == [
        (RevocationKind.SIGN_IN, "sign-in-1"),
        (RevocationKind.PRINCIPAL, "anna"),
    ]
    assert [one.issued_before_s for one in told] == [None, NOW + 1]


def test_only_principals_of_the_issuer_itself_are_ended() -> None:
    (revocation,) = heard(sid=...).revocations
    other = Principal("https://other.example", "anna", (), PrincipalKind.PERSON, "t", issued_s=1)
    assert RevocationList([revocation]).of_principal(other, NOW * 1_000_000) is None


@pytest.mark.parametrize("typ", ["logout+jwt", "LOGOUT+JWT", "application/logout+jwt", "JWT", ""])
def test_types_that_issuers_give_are_taken(typ: str) -> None:
    assert heard(typ).revocations


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": [CLIENT]},
        {"sub": ...},
        {"sub": None},
        {"iat": NOW - 3600},
        {"exp": NOW - AHEAD_S + 2},
        {"trace": {"a": 1}},
    ],
    ids=["audience in a list", "no subject", "null subject", "late", "just in time", "unknown claim"],
)
def test_what_is_good_is_taken(changed: dict[str, object]) -> None:
    assert [one.value for one in heard_of("logout+jwt", changed).revocations] == ["sign-in-1"]


BAD: list[tuple[str, str, dict[str, object], Err]] = [
    ("an access token", "at+jwt", {}, Err.REQUEST),
    ("a security event token", "secevent+jwt", {}, Err.REQUEST),
    ("another audience", "logout+jwt", {"aud": "another"}, Err.AUDIENCE),
    ("several audiences", "logout+jwt", {"aud": [CLIENT, "another"]}, Err.AUDIENCE),
    ("no audience", "logout+jwt", {"aud": ...}, Err.AUDIENCE),
    ("an empty list of audiences", "logout+jwt", {"aud": []}, Err.AUDIENCE),
    ("an audience that is no text", "logout+jwt", {"aud": [[CLIENT]]}, Err.AUDIENCE),
    ("no time of issue", "logout+jwt", {"iat": ...}, Err.REQUEST),
    ("a time of issue as a text", "logout+jwt", {"iat": str(NOW)}, Err.REQUEST),
    ("a true time of issue", "logout+jwt", {"iat": True}, Err.REQUEST),
    ("an endless time of issue", "logout+jwt", {"iat": float("inf")}, Err.REQUEST),
    ("from the future", "logout+jwt", {"iat": NOW + AHEAD_S + 2}, Err.REQUEST),
    ("stale", "logout+jwt", {"iat": NOW - OLDEST_S - 1}, Err.REQUEST),
    ("expired", "logout+jwt", {"exp": NOW - AHEAD_S}, Err.REQUEST),
    ("no expiry", "logout+jwt", {"exp": ...}, Err.REQUEST),
    ("no id", "logout+jwt", {"jti": ...}, Err.REQUEST),
    ("an empty id", "logout+jwt", {"jti": ""}, Err.REQUEST),
    ("a huge id", "logout+jwt", {"jti": "x" * 513}, Err.REQUEST),
    ("an id of control characters", "logout+jwt", {"jti": "a\x00b"}, Err.REQUEST),
    ("no events", "logout+jwt", {"events": ...}, Err.REQUEST),
    ("events in a list", "logout+jwt", {"events": [LOGOUT_EVENT]}, Err.REQUEST),
    ("another event", "logout+jwt", {"events": {"https://x.example/event": {}}}, Err.REQUEST),
    ("an event that is a text", "logout+jwt", {"events": {LOGOUT_EVENT: "yes"}}, Err.REQUEST),
    ("a nonce", "logout+jwt", {"nonce": "n"}, Err.REQUEST),
    ("an empty nonce", "logout+jwt", {"nonce": None}, Err.REQUEST),
    ("nobody named", "logout+jwt", {"sub": ..., "sid": ...}, Err.REQUEST),
    ("an empty sign-in", "logout+jwt", {"sid": ""}, Err.REQUEST),
    ("a sign-in that is a number", "logout+jwt", {"sid": 7}, Err.REQUEST),
    ("a subject with a lone surrogate", "logout+jwt", {"sub": "\ud800"}, Err.REQUEST),
]


@pytest.mark.parametrize(("typ", "changed", "err"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_what_is_no_logout_for_this_client_revokes_nothing(typ: str, changed: dict[str, object], err: Err) -> None:
    with pytest.raises(NotTaken) as refused:
        heard_of(typ, changed)
    assert refused.value.err is err
    assert not any(value in refused.value.description for value in ("anna", "sign-in-1", "telling-1"))
