"""What the rules say of a call."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How a call was judged. ``refused`` means that it never came to a judgement (unreadable, or nobody's).

    ``approve`` means that it may pass once humans agree to it.
    """

    ALLOW = "allow"
    DENY = "deny"
    APPROVE = "approve"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome, the names of the rules that made it, the names of the masks to apply, and why.

    ``reason`` is for the record; ``message`` is what the caller may read (a rule's own message, or a general one).
    ``shadow`` is what rules on trial would have decided, if there are any: recorded, never enforced, with no shadow.
    ``unmask`` says that the tool may get the real values of this session's tokens. With ``APPROVE``, ``rules`` are the
    approve rules that must all be satisfied (none, when only breaking the glass can let the call pass), and ``glass``
    the break_glass rules by which its caller may.
    """

    outcome: Outcome
    rules: tuple[str, ...]
    masks: tuple[str, ...]
    reason: str
    message: str
    policy_version: str
    shadow: Decision | None = None
    unmask: bool = False
    glass: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether the call may be forwarded."""
        return self.outcome is Outcome.ALLOW
