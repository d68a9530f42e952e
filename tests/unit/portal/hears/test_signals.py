"""Security events revoke what they say of the principals that their transmitter may speak of, and of nobody else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from countersign.config.types_portal import SignalSource
from countersign.model.revocation import Revocation, RevocationKind
from countersign.portal.hears.claims import OLDEST_S
from countersign.portal.hears.signals import ACCOUNTS, VERIFICATION, read_signal
from countersign.portal.hears.told import Err, Heard, NotTaken
from tests.support.telling import ANNA, AUDIENCE, CAEP, ISSUER, NOW_S, RISC, TRANSMITTER, signal_claims, without_dots

NOW = int(NOW_S)
SKEW_S = 10
SESSION_REVOKED = f"{CAEP}session-revoked"
BEFORE = NOW + 1 + SKEW_S
OPAQUE_SESSION = {"format": "opaque", "id": "sign-in-1"}
MAIL = {"format": "email", "email": "anna@example.com"}


SOURCE = SignalSource(TRANSMITTER, AUDIENCE, ISSUER, "https://signals.example/keys")


def read(
    claims: dict[str, object], typ: str = "secevent+jwt", *, source: SignalSource = SOURCE, by_mail: bool = False
) -> Heard:
    return read_signal(typ, claims, source, by_mail=by_mail, skew_s=SKEW_S, now_s=NOW_S)


def heard(event: str, about: object = ANNA, says: dict[str, object] | None = None) -> Heard:
    return read(signal_claims(event, about=about, says=says))


def told(revocation: Revocation) -> tuple[RevocationKind, str, str, int | None]:
    return revocation.kind, revocation.issuer, revocation.value, revocation.issued_before_s


SESSIONS: list[tuple[str, object, tuple[RevocationKind, str, int | None]]] = [
    ("by issuer and subject", ANNA, (RevocationKind.PRINCIPAL, "anna", BEFORE)),
    ("by an opaque subject", {"format": "opaque", "id": "anna"}, (RevocationKind.PRINCIPAL, "anna", BEFORE)),
    (
        "by its name in drafts",
        {"subject_type": "iss-sub", "iss": ISSUER, "sub": "anna"},
        (RevocationKind.PRINCIPAL, "anna", BEFORE),
    ),
    ("by a token's id", {"format": "jwt_id", "iss": ISSUER, "jti": "t-1"}, (RevocationKind.TOKEN, "t-1", None)),
    (
        "by user and session",
        {"format": "complex", "user": ANNA, "session": OPAQUE_SESSION},
        (RevocationKind.SIGN_IN, "sign-in-1", None),
    ),
    ("by session alone", {"format": "complex", "session": OPAQUE_SESSION}, (RevocationKind.SIGN_IN, "sign-in-1", None)),
    (
        "by a mail address and session",
        {"format": "complex", "user": MAIL, "session": OPAQUE_SESSION},
        (RevocationKind.SIGN_IN, "sign-in-1", None),
    ),
    ("by user, without a format", {"user": ANNA}, (RevocationKind.PRINCIPAL, "anna", BEFORE)),
    (
        "by user and device: more than said",
        {"format": "complex", "user": ANNA, "device": OPAQUE_SESSION},
        (RevocationKind.PRINCIPAL, "anna", BEFORE),
    ),
    (
        "by user and a session that is not understood: more than said",
        {"format": "complex", "user": ANNA, "session": {"format": "uri", "uri": "urn:x"}},
        (RevocationKind.PRINCIPAL, "anna", BEFORE),
    ),
    (
        "by one alias of several",
        {"format": "aliases", "identifiers": [MAIL, ANNA]},
        (RevocationKind.PRINCIPAL, "anna", BEFORE),
    ),
]


@pytest.mark.parametrize(("about", "expected"), [row[1:] for row in SESSIONS], ids=[row[0] for row in SESSIONS])
def test_a_revoked_session_ends_what_its_subject_names(
    about: object, expected: tuple[RevocationKind, str, int | None]
) -> None:
    kind, value, before = expected
    assert [told(one) for one in heard(SESSION_REVOKED, about).revocations] == [(kind, ISSUER, value, before)]
    # Where drafts have it: in the event.
    claims = signal_claims(SESSION_REVOKED, sub_id=..., says={"subject": about})
    assert [told(one) for one in read(claims).revocations] == [(kind, ISSUER, value, before)]


@pytest.mark.parametrize(
    ("event", "says"),
    [
        (f"{CAEP}credential-change", {"change_type": "revoke", "credential_type": "password"}),
        (f"{CAEP}credential-change", {"change_type": "update"}),
        (f"{CAEP}credential-change", {}),
        (f"{RISC}sessions-revoked", {}),
        (f"{RISC}credential-compromise", {"credential_type": "password"}),
        (f"{RISC}account-credential-change-required", {}),
        ("https://schemas.openid.net/secevent/oauth/event-type/tokens-revoked", {}),
    ],
    ids=lambda value: value.rpartition("/")[2] if isinstance(value, str) else str(value.get("change_type", "")),
)
def test_what_has_people_sign_in_anew_ends_the_tokens_they_had(event: str, says: dict[str, object]) -> None:
    assert [told(one) for one in heard(event, says=says).revocations] == [
        (RevocationKind.PRINCIPAL, ISSUER, "anna", BEFORE)
    ]


@pytest.mark.parametrize("event", ["account-disabled", "account-purged"])
def test_an_account_that_is_no_more_stays_out_with_any_token(event: str) -> None:
    (revocation,) = heard(f"{RISC}{event}", says={"reason": "hijacking"}).revocations
    assert told(revocation) == (RevocationKind.PRINCIPAL, ISSUER, "anna", None)
    assert revocation.until_us > (NOW + 365 * 86_400) * 1_000_000
    assert "hijacking" not in revocation.reason


def test_an_enabled_account_takes_back_its_disabling_alone() -> None:
    telling = heard(f"{RISC}account-enabled")
    (lifted,) = telling.lifted
    assert told(lifted) == (RevocationKind.PRINCIPAL, ISSUER, "anna", None)
    # What takes back is what the same source told: another source bars for good.
    assert telling.source == heard(f"{RISC}account-disabled").source == ACCOUNTS
    assert heard(f"{RISC}account-purged").source == heard(SESSION_REVOKED).source == "shared-signals"


def test_what_was_revoked_while_an_account_was_disabled_stays_so() -> None:
    # The recorder makes no revocation that another one covers, and this is about to be lifted.
    (revocation,) = heard(f"{RISC}account-enabled").revocations
    assert told(revocation) == (RevocationKind.PRINCIPAL, ISSUER, "anna", BEFORE)


def test_nothing_is_given_back_late() -> None:
    event = f"{RISC}account-enabled"
    assert read(signal_claims(event, iat=NOW - 3000)).lifted
    with pytest.raises(NotTaken):
        read(signal_claims(event, iat=NOW - 3700))
    assert read(signal_claims(f"{RISC}account-disabled", iat=NOW - 3700)).revocations


@pytest.mark.parametrize(
    ("event", "says"),
    [
        (VERIFICATION, {"state": "s"}),
        (f"{CAEP}token-claims-change", {}),
        (f"{CAEP}credential-change", {"change_type": "create"}),
        (f"{CAEP}device-compliance-change", {}),
        (f"{RISC}identifier-changed", {}),
        ("https://x.example/event", {}),
    ],
    ids=["verification", "claims", "one more credential", "device", "identifier", "unknown"],
)
def test_events_that_revoke_nothing_are_taken(event: str, says: dict[str, object]) -> None:
    assert heard(event, about={"format": "phone_number", "phone_number": "+1"}, says=says).empty
    assert read(signal_claims(event, sub_id=..., says=says)).empty


def test_all_events_of_a_token_count() -> None:
    events: dict[str, object] = {f"{RISC}account-purged": {}, VERIFICATION: {}, SESSION_REVOKED: {}}
    assert [one.issued_before_s for one in read({**signal_claims(SESSION_REVOKED), "events": events}).revocations] == [
        None,
        BEFORE,
    ]


def test_what_is_taken_back_in_different_ways_is_not_told_at_once() -> None:
    events: dict[str, object] = {f"{RISC}account-disabled": {}, SESSION_REVOKED: {}}
    with pytest.raises(NotTaken):
        read({**signal_claims(SESSION_REVOKED), "events": events})


def test_an_address_names_principals_that_are_named_by_addresses() -> None:
    (revocation,) = read(signal_claims(SESSION_REVOKED, about=MAIL), by_mail=True).revocations
    assert (revocation.kind, revocation.value) == (RevocationKind.PRINCIPAL, "anna@example.com")


OTHERS = {"format": "iss_sub", "iss": "https://other.example", "sub": "anna"}
BAD_SUBJECTS: list[tuple[str, object, Err]] = [
    ("another issuer's", OTHERS, Err.ACCESS),
    ("another issuer's token", {"format": "jwt_id", "iss": "https://other.example", "jti": "t-1"}, Err.ACCESS),
    ("another issuer's user", {"format": "complex", "user": OTHERS, "session": OPAQUE_SESSION}, Err.ACCESS),
    ("another issuer's alias", {"format": "aliases", "identifiers": [OTHERS, ANNA]}, Err.ACCESS),
    ("the transmitter's own", {**ANNA, "iss": TRANSMITTER}, Err.ACCESS),
    ("none", ..., Err.REQUEST),
    ("null", None, Err.REQUEST),
    ("a text", "anna", Err.REQUEST),
    ("an address", MAIL, Err.REQUEST),
    ("an account", {"format": "account", "uri": "acct:anna@example.com"}, Err.REQUEST),
    ("a whole tenant", {"format": "complex", "tenant": {"format": "opaque", "id": "t"}}, Err.REQUEST),
    ("an empty complex", {"format": "complex"}, Err.REQUEST),
    ("without a format", {"iss": ISSUER, "sub": "anna"}, Err.REQUEST),
    ("a format that is a list", {**ANNA, "format": ["iss_sub"]}, Err.REQUEST),
    ("an empty subject", {**ANNA, "sub": ""}, Err.REQUEST),
    ("a huge subject", {**ANNA, "sub": "x" * 513}, Err.REQUEST),
    ("a subject of control characters", {**ANNA, "sub": "anna\x00"}, Err.REQUEST),
    ("aliases without end", {"format": "aliases", "identifiers": [MAIL] * 21}, Err.REQUEST),
    (
        "aliases in aliases",
        {"format": "aliases", "identifiers": [{"format": "aliases", "identifiers": [ANNA]}]},
        Err.REQUEST,
    ),
    ("a session that is a text", {"format": "complex", "user": ANNA, "session": "sign-in-1"}, Err.REQUEST),
    ("a complex within a complex", {"format": "complex", "user": {"format": "complex", "user": ANNA}}, Err.REQUEST),
]


@pytest.mark.parametrize(("about", "err"), [row[1:] for row in BAD_SUBJECTS], ids=[row[0] for row in BAD_SUBJECTS])
def test_subjects_that_name_nobody_of_the_transmitters_are_refused(about: object, err: Err) -> None:
    with pytest.raises(NotTaken) as refused:
        heard(SESSION_REVOKED, about)
    assert refused.value.err is err
    assert "anna" not in refused.value.description


def test_where_tokens_do_not_name_their_sign_in_all_that_the_user_has_ends() -> None:
    about = {"format": "complex", "user": ANNA, "session": OPAQUE_SESSION}
    claims = signal_claims(SESSION_REVOKED, about=about)
    assert [(one.kind, one.value) for one in read(claims, source=replace(SOURCE, everywhere=True)).revocations] == [
        (RevocationKind.SIGN_IN, "sign-in-1"),
        (RevocationKind.PRINCIPAL, "anna"),
    ]


def test_an_issuer_that_tells_of_its_own_has_one_clock() -> None:
    claims = signal_claims(SESSION_REVOKED, about={"format": "opaque", "id": "anna"})
    telling = read(claims, source=replace(SOURCE, subjects_of=TRANSMITTER))
    assert telling.revocations[0].issued_before_s == NOW + 1


def test_an_account_event_about_a_session_alone_is_refused() -> None:
    with pytest.raises(NotTaken):
        heard(f"{RISC}account-disabled", {"format": "complex", "session": OPAQUE_SESSION})


def test_two_subjects_that_differ_are_refused() -> None:
    with pytest.raises(NotTaken):
        heard(SESSION_REVOKED, ANNA, {"subject": {**ANNA, "sub": "bob"}})


BAD: list[tuple[str, str, dict[str, object], Err]] = [
    ("an access token", "at+jwt", {}, Err.REQUEST),
    ("a logout token", "logout+jwt", {}, Err.REQUEST),
    ("a JWT of any kind", "JWT", {}, Err.REQUEST),
    ("no type", "", {}, Err.REQUEST),
    ("another audience", "secevent+jwt", {"aud": "https://other.example"}, Err.AUDIENCE),
    ("no audience", "secevent+jwt", {"aud": ...}, Err.AUDIENCE),
    ("stale", "secevent+jwt", {"iat": NOW - OLDEST_S - 1}, Err.REQUEST),
    ("from the future", "secevent+jwt", {"iat": NOW + 3600}, Err.REQUEST),
    ("expired", "secevent+jwt", {"exp": NOW - 3600}, Err.REQUEST),
    ("no id", "secevent+jwt", {"jti": ...}, Err.REQUEST),
    ("no events", "secevent+jwt", {"events": ...}, Err.REQUEST),
    ("events that are none", "secevent+jwt", {"events": {}}, Err.REQUEST),
    ("too many events", "secevent+jwt", {"events": {f"https://x.example/{n}": {} for n in range(11)}}, Err.REQUEST),
    ("an event that is a text", "secevent+jwt", {"events": {SESSION_REVOKED: "yes"}}, Err.REQUEST),
]


@pytest.mark.parametrize(("typ", "changed", "err"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_what_is_no_security_event_for_this_gateway_revokes_nothing(
    typ: str, changed: dict[str, object], err: Err
) -> None:
    with pytest.raises(NotTaken) as refused:
        read(without_dots({**signal_claims(SESSION_REVOKED), **changed}), typ)
    assert refused.value.err is err
