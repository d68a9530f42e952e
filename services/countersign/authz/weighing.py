"""What becomes of a request's calls, and what their target is to get: rules, masks on the way, values of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from countersign.authz.deciding import Decided, Decider, Undecidable, together
from countersign.authz.outgoing import Outgoing, examine
from countersign.authz.pairing import paired_all
from countersign.authz.records import CallRecord
from countersign.authz.values import with_both, with_values
from countersign.config import RequestMasks, Target
from countersign.model.call import Call
from countersign.model.decision import Decision
from countersign.model.handoff import HandedColumns
from countersign.model.situation import Situation
from countersign.runtime.aside import Aside
from countersign.runtime.rulebook import InForce
from countersign.runtime.token_keys import TokenOwner
from countersign.runtime.tokens import NotPutBack, Vault


@dataclass(frozen=True, slots=True)
class Weighed:
    """``calls`` as their target gets them, and what becomes of them. ``said`` was decided of them as they were sent."""

    calls: Sequence[Call]
    said: Decision
    decided: Decided
    outgoing: Outgoing


class Weigher:
    """Weighs requests; large ones ``aside``."""

    def __init__(self, decider: Decider, vault: Vault, aside: Aside) -> None:
        self._decider = decider
        self._vault = vault
        self._aside = aside

    async def weigh(
        self,
        in_force: InForce,
        target: Target,
        record: CallRecord,
        calls: Sequence[Call],
        sent: Outgoing,
        now_us: int,
        approved: Decision | None = None,
    ) -> Weighed:
        """Decide about calls whose body, as they were sent, is that of ``sent``.

        ``approved`` is what was decided of the one call as it was sent, when people agreed to it since: decided the
        same again, it is counted as passing, though its outcome still is that it wants approval.
        Raises ``Undecidable``, ``NotMaskable``.
        """
        inquiry, principal, body = record.inquiry, record.principal, sent.body
        situation = Situation(now_us, inquiry.source_address)
        decided = await self._decider.decide(
            in_force, target, principal, calls, situation, len(body), approved=approved
        )
        if approved is not None and decided.verdict.allowed:
            decided = Decided((approved,), approved)
        said = decided.verdict
        if not decided.refused and body and target.mask_request != RequestMasks():
            examined = await self._aside.run(len(body), lambda: examine(target.mask_request, in_force.masks, body))
            sent = replace(examined, state=sent.state, bare=sent.bare)
            decided = _unless_refused(decided, sent)
        changes = sent.changed or decided.unmask
        if not decided.refused and changes and not inquiry.changes_requests:
            raise Undecidable("what this target is sent is not masked yet")
        if decided.refused or not decided.unmask:
            return Weighed(calls, said, decided, sent)
        return await self._with_values(in_force, target, record, Weighed(calls, said, decided, sent), situation)

    async def columns(
        self, in_force: InForce, target: Target, calls: Sequence[Call], outgoing: Outgoing
    ) -> list[HandedColumns | None]:
        """Return what the answer to each call holds of masked columns, as far as its statement tells."""

        def pair() -> list[HandedColumns | None]:
            return paired_all(target, in_force.config.masks, calls, as_sent=not outgoing.masked)

        return await self._aside.run(len(outgoing.body), pair)

    async def _with_values(
        self, in_force: InForce, target: Target, record: CallRecord, weighed: Weighed, situation: Situation
    ) -> Weighed:
        """Return the calls with values for their tokens, what becomes of them, and what the target gets."""
        principal, depth = record.principal, in_force.config.limits.json_depth
        calls, decided, outgoing = weighed.calls, weighed.decided, weighed.outgoing
        owner = TokenOwner(record.session_id, principal.issuer, principal.subject, target.name)
        try:
            found = await self._vault.put_back(owner, outgoing.body, max_depth=depth)
        except NotPutBack as error:
            return replace(weighed, decided=decided.without(str(error)))
        if not found.tokens:
            decisions = tuple(replace(each, unmask=False) for each in decided.decisions)
            return replace(weighed, decided=together(decisions))
        size_bytes = len(found.text)
        meant = await self._aside.run(size_bytes, lambda: with_values(calls, found.text, max_depth=depth))
        again = await self._decider.decide_again(in_force, target, principal, meant, situation, size_bytes)
        both = together(with_both(decided.decisions, again))
        if not both.unmask:
            return replace(weighed, decided=both)
        sent = replace(outgoing, body=found.text.encode(), put_back=True)
        return replace(weighed, calls=meant, decided=both, outgoing=sent)


def _unless_refused(decided: Decided, outgoing: Outgoing) -> Decided:
    """Deny all messages of a request in which something was found that its target must not get."""
    if not outgoing.refusal:
        return decided
    decisions = tuple(map(outgoing.denial, decided.decisions))
    return Decided(decisions, decisions[0])
