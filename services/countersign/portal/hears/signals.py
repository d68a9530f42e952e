"""Security event tokens: what CAEP's and RISC's events revoke here (RFC 8417; Shared Signals Framework 1.0). Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

from countersign.config.types_portal import SignalSource
from countersign.model.revocation import Revocation, RevocationKind
from countersign.portal.hears import claims as said
from countersign.portal.hears.claims import Claims
from countersign.portal.hears.subjects import Named, Whose, named
from countersign.portal.hears.told import Err, Heard, NotTaken, unnumbered

SOURCE = "shared-signals"
ACCOUNTS = "shared-signals-accounts"
"""The source of what bars accounts for as long as they are disabled: what it told is all that it can take back."""
CAEP = "https://schemas.openid.net/secevent/caep/event-type/"
RISC = "https://schemas.openid.net/secevent/risc/event-type/"
OAUTH = "https://schemas.openid.net/secevent/oauth/event-type/"
VERIFICATION = "https://schemas.openid.net/secevent/ssf/event-type/verification"
_TYPES = ("secevent+jwt",)
_MOST_EVENTS = 10
# What bars an account does not lapse with the tokens that it had: its issuer may go on giving out others.
_BARRED_S = 10 * 365 * 86_400
# What gives back is not taken late: it might come after a later telling that took away again.
_GIVEN_BACK_WITHIN_S = 3_600


def read_signal(typ: str, claims: Claims, source: SignalSource, *, by_mail: bool, skew_s: int, now_s: float) -> Heard:
    """Return what a security event token of ``source`` revokes, its signature being verified.

    ``typ`` is its header's, ``by_mail`` whether principals are named by mail addresses, ``skew_s`` by how much their
    issuer's clock may differ from ours. Events that revoke nothing, known or not, give an empty ``Heard``. Raises
    ``NotTaken``.
    """
    said.check_type(typ, _TYPES)
    said.check_audience(claims, (source.audience,), alone=False)
    told_s = said.issued_s(claims, now_s)
    said.check_expiry(claims, now_s, required=False)
    told_id = said.text(claims, "jti")
    events = said.member(claims, "events")
    if not 0 < len(events) <= _MOST_EVENTS:
        raise NotTaken(Err.REQUEST, f"the token must tell of 1 to {_MOST_EVENTS} events")
    # The clock of somebody else may be as far behind the issuer's.
    heard_s = now_s if source.issuer == source.subjects_of else told_s + skew_s
    telling = _Telling(
        issuer=source.subjects_of,
        told_s=told_s,
        issued_before_s=said.issued_before_s(told_s, heard_s, skew_s),
        late=told_s < now_s - _GIVEN_BACK_WITHIN_S,
        everywhere=source.everywhere,
    )
    whose = Whose(source.subjects_of, by_mail)
    revocations: list[Revocation] = []
    lifted: list[Revocation] = []
    sources: set[str] = set()
    for uri in events:
        event = said.member(events, uri, what="`events`")
        effect = _EFFECTS.get(uri)
        if effect is None or (uri == _CREDENTIAL_CHANGE and not _takes_back(event)):
            continue
        put, taken_back = effect(named(_subject(claims, event), whose), telling)
        revocations += put
        lifted += taken_back
        sources.add(ACCOUNTS if effect in (_disabled, _enabled) else SOURCE)
    if len(sources) > 1:
        raise NotTaken(Err.REQUEST, "the token tells of several events: send each in a token of its own")
    return Heard(sources.pop() if sources else SOURCE, source.issuer, told_id, tuple(revocations), tuple(lifted))


@dataclass(frozen=True, slots=True)
class _Telling:
    """Of whose principals an event tells, when, from when tokens are good again, whether it came late, and
    whether the end of one sign-in ends all.
    """

    issuer: str
    told_s: int
    issued_before_s: int
    late: bool
    everywhere: bool


def _subject(claims: Claims, event: Claims) -> object:
    """Return whom an event is about: ``sub_id`` of the token, where drafts have ``subject`` in the event."""
    of_token, of_event = claims.get("sub_id"), event.get("subject")
    if of_token is not None and of_event is not None and of_token != of_event:
        raise NotTaken(Err.REQUEST, "the token names one subject and its event another")
    return of_token if of_token is not None else of_event


def _takes_back(event: Claims) -> bool:
    """Whether a credential changed in a way that ends what was signed in by it; one more credential ends nothing."""
    return event.get("change_type") != "create"


def _session_ends(subject: Named, telling: _Telling) -> _Changes:
    reason = "the issuer revoked the session"
    if subject.sign_in:
        ended = unnumbered(RevocationKind.SIGN_IN, telling.issuer, subject.sign_in, reason)
        if not (telling.everywhere and subject.principal):
            return [ended], []
        others, _ = _sign_ins_end(reason)(subject, telling)
        return [ended, *others], []
    if subject.token_id:
        return [unnumbered(RevocationKind.TOKEN, telling.issuer, subject.token_id, reason)], []
    return _sign_ins_end(reason)(subject, telling)


def _sign_ins_end(reason: str) -> _Effect:
    """Return what has a principal sign in anew: all its tokens until then are revoked."""

    def put(subject: Named, telling: _Telling) -> _Changes:
        who = _principal(subject)
        before_s = telling.issued_before_s
        return [unnumbered(RevocationKind.PRINCIPAL, telling.issuer, who, reason, issued_before_s=before_s)], []

    return put


def _barred(reason: str) -> _Effect:
    """Return what bars a principal, whatever tokens it gets from now on."""

    def put(subject: Named, telling: _Telling) -> _Changes:
        until_us = (telling.told_s + _BARRED_S) * 1_000_000
        who = _principal(subject)
        return [unnumbered(RevocationKind.PRINCIPAL, telling.issuer, who, reason, until_us=until_us)], []

    return put


_disabled = _barred("the account was disabled")
_signs_in_anew = _sign_ins_end("the account was disabled until then")


def _enabled(subject: Named, telling: _Telling) -> _Changes:
    """Take back what a disabled account was barred by; tokens from before stay revoked, whatever else was told."""
    if telling.late:
        raise NotTaken(Err.REQUEST, "that came too late to give anything back: have an operator lift the revocation")
    revocations, _ = _signs_in_anew(subject, telling)
    who, reason = _principal(subject), "the account was enabled"
    return revocations, [unnumbered(RevocationKind.PRINCIPAL, telling.issuer, who, reason)]


def _principal(subject: Named) -> str:
    if not subject.principal:
        raise NotTaken(Err.REQUEST, "the event is about an account, and its subject names none")
    return subject.principal


# What is revoked, and what is taken back of what was told before.
_Changes = tuple[list[Revocation], list[Revocation]]
_Effect = Callable[[Named, _Telling], _Changes]
_CREDENTIAL_CHANGE = f"{CAEP}credential-change"
_EFFECTS: MappingProxyType[str, _Effect] = MappingProxyType(
    {
        f"{CAEP}session-revoked": _session_ends,
        _CREDENTIAL_CHANGE: _sign_ins_end("a credential was changed"),
        f"{RISC}sessions-revoked": _sign_ins_end("the issuer revoked all sessions"),
        f"{OAUTH}tokens-revoked": _sign_ins_end("the issuer revoked all tokens"),
        f"{RISC}credential-compromise": _sign_ins_end("a credential was compromised"),
        f"{RISC}account-credential-change-required": _sign_ins_end("a credential must be changed"),
        f"{RISC}account-disabled": _disabled,
        f"{RISC}account-purged": _barred("the account was purged"),
        f"{RISC}account-enabled": _enabled,
    }
)
