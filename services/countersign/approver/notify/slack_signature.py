"""Whether a request comes from Slack."""

from __future__ import annotations

from collections.abc import Iterable

from slack_sdk.signature import Clock, SignatureVerifier

from countersign.config.types import Secret


class _At(Clock):
    def __init__(self, now_s: float) -> None:
        self._now_s = now_s

    def now(self) -> float:
        return self._now_s


def signed_by_slack(secrets: Iterable[Secret], *, timestamp: str, signature: str, body: bytes, now_s: float) -> bool:
    """Whether Slack signed ``body`` with any of ``secrets`` (of its apps' signing secrets), in the last five minutes.

    ``timestamp`` and ``signature`` are the headers ``X-Slack-Request-Timestamp`` and ``X-Slack-Signature``, empty when
    they are missing; see https://docs.slack.dev/authentication/verifying-requests-from-slack/. Bound ``body`` before.
    """
    # The library raises for what is no number, and for bytes that are no text.
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12 and signature.isascii()):
        return False
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return any(
        SignatureVerifier(secret.reveal(), _At(now_s)).is_valid(body, timestamp, signature) for secret in secrets
    )
