"""What the record says of past calls: as it is read to judge them again."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from countersign.jsontext import JsonRefused, parse
from countersign.model.call import Call, NameKind
from countersign.model.decision import Decision, Outcome
from countersign.model.event import Finding
from countersign.model.methods import NAMED_METHODS
from countersign.model.principal import Principal
from countersign.model.situation import Situation, Usage

# Where the params of a call hold its name: what was masked there was masked in the name, too.
_NAME_PLACES = frozenset({"$.name", "$.uri", "$.ref.name", "$.ref.uri", ""})
_REFERENCES = {"ref/prompt": NameKind.PROMPT, "ref/resource": NameKind.RESOURCE}
# How authz records what the rules did not decide (see countersign.policy.wording and countersign.authz, there deciding
# and approving).
_APPROVAL = (
    "needs approval by ",
    "waits for approval by ",
    "approved by ",
    "its caller may break the glass ",
    "its caller broke the glass ",
    "its approval is ",
    "approval for it is given only at ",
    "its caller waits for as many approvals ",
)
_BATCH = ("another message of the same batch was denied", "nobody can be asked about a call in a batch")
_RULES_SAY = ("no rule allows ", "its method, name or target is longer", "its name is not of the kind")


class Aside(StrEnum):
    """Why a recorded call cannot be compared with what a policy says of it."""

    UNREAD = "never judged: it could not be read"
    BATCH = "held back because another call of its batch was denied"
    NOT_BY_RULES = "denied by something else than the rules"
    NO_ARGUMENTS = "its arguments are not on record, and they have a say"


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A call with what was decided of it then. ``principal`` is who was verified then: it is nobody's now.

    ``call`` is the call as recorded: its name and params are masked where there are ``findings``. ``complete`` says
    whether the params are on record at all.
    """

    index: int
    event_id: str
    session_id: str
    call_id: str
    time_us: int
    source_address: str
    principal: Principal
    call: Call
    decision: Decision
    findings: tuple[Finding, ...]
    complete: bool

    @property
    def name_masked(self) -> bool:
        """Whether the name may be masked, so that no rule that names it finds it."""
        return any(finding.place in _NAME_PLACES for finding in self.findings)

    @property
    def aside(self) -> Aside | None:
        """Why what was decided then says nothing of the rules, if so."""
        decision = self.decision
        if decision.outcome is Outcome.REFUSED:
            return Aside.UNREAD
        if decision.outcome is not Outcome.DENY:
            return None
        if decision.reason.startswith(_BATCH):
            return Aside.BATCH
        by_rules = decision.rules or decision.reason.startswith((*_RULES_SAY, *_APPROVAL))
        return None if by_rules else Aside.NOT_BY_RULES

    @property
    def outcome(self) -> Outcome:
        """What the rules decided then: that it needed approval, whatever became of that."""
        if self.decision.reason.startswith(_APPROVAL):
            return Outcome.APPROVE
        return self.decision.outcome

    def situation(self, usage: Usage) -> Situation:
        """Return the situation in which it was made."""
        return Situation(self.time_us, self.source_address, usage)


@dataclass(frozen=True, slots=True)
class RecordedAnswer:
    """How much an answer held, and whose it was; ``rows`` and ``size_bytes`` as they count for usage."""

    index: int
    time_us: int
    issuer: str
    subject: str
    target: str
    rows: int
    size_bytes: int


def recorded_call(target: str, method: str, name: str, params: str) -> Call:
    """Return the call of a recorded event; its kind of name follows from its method."""
    kinds = NAMED_METHODS.get(method, frozenset({NameKind.NONE}))
    kind = next(iter(kinds)) if len(kinds) == 1 else _kind_of_reference(params)
    return Call(target, method, name, kind, params)


def _kind_of_reference(params: str) -> NameKind:
    """Return what a completion is asked for; what cannot be told is of no kind, and is denied by every policy."""
    try:
        root = parse(params).root
    except JsonRefused:
        return NameKind.NONE
    reference = root.get("ref") if isinstance(root, dict) else None
    type_ = reference.get("type") if isinstance(reference, dict) else None
    return _REFERENCES.get(type_, NameKind.NONE) if isinstance(type_, str) else NameKind.NONE
