"""A question to humans about one exact call, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class ApprovalState(StrEnum):
    """How an approval stands; see ``ApprovalState`` in approval.proto for the exact promises."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    ABANDONED = "abandoned"
    CANCELLED = "cancelled"
    CONSUMED = "consumed"

    @property
    def is_open(self) -> bool:
        """Whether anything may still become of it."""
        return self in (ApprovalState.PENDING, ApprovalState.APPROVED)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody, as an issuer names them."""

    issuer: str
    subject: str


@dataclass(frozen=True, slots=True)
class Requirement:
    """What one rule demands: ``count`` different members of any of ``groups`` agree, within ``window`` if it has one.

    ``window`` is the text of :class:`countersign.model.opening.OpeningHours`; empty means always.
    """

    rule: str
    groups: tuple[str, ...]
    count: int = 1
    note_required: bool = False
    window: str = ""


@dataclass(frozen=True, slots=True)
class BreakGlass:
    """A rule by which the caller may agree to their own call, with a reason; ``alert`` names channels."""

    rule: str
    alert: tuple[str, ...] = ()
    reuse_us: int = 0
    within_us: int = 0


@dataclass(frozen=True, slots=True)
class ShownToken:
    """By which token somebody decided, as far as it matters to revocations: see ``Principal``. Never the token."""

    token_id: str
    issued_s: int = 0
    signed_in: str = ""
    token_subject: str = ""


@dataclass(frozen=True, slots=True)
class PersonDecision:
    """What one person said, when (microseconds since the epoch), and for which rules' demands it counts.

    ``glass`` is the rule by which the caller broke the glass; empty for a decision of somebody else. ``token`` is known
    to the approver's store alone, which tells nobody, and is no part of what was said; ``None`` elsewhere, and of what
    was decided before it was kept.
    """

    by: Person
    agrees: bool
    note: str
    at_us: int
    rules: tuple[str, ...] = ()
    glass: str = ""
    token: ShownToken | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class StatementSummary:
    """A statement in the arguments, laid out for reading and masked, and what the gateway understands of it.

    ``bound`` is how many rows it can touch ("at most 100 rows", "no bound"); empty when that is not known.
    """

    argument: str
    dialect: str
    text: str
    classes: tuple[str, ...] = ()
    relations: tuple[str, ...] = ()
    bound: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalSummary:
    """What an approver must know of a call, masked: its arguments as indented JSON, and why somebody is asked.

    ``tool`` is what the tool does, in the words that were accepted of its target; empty when there are none.
    """

    arguments: str
    why: str
    statements: tuple[StatementSummary, ...] = ()
    tool: str = ""


@dataclass(frozen=True, slots=True)
class Approval:
    """See ``Approval`` in approval.proto: same fields, same units (microseconds; 0 where it has not come to that)."""

    id: str
    state: ApprovalState
    version: int
    digest: bytes
    asked_by: Person
    asked_by_kind: str
    acts_for: tuple[Person, ...]
    session_id: str
    target: str
    method: str
    name: str
    policy_version: str
    summary: ApprovalSummary
    requirements: tuple[Requirement, ...]
    break_glass: tuple[BreakGlass, ...]
    decisions: tuple[PersonDecision, ...]
    asked_at_us: int
    expires_at_us: int
    decided_at_us: int = 0
    grant_until_us: int = 0
    reuse_us: int = 0
    uses: int = 0
    used_by: str = ""
    reason: str = ""

    def lacking(self) -> tuple[tuple[Requirement, int], ...]:
        """Return the demands that are not met yet, and how many more people each needs."""
        found = []
        for requirement in self.requirements:
            agreeing = {one.by for one in self.decisions if one.agrees and requirement.rule in one.rules}
            if len(agreeing) < requirement.count:
                found.append((requirement, requirement.count - len(agreeing)))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Waiter:
    """One HTTP request that waits, until when (microseconds) at most; ``rpc_id`` is its JSON-RPC id as JSON text."""

    id: str
    session_id: str
    rpc_id: str
    until_us: int


@dataclass(frozen=True, slots=True)
class Question:
    """What authz asks: about which call of whom, and what must happen before it may run; see ``AskRequest``."""

    digest: bytes
    caller: Person
    caller_kind: str
    caller_token_id: str
    caller_groups: tuple[str, ...]
    acts_for: tuple[Person, ...]
    session_id: str
    call_id: str
    target: str
    method: str
    name: str
    policy_version: str
    summary: ApprovalSummary
    requirements: tuple[Requirement, ...]
    break_glass: tuple[BreakGlass, ...]
    within_us: int
    reuse_us: int
    most_pending: int
    waiter: Waiter
    source_address: str = ""
    traceparent: str = ""
    caller_issued_s: int = 0
    caller_signed_in: str = ""
    caller_token_subject: str = ""
