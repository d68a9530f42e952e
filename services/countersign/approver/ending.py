"""Ends the approvals of those who are revoked: what they asked for, and what they agreed to.

Of revoked tokens and sign-ins, too: whoever stole a browser's session has agreed to nothing once that is known.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from countersign.approver.finishing import finished
from countersign.approver.following import Following
from countersign.approver.outbox import Outbox
from countersign.approver.ports import ApprovalStore
from countersign.model.approval import Approval, Person, PersonDecision, Question, ShownToken
from countersign.model.principal import Principal, PrincipalKind
from countersign.model.revocation import RevocationKind
from countersign.runtime.postgres import DatabaseUnavailable
from countersign.runtime.revocations import NotKnown, Revocations

log = logging.getLogger(__name__)

AGAIN_S = 0.2
AFTER_S = 0.25
"""By then authz has answered the calls that it holds for the revoked: they hear that, and not what became of it."""

# Who decides is asked for by then: a decision that is later was not taken by whom the revocation means.
_SPREAD_US = 5_000_000
_S = 1_000_000
_OF_TOKENS = frozenset({RevocationKind.TOKEN, RevocationKind.SIGN_IN})


class Ender:
    """Looks at all that is open whenever something was revoked. Nothing of it is granted before: see ``why``."""

    def __init__(
        self,
        store: ApprovalStore,
        outbox: Outbox,
        following: Following,
        revocations: Revocations,
        clock_us: Callable[[], int],
        *,
        again_s: float = AGAIN_S,
        after_s: float = AFTER_S,
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._following = following
        self._revocations = revocations
        self._clock_us = clock_us
        self._again_s = again_s
        self._after_s = after_s
        self._changed = asyncio.Event()
        self._turn = asyncio.Lock()
        # What was revoked while nobody looked is found at the first look.
        self._look_again()
        revocations.on_change(self._look_again)

    def must_know(self) -> None:
        """Return when it is known what is revoked. Raises ``NotKnown``."""
        if not self._revocations.fresh:
            raise NotKnown

    async def settled(self) -> None:
        """Return once all is ended that what is known by now ends. Raises ``NotKnown``, ``DatabaseUnavailable``."""
        self.must_know()
        async with self._turn:
            if self._unsettled:
                await self._look()

    def why(self, question: Question, approval: Approval) -> str:
        """Return why it must end now by what is revoked; empty when it need not. Raises ``NotKnown``.

        For whoever grants: asked while nobody else can change the approval, it knows all who ever agreed to it.
        """
        self.must_know()
        return self._why(question, approval)

    def decided(self, by: Principal) -> None:
        """Hear that a decision was taken: by what was revoked meanwhile, it may stand where nobody looks any more."""
        if self._revocations.of_principal(by, self._clock_us()) is not None:
            self._look_again()

    def struck(self, question: Question) -> bool:
        """Whether whoever asks is revoked. Raises ``NotKnown``."""
        self.must_know()
        return self._asker_struck(question)

    async def run(self) -> None:
        """End what is to be ended, until cancelled."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(self._after_s)
            self._changed.clear()
            try:
                await self.settled()
            except NotKnown:
                # It is told again once it is known.
                continue
            except DatabaseUnavailable as error:
                log.warning("the approvals of the revoked cannot be ended now: %s", error)
                await asyncio.sleep(self._again_s)
                self._changed.set()

    async def _look(self) -> None:
        self._unsettled = False
        try:
            ended = await finished(self._store.end(self._why, self._clock_us()))
        except BaseException:
            self._unsettled = True
            raise
        for approval in ended:
            self._following.hint(approval.id)
        if ended:
            self._outbox.soon()

    def _look_again(self) -> None:
        self._unsettled = True
        self._changed.set()

    def _why(self, question: Question, approval: Approval) -> str:
        if self._asker_struck(question):
            return "whoever asked for it was revoked"
        agreed = [one for one in approval.decisions if one.agrees]
        if any(self._decider_struck(one.by, one.at_us) for one in agreed):
            return "somebody who agreed to it was revoked"
        kinds = {self._struck_by(one) for one in agreed}
        if kinds & _OF_TOKENS:
            return "a token by which somebody agreed to it was revoked"
        return "somebody who agreed to it was revoked" if kinds - {None} else ""

    def _asker_struck(self, question: Question) -> bool:
        now_us = self._clock_us()
        if self._revocations.of_session(question.session_id, now_us) is not None:
            return True
        return self._revocations.of_principal(asker_of(question), now_us) is not None

    def _decider_struck(self, person: Person, at_us: int) -> bool:
        """Whether somebody decided before they were revoked, by whichever token: by any it was good then."""
        now_us = self._clock_us()
        # The newest: whoever decided after that one decided after all of them.
        found = self._revocations.of_principal(_decider(person, 0), now_us)
        if found is None or at_us <= found.revoked_us + _SPREAD_US:
            return found is not None
        return self._revocations.of_principal(_decider(person, at_us // _S), now_us) is not None

    def _struck_by(self, decision: PersonDecision) -> RevocationKind | None:
        """Return what kind of thing was revoked that refuses the very token of a decision, where that is known."""
        if decision.token is None:
            return None
        found = self._revocations.of_principal(_bearer(decision.by, decision.token), self._clock_us())
        return None if found is None else found.kind


def asker_of(question: Question) -> Principal:
    """Return who asked, as far as it matters to revocations."""
    return Principal(
        question.caller.issuer,
        question.caller.subject,
        question.caller_groups,
        PrincipalKind(question.caller_kind),
        question.caller_token_id,
        tuple(one.subject for one in question.acts_for),
        question.caller_issued_s,
        question.caller_signed_in,
        question.caller_token_subject,
    )


def _bearer(person: Person, token: ShownToken) -> Principal:
    return Principal(
        *(person.issuer, person.subject, (), PrincipalKind.PERSON, token.token_id),
        issued_s=token.issued_s,
        signed_in=token.signed_in,
        token_subject=token.token_subject,
    )


def _decider(person: Person, issued_s: int) -> Principal:
    return Principal(person.issuer, person.subject, (), PrincipalKind.PERSON, "", issued_s=issued_s)
