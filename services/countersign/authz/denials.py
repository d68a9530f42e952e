"""What a caller is told of a request that goes no further: it is denied, comes too often, or cannot be judged now."""

from __future__ import annotations

from dataclasses import replace

from countersign.authz.deciding import Decided, Undecidable
from countersign.authz.envoy import Answer, Summary
from countersign.credentials import CredentialUnavailable
from countersign.identity import IdentityUnavailable
from countersign.mcp import Failure, Reply, Request, denied, denied_batch, failed
from countersign.runtime.recording import NotRecorded


def denial(request: Request, decided: Decided) -> Reply:
    """Answer a request that was decided not to be sent."""
    verdict = decided.verdict
    if decided.retry_after_s:
        reply = failed(Failure.RATE_LIMITED, verdict.message, request.id_json)
        return replace(reply, headers=(("retry-after", str(decided.retry_after_s)),))
    if decided.undecidable:
        return failed(Failure.UNAVAILABLE, f"the call was not sent: {verdict.message}", request.id_json)
    text = f"{verdict.message} (rule: {', '.join(verdict.rules)})" if verdict.rules else verdict.message
    if request.is_batch:
        return denied_batch(request.messages, text)
    return denied(request.messages[0], text)


def unavailable(error: IdentityUnavailable | NotRecorded | Undecidable | CredentialUnavailable) -> Answer:
    """Answer 503: a part that must have its say cannot."""
    text = "not recorded" if isinstance(error, NotRecorded) else "the caller cannot be identified now"
    if isinstance(error, Undecidable):
        text = str(error)
    if isinstance(error, CredentialUnavailable):
        # Why is in the record: it tells of systems that are not the caller's to know.
        text = "what its target is to be shown cannot be had"
    return Answer(
        failed(Failure.UNAVAILABLE, f"the gateway cannot take this call now ({text}); nothing was sent"), Summary()
    )
