"""Notifications in a Slack channel: one message for each approval, changed when the approval changes (Block Kit).

What is of a caller or target stands in ``plain_text`` and ``rich_text_preformatted`` only, in which Slack obeys
nothing. Buttons lead to our page: a click in Slack proves nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import httpx

from countersign.approver.notify.summary import Notice, Quote, Said
from countersign.approver.notify.telling import NotTold, Reply, Telling, check, post, shortened
from countersign.config.types import SlackChannel

HEADER_CHARACTERS: Final = 150
SECTION_CHARACTERS: Final = 3_000
QUOTE_CHARACTERS: Final = 2_800
ALARM: Final = "<!channel> Somebody broke the glass: a call ran, or may run, that nobody else agreed to."

# What of Slack's words is repeated in a problem; any other is not.
_ERRORS: Final = frozenset(
    {
        *("account_inactive", "cant_update_message", "channel_not_found", "edit_window_closed", "invalid_auth"),
        *("invalid_blocks", "is_archived", "message_not_found", "missing_scope", "msg_too_long", "not_authed"),
        *("not_in_channel", "ratelimited", "rate_limited", "restricted_action", "team_access_not_granted"),
        *("token_expired", "token_revoked", "no_permission", "ekm_access_denied", "fatal_error", "internal_error"),
    }
)
_NO_MESSAGE: Final = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})


class _Refused(NotTold):
    def __init__(self, error: str, wait_s: float) -> None:
        super().__init__(f"Slack refused it ({error})" if error else "Slack refused it", wait_s)
        self.error = error


async def tell(channel: SlackChannel, telling: Telling, client: httpx.AsyncClient) -> str:
    """Post it, or change what was posted of the same approval; return where it stands. Raises ``NotTold``.

    An alarm is always a new message as well: nobody is called by one that changes.
    """
    notice = telling.notice
    place = telling.memory.split(" ")
    changed = len(place) == 2 and await _change(channel, notice, place[0], place[1], client)
    if changed and not notice.alarm:
        return ""
    message = {"channel": channel.channel, "unfurl_links": False, "unfurl_media": False, **render(notice)}
    posted = await _call(channel, "chat.postMessage", message, client)
    where, when = posted.get("channel"), posted.get("ts")
    if changed or not (isinstance(where, str) and isinstance(when, str)) or " " in where + when:
        return ""
    return f"{where} {when}"[:200]


async def _change(channel: SlackChannel, notice: Notice, where: str, when: str, client: httpx.AsyncClient) -> bool:
    try:
        # Whom a change should call is called by the message of its own.
        message = render(notice, calls=False)
        await _call(channel, "chat.update", {"channel": where, "ts": when, **message}, client)
    except _Refused as refused:
        if refused.error in _NO_MESSAGE:
            return False
        raise
    return True


async def _call(
    channel: SlackChannel, method: str, message: Mapping[str, Any], client: httpx.AsyncClient
) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {channel.token.reveal()}"}
    body = json.dumps(message, ensure_ascii=False).encode()
    reply = await post(client, f"{channel.api.rstrip('/')}/{method}", headers, body)
    check(reply)
    said = _json(reply)
    if said.get("ok") is not True:
        error = said.get("error")
        raise _Refused(error if isinstance(error, str) and error in _ERRORS else "", reply.wait_s)
    return said


def _json(reply: Reply) -> dict[str, Any]:
    try:
        said = json.loads(reply.body)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise NotTold("it answered something else than Slack does")
    return said


def render(notice: Notice, *, calls: bool = True) -> dict[str, Any]:
    """Return the message: its blocks, and the text that stands for them in lists and on telephones.

    ``calls``: an alarm calls everybody in the channel.
    """
    blocks: list[dict[str, Any]] = [{"type": "header", "text": _plain(notice.title, HEADER_CHARACTERS)}]
    if notice.alarm and calls:
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": ALARM}})
    said: list[str] = [notice.title] if len(notice.title) > HEADER_CHARACTERS else []
    for part in shortened(notice, QUOTE_CHARACTERS).body:
        if isinstance(part, Said):
            said.append(part.text)
            continue
        blocks += _sections([*said, f"{part.label}:"])
        blocks.append(_preformatted(part))
        said = []
    blocks += _sections(said)
    if notice.asks and notice.link:
        blocks.append({"type": "actions", "elements": _buttons(notice.link)})
    where = f"{notice.link or notice.command}\n" if not (notice.asks and notice.link) else ""
    blocks.append({"type": "context", "elements": [_plain(f"{where}approval {notice.approval.id}", 2_000)]})
    # Here, alone, Slack looks for its own marks: with these three written out it finds none.
    text = notice.title.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {"text": text, "blocks": blocks, "parse": "none", "link_names": False}


def _sections(said: list[str]) -> list[dict[str, Any]]:
    # As few as hold them: a message has fifty blocks at most.
    sections: list[str] = []
    for text in said:
        if sections and len(sections[-1]) + 1 + len(text) <= SECTION_CHARACTERS:
            sections[-1] += f"\n{text}"
        else:
            sections.append(text)
    return [{"type": "section", "text": _plain(text, SECTION_CHARACTERS)} for text in sections]


def _preformatted(quote: Quote) -> dict[str, Any]:
    text = {"type": "text", "text": quote.text or "(empty)"}
    return {"type": "rich_text", "elements": [{"type": "rich_text_preformatted", "elements": [text]}]}


def _buttons(link: str) -> list[dict[str, Any]]:
    return [
        {
            "type": "button",
            "text": _plain(text, 75),
            "url": f"{link}{part}",
            "action_id": f"countersign_{name}",
            "style": style,
        }
        for text, part, name, style in (
            ("Approve …", "", "approve", "primary"),
            ("Deny …", "#deny", "deny", "danger"),
        )
    ]


def _plain(text: str, characters: int) -> dict[str, Any]:
    shown = text if len(text) <= characters else f"{text[: characters - 1]}…"
    return {"type": "plain_text", "text": shown, "emoji": False}
