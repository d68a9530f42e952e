"""Notifications by a Microsoft Teams workflow, as adaptive cards: one when somebody asks, another when it is decided.

What is of a caller or target stands in text runs, in which Teams reads no Markdown. A card cannot be changed later.
"""

from __future__ import annotations

import json
from typing import Any, Final

import httpx

from countersign.approver.notify.summary import Notice, Quote
from countersign.approver.notify.telling import Telling, check, fitting, post
from countersign.config.types import TeamsChannel

CARD_BYTES: Final = 24 * 1024
"""Teams takes about 28 KB, and measures something else than we send."""
LINES: Final = 40


async def tell(channel: TeamsChannel, telling: Telling, client: httpx.AsyncClient) -> str:
    """Send it; nothing has to be remembered. Raises ``NotTold``.

    That the workflow took it (202) is all that is ever known: whether it then posts the card, it does not tell.
    """
    check(await post(client, channel.url.reveal(), {}, fitting(telling.notice, render, CARD_BYTES)))
    return ""


def render(notice: Notice) -> bytes:
    """Return the message that holds the card."""
    title = _text(notice.title, size="Large", weight="Bolder", color="Attention" if notice.alarm else "Default")
    body: list[dict[str, Any]] = [title]
    for part in notice.body:
        if isinstance(part, Quote):
            body.append(_text(part.label, weight="Bolder"))
            body.append({"type": "Container", "style": "emphasis", "items": _lines(part.text)})
        else:
            body.append(_text(part.text))
    if not notice.link:
        body.append(_text(notice.command, fontType="Monospace"))
    body.append(_text(f"approval {notice.approval.id}", isSubtle=True, size="Small"))
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.5",
        "msteams": {"width": "Full"},
        "body": body,
        "actions": [_open(notice)] if notice.link else [],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return json.dumps({"type": "message", "attachments": [attachment]}, ensure_ascii=False).encode()


def _open(notice: Notice) -> dict[str, Any]:
    return {"type": "Action.OpenUrl", "title": "Approve or deny …" if notice.asks else "Show", "url": notice.link}


def _lines(text: str) -> list[dict[str, Any]]:
    every = text.split("\n")
    # Runs of spaces would be drawn as one.
    shown = [_text(line.replace("  ", "\u00a0\u00a0"), fontType="Monospace") for line in every[:LINES]]
    if len(every) > LINES:
        shown.append(_text(f"… ({len(every) - LINES:,} more lines, open to see)"))
    return shown


def _text(text: str, **style: object) -> dict[str, Any]:
    # The functions of times are read in every text of a card.
    plain = text.replace("{{", "{ {") or "\u00a0"
    return {"type": "RichTextBlock", "spacing": "Small", "inlines": [{"type": "TextRun", "text": plain, **style}]}
