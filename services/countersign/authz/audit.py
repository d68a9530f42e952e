"""The way of a call to the gateway's own services: authz says who calls, they decide and record what that one may."""

from __future__ import annotations

from collections.abc import Callable

from countersign.authz.denials import unavailable
from countersign.authz.envoy import Answer, Forward, Inquiry, Summary
from countersign.authz.judge import Judge
from countersign.identity import IdentityUnavailable, TokenVerifier, Unidentified
from countersign.mcp import Failure, failed
from countersign.model.decision import Outcome
from countersign.model.door import PRINCIPAL_HEADER
from countersign.runtime.rulebook import Rulebook
from countersign.runtime.sealing import Sealer

# There the recorder or the approver itself decides, and has recorded what it decided.
_RECORDED_PATHS = (
    "/countersign.api.recorder.v1.SessionService/",
    "/countersign.api.recorder.v1.SearchService/",
    "/countersign.api.recorder.v1.LogService/",
    "/countersign.api.recorder.v1.KeepingService/",
    "/countersign.api.recorder.v1.ReviewService/",
    "/countersign.api.access.v1.ToolReviewService/",
    "/countersign.api.access.v1.RevocationService/",
    "/countersign.api.approvals.v1.ApprovalService/",
)


class AuditDoor:
    """Vouches to the recorder and the approver for callers with a token for the gateway itself."""

    def __init__(
        self, rulebook: Rulebook, verifier: TokenVerifier, sealer: Sealer, judge: Judge, now_us: Callable[[], int]
    ) -> None:
        self._rulebook = rulebook
        self._verifier = verifier
        self._sealer = sealer
        self._judge = judge
        self._now_us = now_us

    async def admit(self, inquiry: Inquiry) -> Forward | Answer:
        """Identify the caller, and pass the request with a sealed principal in place of the token.

        Whatever is no service of ``_RECORDED_PATHS`` (reflection) is for auditors only.
        """
        in_force = self._rulebook.current
        arrived_us = self._now_us()
        try:
            principal = await self._verifier.verify(inquiry.authorization, in_force.config.url)
        except Unidentified as error:
            return await self._judge.unidentified(inquiry, arrived_us, error, in_force, resource_path="")
        except IdentityUnavailable as error:
            return unavailable(error)
        if not inquiry.path.startswith(_RECORDED_PATHS) and not set(principal.groups) & set(in_force.config.auditors):
            return Answer(failed(Failure.FORBIDDEN, "not an auditor"), Summary(decision=Outcome.REFUSED.value))
        headers = {PRINCIPAL_HEADER: self._sealer.seal_principal(principal)}
        return Forward(headers, ("authorization",), Summary(decision="allow"))
