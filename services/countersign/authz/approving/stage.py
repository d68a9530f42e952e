"""The stage between the decision on a call and its record: people agree to it first, or it is not sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace
from typing import Protocol

from countersign.authz.approving import telling, words
from countersign.authz.approving.desk import Claim, Desk, Stand
from countersign.authz.approving.digest import CallDigests, digests_of
from countersign.authz.approving.summary import name_of, summary_of
from countersign.authz.approving.telling import Telling
from countersign.authz.approving.terms import NoTerms, Terms, policy_of, terms_of
from countersign.authz.deciding import Decided, Undecidable
from countersign.authz.records import CallRecord
from countersign.authz.reopening import Reopened
from countersign.authz.values import with_values
from countersign.authz.weighing import Weighed
from countersign.config import Target
from countersign.mcp import (
    Era,
    Failure,
    Means,
    Message,
    MessageKind,
    Reply,
    denied,
    failed,
    prefers_async,
    read_means,
)
from countersign.model.approval import ApprovalState, ApprovalSummary
from countersign.model.call import Call, NameKind
from countersign.model.decision import Decision, Outcome
from countersign.runtime.approvals import ApproverAway, TooManyAsked, UnknownApproval
from countersign.runtime.aside import Aside
from countersign.runtime.pins import Pin
from countersign.runtime.rulebook import InForce
from countersign.runtime.sealing import Sealer, WaitState

_SECOND_US = 1_000_000
# What is done once a hold is over takes less, and must be said before Envoy gives up.
_TO_ANSWER_S = 5.0


class AcceptedTools(Protocol):
    """What targets' tools were accepted to be; see ``runtime.pins.PinnedTools``."""

    def pin(self, target: str, tool: str) -> Pin | None:
        """Return what is freshly known of a tool."""

    async def description(self, target: str, tool: str) -> str:
        """Return what an accepted tool says that it does, masked; empty when nothing is known of that."""


class StateAltered(ValueError):
    """The state that came back belongs to another call. The message is safe to show."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What becomes of a call that wants approval. ``reply`` is empty where the decision says what to answer."""

    weighed: Weighed
    reply: Reply | None = None
    approval_id: str = ""

    def masked_too(self, masks: Collection[str]) -> Settled:
        """Return it with these masks, besides its own, for the answer to a call that may pass."""
        weighed = self.weighed
        return replace(self, weighed=replace(weighed, decided=weighed.decided.masked_too(masks))) if masks else self


