"""Who hears of what; and what Slack did not sign is not Slack's."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import replace

import pytest

from countersign.approver.notify.channels import addressed
from countersign.approver.notify.slack_signature import signed_by_slack
from countersign.config.types import (
    Approvals,
    Channel,
    EmailChannel,
    Secret,
    SlackChannel,
    TeamsChannel,
    WebhookChannel,
)
from countersign.model.approval import ApprovalState, BreakGlass
from tests.unit.approver.notify.samples import agreed, approval

NOTHING = Secret("")
CONFIG = Approvals(
    channels=(
        Channel("hook", WebhookChannel("https://hook.example", NOTHING)),
        Channel("slack", SlackChannel("C1", NOTHING, NOTHING), ("dbas", "x")),
        Channel("teams", TeamsChannel(NOTHING), ("x",)),
        Channel("mail", EmailChannel("mail.example", 25, "none", "a@b.example", ("c@d.example",))),
    )
)
HEARD = {
    "asked": ("hook", "slack", "mail"),
    "agreed": ("hook", "slack"),
    "approved": ("hook", "slack", "mail"),
    "denied": ("hook", "slack", "mail"),
    "expired": ("hook", "slack", "mail"),
    "abandoned": ("hook", "slack", "mail"),
    "cancelled": ("hook", "slack", "mail"),
    "consumed": ("hook", "slack"),
    "joined": (),
    "decision_refused": (),
}


@pytest.mark.parametrize("what", HEARD)
def test_channels_hear_of_what_asks_their_groups_and_mailboxes_not_of_every_step(what: str) -> None:
    assert addressed(CONFIG, approval(), what) == HEARD[what]


def test_a_broken_glass_reaches_whom_its_rule_names_and_only_of_the_rule_that_was_used() -> None:
    glass = (BreakGlass("on call", ("teams", "gone")), BreakGlass("other", ("elsewhere",)))
    broken = approval(state=ApprovalState.APPROVED, glass=glass, decisions=(agreed("ann", glass="on call"),))
    assert addressed(CONFIG, broken, "glass_broken") == ("hook", "slack", "teams", "mail", "gone")
    assert addressed(CONFIG, replace(broken, decisions=(agreed("carol"),)), "approved") == ("hook", "slack", "mail")


def test_only_what_slack_signed_lately_is_slacks() -> None:
    key, now_s, body = secrets.token_hex(16), 1_774_000_800.0, b'payload={"type":"block_actions"}'

    def signature(at: str, content: bytes = body) -> str:
        return "v0=" + hmac.new(key.encode(), f"v0:{at}:".encode() + content, hashlib.sha256).hexdigest()

    at = str(int(now_s))
    keys = [Secret(secrets.token_hex(16)), Secret(key)]

    def is_slacks(timestamp: str, signed: str, content: bytes = body) -> bool:
        return signed_by_slack(keys, timestamp=timestamp, signature=signed, body=content, now_s=now_s)

    assert is_slacks(at, signature(at))
    old, late = str(int(now_s) - 301), str(int(now_s) + 301)
    assert not any(
        (
            is_slacks(at, signature(at), body + b"x"),
            is_slacks(at, ""),
            is_slacks("", signature("")),
            is_slacks(old, signature(old)),
            is_slacks(late, signature(late)),
            is_slacks("not a number", signature("not a number")),
            is_slacks("9" * 400, signature("9" * 400)),
            is_slacks("\u0661", signature("\u0661")),
            is_slacks(at, "v0=\u00e9"),
            is_slacks(at, signature(at, b"\xff"), b"\xff"),
            signed_by_slack(keys[:1], timestamp=at, signature=signature(at), body=body, now_s=now_s),
            signed_by_slack([], timestamp=at, signature=signature(at), body=body, now_s=now_s),
        )
    )
