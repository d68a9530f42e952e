"""What operators and services ask about revocations, checked; and the answers' messages."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import struct
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from countersign.api.access.v1 import revocations_pb2
from countersign.model.revocation import Revocation, RevocationKind, looks_like_a_token
from countersign.recorder.asked import BadQuestion, uuid_of
from countersign.recorder.revocations.ports import MOST_IN_FORCE, Revoked, Telling
from countersign.recorder.revocations.rows import KINDS, NUMBERS

MOST_NAME_CHARACTERS: Final = 512
MOST_REASON_CHARACTERS: Final = 500
MOST_SOURCE_CHARACTERS: Final = 100
MOST_SOURCE_ID_CHARACTERS: Final = 2_000
MOST_TOLD: Final = 100
MOST_LISTED: Final = 500
DEFAULT_LISTED: Final = 100
HEARD_FOR_US: Final = 30 * 86_400 * 1_000_000
"""What an issuer told lapses after 30 days, unless its sender says when."""

TOO_MANY: Final = (
    f"{MOST_IN_FORCE} revocations are in force: lift some, or revoke principals, or all of an issuer before a time"
)
_DAY_US: Final = 86_400 * 1_000_000
# As far as JSON's integers go (RFC 8785, appendix D).
_LATEST_US: Final = 2**53 - 1
_TOKEN: Final = struct.Struct(">8sQ16s")
_OF_ISSUERS: Final = (RevocationKind.PRINCIPAL, RevocationKind.TOKEN, RevocationKind.SIGN_IN)

NewId = Callable[[], uuid.UUID]


@dataclass(frozen=True, slots=True)
class Heard:
    """What an issuer told: what it takes back, what it gives back, and what tells this telling from all others."""

    telling: Telling
    revoked: tuple[Revoked, ...]
    lifted: tuple[Revoked, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """A page to list: ``before`` is the time and the id of the last one on the page before."""

    issuer: str
    value: str
    before: tuple[int, uuid.UUID] | None
    limit: int


def hide_token(request: revocations_pb2.RevokeRequest) -> bool:
    """Take a token out of a request that holds one in place of its id, so that it is not recorded; tell whether."""
    if not looks_like_a_token(request.revocation.value):
        return False
    request.revocation.value = "(a token)"
    return True


def revocation(given: revocations_pb2.Revocation, now_us: int, new_id: NewId = uuid.uuid4) -> Revocation:
    """Check what an operator wants to be revoked, and give it an id. Raises ``BadQuestion``."""
    if given.by_issuer:
        raise BadQuestion("revocation.by_issuer: the service says who revoked it")
    return _revocation(given, now_us, str(new_id()))


def check_spelling(given: revocations_pb2.Revocation, known: Iterable[str], own: str = "") -> None:
    """Refuse an issuer that is one of gateway.yaml's but for letters' case or a slash: it would strike nobody.

    So would ``own``, the gateway's portal: who signed in there is who they are at their own issuer. Others are taken:
    what gateway.yaml named before may still be under way. Raises ``BadQuestion``.
    """
    written = _folded(given.issuer)
    if own and written == _folded(own):
        raise BadQuestion(
            "revocation.issuer: is the gateway's own portal, and strikes nobody; name the issuer where the person "
            "signed in (`idp` in the token), as the record does"
        )
    spellings = tuple(known)
    if given.issuer in spellings:
        return
    for one in spellings:
        if written and _folded(one) == written:
            raise BadQuestion(f"revocation.issuer: strikes nobody as it is written; gateway.yaml has {one}")


def _folded(issuer: str) -> str:
    return issuer.rstrip("/").lower()


def reason(text: str, field: str = "reason") -> str:
    """Check why somebody does something. Raises ``BadQuestion``."""
    if not text.strip():
        raise BadQuestion(f"{field}: needed, such as a case's number")
    return _text(text, field, MOST_REASON_CHARACTERS)


def heard(request: revocations_pb2.ApplyRevocationsRequest, now_us: int, new_id: NewId = uuid.uuid4) -> Heard:
    """Check what a service brings that heard it from an issuer. Raises ``BadQuestion``."""
    if not request.source or not request.source_id:
        raise BadQuestion("source: source and source_id are needed")
    source = _text(request.source, "source", MOST_SOURCE_CHARACTERS)
    told_id = _text(request.source_id, "source_id", MOST_SOURCE_ID_CHARACTERS)
    if not 0 < len(request.revocations) + len(request.lifted) <= MOST_TOLD:
        raise BadQuestion(f"revocations: 1 to {MOST_TOLD}")
    revoked = tuple(_told_by(one, source, now_us, new_id) for one in request.revocations)
    lifted = tuple(_told_by(one, source, now_us, new_id) for one in request.lifted)
    return Heard(Telling(source, hashlib.sha256(told_id.encode()).digest()), revoked, lifted)


def listing(request: revocations_pb2.ListRevocationsRequest) -> Listing:
    """Check a request to list. Raises ``BadQuestion``."""
    if request.page_size > MOST_LISTED:
        raise BadQuestion(f"page_size: at most {MOST_LISTED}")
    issuer = _text(request.issuer, "issuer", MOST_NAME_CHARACTERS)
    value = _text(request.value, "value", MOST_NAME_CHARACTERS)
    before = _open_token(request.page_token, issuer, value) if request.page_token else None
    return Listing(issuer, value, before, request.page_size or DEFAULT_LISTED)


def next_page_token(listed: Listing, last: Revoked) -> str:
    """Return the token of the page that begins behind ``last``."""
    id_ = uuid.UUID(last.revocation.revocation_id).bytes
    raw = _TOKEN.pack(_fingerprint(listed.issuer, listed.value), last.revocation.revoked_us, id_)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def told(revoked: Revoked) -> revocations_pb2.Revocation:
    """Return the message of a revocation."""
    what = revoked.revocation
    return revocations_pb2.Revocation(
        revocation_id=what.revocation_id,
        kind=revocations_pb2.RevocationKind.ValueType(NUMBERS[what.kind]),
        issuer=what.issuer,
        value=what.value,
        issued_before_s=what.issued_before_s,
        reason=what.reason,
        until_us=what.until_us,
        revoked_us=what.revoked_us,
        by_issuer=revoked.by_issuer,
        by_subject=revoked.by_subject,
    )


def _told_by(given: revocations_pb2.Revocation, source: str, now_us: int, new_id: NewId) -> Revoked:
    if not given.by_issuer:
        raise BadQuestion("revocation.by_issuer: needed, the issuer that told it")
    what = _revocation(given, now_us, str(new_id()), until_us=given.until_us or now_us + HEARD_FOR_US)
    if what.kind not in _OF_ISSUERS:
        raise BadQuestion("revocation.kind: issuers tell of principals, tokens and sign-ins")
    return Revoked(what, _text(given.by_issuer, "revocation.by_issuer", MOST_NAME_CHARACTERS), source=source)


def _revocation(
    given: revocations_pb2.Revocation, now_us: int, revocation_id: str, *, until_us: int | None = None
) -> Revocation:
    kind = KINDS.get(given.kind)
    if kind is None:
        raise BadQuestion("revocation.kind: missing or unknown")
    if given.revocation_id or given.revoked_us or given.by_subject:
        raise BadQuestion("revocation: its id, its time and who revoked it are for the service to say")
    issued_before_s = given.issued_before_s if given.HasField("issued_before_s") else None
    _check_name(kind, given.issuer, given.value)
    _check_times(kind, issued_before_s, given.until_us, now_us)
    return Revocation(
        revocation_id=revocation_id,
        kind=kind,
        issuer=given.issuer,
        value=given.value,
        reason=reason(given.reason, "revocation.reason"),
        revoked_us=now_us,
        issued_before_s=issued_before_s,
        until_us=given.until_us if until_us is None else until_us,
    )


def _check_name(kind: RevocationKind, issuer: str, value: str) -> None:
    _text(issuer, "revocation.issuer", MOST_NAME_CHARACTERS)
    _text(value, "revocation.value", MOST_NAME_CHARACTERS)
    if kind is RevocationKind.SESSION:
        uuid_of(value, "revocation.value")
    if bool(issuer) == (kind is RevocationKind.SESSION):
        raise BadQuestion("revocation.issuer: needed, but for a session, which has none")
    if bool(value) == (kind is RevocationKind.ISSUER):
        raise BadQuestion("revocation.value: needed, but for all of an issuer")


def _check_times(kind: RevocationKind, issued_before_s: int | None, until_us: int, now_us: int) -> None:
    if issued_before_s is not None:
        if kind is RevocationKind.SESSION:
            raise BadQuestion("revocation.issued_before_s: not for a session, which has no time of issue")
        if not 0 < issued_before_s * 1_000_000 <= now_us + _DAY_US:
            raise BadQuestion("revocation.issued_before_s: seconds since the epoch, at most a day ahead")
    if until_us and not now_us < until_us <= _LATEST_US:
        raise BadQuestion("revocation.until_us: microseconds since the epoch, in the future")


def _text(text: str, field: str, most: int) -> str:
    if len(text) > most:
        raise BadQuestion(f"{field}: at most {most} characters")
    if "\0" in text:
        raise BadQuestion(f"{field}: holds a NUL")
    return text


def _fingerprint(issuer: str, value: str) -> bytes:
    return hashlib.sha256(json.dumps([issuer, value]).encode()).digest()[:8]


def _open_token(token: str, issuer: str, value: str) -> tuple[int, uuid.UUID]:
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        fingerprint, revoked_us, id_ = _TOKEN.unpack(raw)
    except (ValueError, binascii.Error, struct.error):
        raise BadQuestion("page_token: not one of ours; leave it empty to begin again") from None
    if fingerprint != _fingerprint(issuer, value) or revoked_us > _LATEST_US:
        raise BadQuestion("page_token: belongs to another question; leave it empty to begin again")
    return revoked_us, uuid.UUID(bytes=id_)