class ApprovalStage:
    """Settles calls. ``key`` is the deployment's; ``pin_of`` says what a target's tool is."""

    def __init__(
        self,
        desk: Desk,
        sealer: Sealer,
        key: bytes,
        tools: AcceptedTools,
        aside: Aside,
        now_us: Callable[[], int],
    ) -> None:
        self._desk = desk
        self._sealer = sealer
        self._key = key
        self._tools = tools
        self._aside = aside
        self._now_us = now_us

    async def settle(
        self,
        in_force: InForce,
        target: Target,
        opened: Reopened,
        weighed: Weighed,
        again: Callable[[], Awaitable[Weighed | None]],
    ) -> Settled:
        """Have people asked about the one call of a request, hold it, and say what becomes of it.

        ``again`` weighs the request anew, once people agreed; ``None`` when the rules are no longer those. Raises
        ``StateAltered``, ``Undecidable``, ``NotRecordable``, ``NotMaskable`` and what ``again`` raises, with nothing
        sent and no grant taken.
        """
        request, record, resumed = opened.handed, opened.record, opened.wait
        # What its caller could not read, people are not shown either.
        message, decision = request.messages[0], weighed.decided.verdict
        if message.kind is not MessageKind.REQUEST or message.call is None:
            return _not_sent(weighed, "nobody can be asked about what awaits no answer")
        if request.is_batch:
            return _not_sent(weighed, "nobody can be asked about a call in a batch: send it by itself")
        now_us = self._now_us()
        try:
            terms = terms_of(decision, in_force.config.rules_by_name, now_us)
        except NoTerms as error:
            return _not_sent(weighed, str(error))
        if terms.closed:
            return _not_sent(weighed, f"approval for it is given only at {terms.closed}")
        depth, size_bytes = in_force.config.limits.json_depth, len(record.inquiry.http.body)
        digests = await self._aside.run(size_bytes, lambda: self._digests(record, weighed, max_depth=depth))
        if resumed is not None and resumed.what != digests.what:
            raise StateAltered("the requestState belongs to another call than the one that it came with")
        means = await self._aside.run(size_bytes, lambda: read_means(message))
        claim = await self._claim(in_force, target, record, message, means, weighed, terms, digests, resumed)
        tells = self._telling(in_force, target, record, message, means, digests, resumed)
        latest = [weighed]

        async def still() -> bool:
            found = await again()
            if found is None:
                return False
            latest[0] = found
            if found.decided.verdict.outcome is not Outcome.APPROVE:
                return False
            return digests == await self._aside.run(size_bytes, lambda: self._digests(record, found, max_depth=depth))

        try:
            stand = await self._desk.settle(claim, still)
        except (ApproverAway, UnknownApproval) as error:
            # Also when it vanished while the call was held, as with a database that was restored.
            raise Undecidable(f"nobody can be asked to approve it: {error}") from None
        except TooManyAsked:
            return _too_many(weighed, message, in_force.config.approvals.pending_per_principal)
        return await self._settled(stand, latest[0], message, replace(tells, now_us=self._now_us()))

    async def _settled(self, stand: Stand, weighed: Weighed, message: Message, tells: Telling) -> Settled:
        approval = stand.approval
        decision = weighed.decided.verdict
        if stand.granted:
            passing = replace(decision, outcome=Outcome.ALLOW, reason=words.agreed(approval), message="", glass=())
            return Settled(_with(weighed, passing), approval_id=approval.id)
        if decision.outcome is Outcome.DENY:
            # What was decided anew, once people had agreed.
            return Settled(weighed, approval_id=approval.id)
        if approval.state is ApprovalState.PENDING:
            waiting = replace(decision, reason=f"waits for approval by {words.whom(approval)} (approval {approval.id})")
            told = telling.pending(tells, approval, self._sealer)
            await self._desk.expect_back(stand, told.back_by_us)
            return Settled(_with(weighed, waiting), told.reply, approval.id)
        if approval.state is ApprovalState.APPROVED:
            text = "the rules changed while the call waited for approval, or its tool did: call again to ask anew"
        else:
            text = words.over(approval)
        reason = f"its approval is {approval.state.value} (approval {approval.id})"
        over = replace(decision, outcome=Outcome.DENY, masks=(), reason=reason, message=text, unmask=False, glass=())
        return Settled(_with(weighed, over), denied(message, text), approval.id)

    def _digests(self, record: CallRecord, weighed: Weighed, *, max_depth: int) -> CallDigests:
        call = _as_sent(weighed, max_depth)
        pin = self._tools.pin(call.target, call.name) if call.name_kind is NameKind.TOOL else None
        # What it is now, which was accepted unless its target may list whatever is new.
        seen = b"" if pin is None else pin.seen
        policy = policy_of(weighed.decided.verdict)
        return digests_of(self._key, record.principal, call, call.params_json, seen, policy)

    async def _claim(
        self,
        in_force: InForce,
        target: Target,
        record: CallRecord,
        message: Message,
        means: Means,
        weighed: Weighed,
        terms: Terms,
        digests: CallDigests,
        resumed: WaitState | None,
    ) -> Claim:
        config, call, decision = in_force.config, weighed.calls[0], weighed.decided.verdict
        said = message.call.params_json if message.call is not None else ""
        masker = in_force.masks.for_records()
        is_tool = call.name_kind is NameKind.TOOL
        described = await self._tools.description(call.target, call.name) if is_tool else ""

        def summary() -> tuple[str, ApprovalSummary]:
            return name_of(call, masker), summary_of(
                call, said, decision, config.rules_by_name, masker, target, described
            )

        name, summarised = await self._aside.run(len(record.inquiry.http.body), summary)
        inquiry = record.inquiry
        modern = message.era is Era.MODERN
        # An Envoy whose files are older than this policy waits less: what it gave up would look like a hang-up.
        longer = means.has_progress and not modern
        asked_s = config.approvals.hold_with_progress_s if longer else config.approvals.hold_s
        hold_s = max(0.0, min(asked_s, inquiry.patience_s - _TO_ANSWER_S))
        hold_us = 0 if prefers_async(inquiry.http.headers) else int(hold_s * _SECOND_US)
        return Claim(
            principal=record.principal,
            call=call,
            name=name,
            session_id=record.session_id,
            call_id=record.call_id,
            rpc_id="" if modern else message.id_json,
            source_address=inquiry.source_address,
            traceparent=inquiry.traceparent,
            policy_version=config.version,
            terms=terms,
            digests=digests,
            summary=summarised,
            most_pending=config.approvals.pending_per_principal,
            held_until_us=record.arrived_us + hold_us,
            leaves=modern,
            resumed=resumed,
        )

    def _telling(
        self,
        in_force: InForce,
        target: Target,
        record: CallRecord,
        message: Message,
        means: Means,
        digests: CallDigests,
        resumed: WaitState | None,
    ) -> Telling:
        config = in_force.config
        return Telling(
            message=message,
            means=means,
            principal=record.principal,
            target=target.name,
            session_id=record.session_id,
            what=digests.what,
            digest=digests.digest,
            resumed=resumed,
            prefers_async=prefers_async(record.inquiry.http.headers),
            location=f"{target.resource}/approvals/",
            page=f"{config.url}/approvals/" if config.approvals.sign_in is not None else "",
            now_us=self._now_us(),
        )


def _as_sent(weighed: Weighed, max_depth: int) -> Call:
    """Return the call as its target gets it: what is approved is that, and not what it was made of."""
    call, outgoing = weighed.calls[0], weighed.outgoing
    if not outgoing.masked:
        return call
    return with_values((call,), outgoing.body.decode(), max_depth=max_depth)[0]


def _with(weighed: Weighed, decision: Decision) -> Weighed:
    return replace(weighed, decided=Decided((decision,), decision))


def _not_sent(weighed: Weighed, reason: str) -> Settled:
    decision = weighed.decided.verdict
    message = f"{decision.message} Nothing was sent: {reason}."
    return Settled(
        _with(
            weighed,
            replace(decision, outcome=Outcome.DENY, masks=(), reason=reason, message=message, unmask=False, glass=()),
        )
    )


def _too_many(weighed: Weighed, message: Message, most: int) -> Settled:
    text = f"{most} calls of yours wait for approval already, and no more may: wait, or cancel some"
    settled = _not_sent(weighed, "its caller waits for as many approvals as one may")
    reply = replace(failed(Failure.RATE_LIMITED, text, message.id_json), headers=(("retry-after", "30"),))
    return replace(settled, reply=reply)
