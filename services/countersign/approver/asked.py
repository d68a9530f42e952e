"""What was asked of the approver, checked: every field has a bound."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import TypeVar
from uuid import UUID

from countersign.api.approvals.v1 import approval_pb2, approvals_pb2, broker_pb2
from countersign.approver.ports import ApprovalError
from countersign.model.approval import ApprovalState, Person
from countersign.model.principal import PrincipalKind
from countersign.runtime.approval_messages import STATES_BACK, person_of

DIGEST_BYTES = 32
NOTE_CHARACTERS = 1_000
NAME_CHARACTERS = 2_000
# What callers name may be long: a resource by its URI.
LONGEST_NAME_CHARACTERS = 200_000
PREFIX_CHARACTERS = 6
PAGE = 100
LARGEST_PAGE = 500
LONGEST_WAIT_MS = 300_000
# Far more than gateway.yaml can say; a summary as large as its request makes most of a question.
MOST_GROUPS = 2_000
MOST_DEMANDS = 200
MOST_PEOPLE = 100
QUESTION_BYTES = 16 * 1024 * 1024
LONGEST_US = 366 * 24 * 3_600 * 1_000_000
_OF_TOKENS = ("caller_token_id", "caller_signed_in", "caller_token_subject")
_KINDS = frozenset(kind.value for kind in PrincipalKind)
_ID_CHARACTERS = frozenset("0123456789abcdef-")
_ID_LENGTH = 36

_T = TypeVar("_T")


class BadQuestion(ApprovalError):
    """A field of a request is wrong; the message begins with the field's name."""


def question(request: broker_pb2.AskRequest) -> None:
    """Check what authz asks. Raises ``BadQuestion``."""
    if request.ByteSize() > QUESTION_BYTES:
        raise BadQuestion("request: too large")
    digest(request.digest)
    person(request.caller, "caller")
    if request.caller_kind not in _KINDS:
        raise BadQuestion("caller_kind: unknown")
    for one in _few(request.acts_for, MOST_PEOPLE, "acts_for"):
        person(one, "acts_for")
    _few(request.caller_groups, MOST_GROUPS, "caller_groups")
    uuid(request.session_id, "session_id")
    uuid(request.call_id, "call_id")
    for field in ("target", "method"):
        if not 0 < len(getattr(request, field)) <= NAME_CHARACTERS:
            raise BadQuestion(f"{field}: 1 to {NAME_CHARACTERS} characters")
    for field in ("name", "policy_version", "source_address", "traceparent", *_OF_TOKENS):
        text(getattr(request, field), LONGEST_NAME_CHARACTERS, field)
    _demands(request)
    if not 0 < request.within_us <= LONGEST_US or not 0 <= request.reuse_us <= LONGEST_US:
        raise BadQuestion("within_us, reuse_us: out of bounds")
    if not request.most_pending:
        raise BadQuestion("most_pending: at least 1")
    waiter(request.waiter)


def _demands(request: broker_pb2.AskRequest) -> None:
    if not request.requirements and not request.break_glass:
        raise BadQuestion("requirements: nobody could ever agree")
    for one in _few(request.requirements, MOST_DEMANDS, "requirements"):
        if not one.rule or not one.count or not one.groups:
            raise BadQuestion("requirements: each needs a rule, groups and a count of at least 1")
        _few(one.groups, MOST_GROUPS, "requirements")
    for glass in _few(request.break_glass, MOST_DEMANDS, "break_glass"):
        if not glass.rule or not 0 <= glass.reuse_us <= LONGEST_US or not 0 < glass.within_us <= LONGEST_US:
            raise BadQuestion("break_glass: each needs a rule, and times within bounds")


def waiter(given: broker_pb2.Waiter) -> None:
    """Check who waits. Raises ``BadQuestion``."""
    uuid(given.id, "waiter.id")
    uuid(given.session_id, "waiter.session_id")
    text(given.rpc_id, NAME_CHARACTERS, "waiter.rpc_id")
    if given.until_us <= 0:
        raise BadQuestion("waiter.until_us: not a time")


def digest(given: bytes) -> bytes:
    """Check a digest. Raises ``BadQuestion``."""
    if len(given) != DIGEST_BYTES:
        raise BadQuestion(f"digest: {DIGEST_BYTES} bytes")
    return given


def uuid(given: str, field: str) -> str:
    """Check an id. Raises ``BadQuestion``."""
    try:
        written = str(UUID(given))
    except ValueError:
        written = ""
    if not given or written != given:
        raise BadQuestion(f"{field}: not a UUID")
    return given


def prefix(given: str) -> str:
    """Check an id or the beginning of one. Raises ``BadQuestion``."""
    if not PREFIX_CHARACTERS <= len(given) <= _ID_LENGTH or not _ID_CHARACTERS.issuperset(given):
        raise BadQuestion(f"approval_id: a UUID, or its first {PREFIX_CHARACTERS} characters or more")
    return given


def person(given: approval_pb2.Person, field: str) -> Person:
    """Read somebody. Raises ``BadQuestion``."""
    if not (0 < len(given.issuer) <= NAME_CHARACTERS and 0 < len(given.subject) <= NAME_CHARACTERS):
        raise BadQuestion(f"{field}: needs an issuer and a subject of at most {NAME_CHARACTERS} characters")
    return person_of(given)


def text(given: str, most: int, field: str) -> str:
    """Check a text's length. Raises ``BadQuestion``."""
    if len(given) > most:
        raise BadQuestion(f"{field}: at most {most:,} characters")
    return given


def page_size(given: int) -> int:
    """Return how many to show. Raises ``BadQuestion``."""
    if given > LARGEST_PAGE:
        raise BadQuestion(f"page_size: at most {LARGEST_PAGE}")
    return given or PAGE


def states(request: approvals_pb2.ListApprovalsRequest) -> tuple[ApprovalState, ...]:
    """Return the states that are asked for. Raises ``BadQuestion``."""
    wanted = frozenset(request.states)
    if not wanted <= STATES_BACK.keys():
        raise BadQuestion("states: unknown")
    if not wanted:
        return (ApprovalState.PENDING, ApprovalState.APPROVED)
    return tuple(state for number, state in STATES_BACK.items() if number in wanted)


def page_token(at_us: int, last_id: str) -> str:
    """Return the token of the page that begins after this one, in any list that is sorted by time and id."""
    return base64.urlsafe_b64encode(json.dumps([at_us, last_id]).encode()).decode().rstrip("=")


def after(token: str) -> tuple[int, str] | None:
    """Read a page token; ``None`` for none. Raises ``BadQuestion``."""
    if not token:
        return None
    try:
        at_us, last_id = json.loads(base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        at_us = last_id = None
    if type(at_us) is not int or not isinstance(last_id, str) or not 0 <= at_us < 2**63 or len(last_id) > 100:
        raise BadQuestion("page_token: not one of ours; leave it empty to begin again")
    return at_us, last_id


def _few(given: Sequence[_T], most: int, field: str) -> Sequence[_T]:
    if len(given) > most:
        raise BadQuestion(f"{field}: too many")
    return given
