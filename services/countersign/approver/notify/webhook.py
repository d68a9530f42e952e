"""Notifications by POST, signed as Standard Webhooks says (https://www.standardwebhooks.com)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import httpx
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

from countersign.approver.notify.summary import Notice, Quote
from countersign.approver.notify.telling import NotTold, Telling, check, fitting, post
from countersign.approver.notify.wording import instant, line, words
from countersign.config.types import WebhookChannel
from countersign.model.approval import Approval, Person

BODY_BYTES = 64 * 1024
_NOTE_CHARACTERS = 1000
_TEXT_CHARACTERS = 200
_MOST = 20


async def tell(channel: WebhookChannel, telling: Telling, client: httpx.AsyncClient) -> str:
    """Send it; nothing has to be remembered. Raises ``NotTold``."""
    body = fitting(telling.notice, render, BODY_BYTES)
    when = datetime.fromtimestamp(telling.now_us // 1_000_000, UTC)
    try:
        signature = Webhook(channel.secret.reveal()).sign(msg_id=telling.id, timestamp=when, data=body.decode())
    except (ValueError, EmptyWebhookSecretError):
        raise NotTold("its secret is not whsec_ and base64") from None
    headers = {
        "webhook-id": telling.id,
        "webhook-timestamp": str(int(when.timestamp())),
        "webhook-signature": signature,
        "user-agent": "countersign",
    }
    check(await post(client, channel.url, headers, body))
    return ""


def render(notice: Notice) -> bytes:
    """Return the body; docs/approvals-notifications.md states its fields."""
    approval = notice.approval
    data = {
        "title": notice.title,
        "standing": notice.standing,
        "alarm": notice.alarm,
        "version": notice.news.version,
        "approval": _approval(approval),
        "requirements": _requirements(approval),
        "decisions": _decisions(approval),
        "why": words(approval.summary.why, _NOTE_CHARACTERS),
        "tool": words(approval.summary.tool, _NOTE_CHARACTERS),
        "texts": [{"label": one.label, "text": one.text} for one in notice.body if isinstance(one, Quote)],
        "statements": _statements(approval),
        "link": notice.link or None,
        "command": notice.command,
    }
    event = {"type": f"approval.{notice.news.what}", "timestamp": instant(notice.news.at_us), "data": data}
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()


def _approval(approval: Approval) -> dict[str, Any]:
    return {
        "id": approval.id,
        "state": approval.state.value,
        "version": approval.version,
        "asked_by": {**_person(approval.asked_by), "kind": _text(approval.asked_by_kind)},
        "acts_for": [_person(one) for one in approval.acts_for[:_MOST]],
        "session_id": _text(approval.session_id),
        "target": _text(approval.target),
        "method": _text(approval.method),
        "name": _text(approval.name),
        "policy_version": _text(approval.policy_version),
        "asked_at": instant(approval.asked_at_us),
        "expires_at": instant(approval.expires_at_us),
        "decided_at": instant(approval.decided_at_us) or None,
        "grant_until": instant(approval.grant_until_us) or None,
        "reuse_s": approval.reuse_us // 1_000_000,
        "uses": approval.uses,
        "reason": words(approval.reason, _NOTE_CHARACTERS),
    }


def _requirements(approval: Approval) -> list[dict[str, Any]]:
    lacking = {requirement.rule: count for requirement, count in approval.lacking()}
    return [
        {
            "rule": _text(one.rule),
            "groups": [_text(group) for group in one.groups[:_MOST]],
            "count": one.count,
            "lacking": lacking.get(one.rule, 0),
            "note_required": one.note_required,
            "window": _text(one.window) or None,
        }
        for one in approval.requirements[:_MOST]
    ]


def _decisions(approval: Approval) -> list[dict[str, Any]]:
    return [
        {
            "by": _person(one.by),
            "agrees": one.agrees,
            "note": words(one.note, _NOTE_CHARACTERS),
            "at": instant(one.at_us),
            "rules": [_text(rule) for rule in one.rules[:_MOST]],
            "glass": _text(one.glass) or None,
        }
        for one in approval.decisions[:_MOST]
    ]


def _statements(approval: Approval) -> list[dict[str, Any]]:
    return [
        {
            "argument": _text(one.argument),
            "dialect": _text(one.dialect),
            "classes": [_text(name) for name in one.classes[:_MOST]],
            "relations": [_text(name) for name in one.relations[:_MOST]],
            "bound": _text(one.bound) or None,
        }
        for one in approval.summary.statements[:_MOST]
    ]


def _person(person: Person) -> dict[str, str]:
    return {"issuer": _text(person.issuer), "subject": _text(person.subject)}


def _text(text: str) -> str:
    return line(text, _TEXT_CHARACTERS)
