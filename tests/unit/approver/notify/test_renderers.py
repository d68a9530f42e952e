"""Whatever a caller or target writes, no receiver is called, led astray, styled or misled by it, nor flooded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from email import message_from_bytes, policy
from html.parser import HTMLParser
from typing import Any

import pytest

from countersign.approver.notify import mail, slack, teams, webhook
from countersign.approver.notify.summary import Notice
from countersign.approver.notify.telling import Telling, fitting
from countersign.config.types import EmailChannel
from countersign.model.approval import ApprovalState, BreakGlass
from countersign.model.visible import visible
from tests.support.listeners import check_blocks
from tests.unit.approver.notify.samples import HOSTILE, LINK, NOON, agreed, approval, notice

BOX = EmailChannel("mail.example", 25, "none", "Gateway <gw@gw.example>", ("a@b.example", "c@d.example"))
CASES: dict[str, Notice] = {
    "asked": notice(approval(HOSTILE, glass=(BreakGlass(HOSTILE),), decisions=(agreed("carol", HOSTILE),))),
    "no link": notice(approval(HOSTILE), link=""),
    "denied": notice(
        approval(HOSTILE, state=ApprovalState.DENIED, decisions=(agreed("carol", HOSTILE, agrees=False),)), "denied"
    ),
    "glass": notice(
        approval(HOSTILE, state=ApprovalState.APPROVED, decisions=(agreed("ann", HOSTILE, glass=HOSTILE),)),
        "glass_broken",
    ),
    "long": notice(approval(HOSTILE, size=200)),
    "wide": notice(approval("\U0001f600\\\"'<&" * 500, size=20)),
    "many lines": notice(approval("a\\\n" * 10_000)),
}
cases = pytest.mark.parametrize("case", CASES)


def texts(value: Any) -> Iterator[str]:
    """All strings in JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


def dicts(value: Any) -> Iterator[dict[str, Any]]:
    """All objects in JSON."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from dicts(inner)


def is_visible(text: str) -> bool:
    return visible(text, keep="\n") == text


@cases
def test_slack_obeys_nothing_in_it(case: str) -> None:
    told = CASES[case]
    message = slack.render(told)
    check_blocks(message["blocks"])
    assert all(map(is_visible, texts(message)))
    assert "<" not in message["text"]
    assert ">" not in message["text"]
    assert (message["parse"], message["link_names"]) == ("none", False)
    obeyed = [one["text"] for one in dicts(message["blocks"]) if one.get("type") == "mrkdwn"]
    assert obeyed == ([slack.ALARM] if told.alarm else [])
    kinds = {one["type"] for one in dicts(message["blocks"])}
    assert kinds <= {
        *("header", "section", "rich_text", "rich_text_preformatted", "context", "actions"),
        *("plain_text", "text", "button", "mrkdwn"),
    }
    assert not any(one["emoji"] for one in dicts(message["blocks"]) if one.get("type") == "plain_text")
    links = {one["url"] for one in dicts(message["blocks"]) if "url" in one}
    assert links == ({LINK, f"{LINK}#deny"} if told.asks and told.link else set())


@cases
def test_teams_obeys_nothing_in_it(case: str) -> None:
    told = CASES[case]
    body = teams.render(told)
    message = json.loads(body)
    assert all(is_visible(text.replace("\u00a0", " ")) for text in texts(message))
    assert "{{" not in json.dumps(message)
    card = message["attachments"][0]["content"]
    # In blocks of text Teams reads Markdown; in runs it does not.
    assert {one["type"] for one in dicts(card["body"])} <= {"RichTextBlock", "TextRun", "Container"}
    assert [one.get("url") for one in dicts(card) if one.get("type", "").startswith("Action.")] == (
        [LINK] if told.link else []
    )


class Tags(HTMLParser):
    """What a browser would see of elements."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


@cases
def test_a_mail_has_our_headers_and_our_elements_only(case: str) -> None:
    told = CASES[case]
    sent = mail.render(BOX, Telling("d1", told, "", NOON)).as_bytes()
    message = message_from_bytes(sent, policy=policy.default)
    assert not message.defects
    assert set(message.keys()) == {
        *("Subject", "From", "To", "Date", "Message-ID", "References", "Auto-Submitted", "X-Auto-Response-Suppress"),
        *("MIME-Version", "Content-Type", *(("Importance", "X-Priority") if told.alarm else ())),
    }
    assert [len(message.get_all(key, ())) for key in message] == [1] * len(message)
    assert (message["To"], message["Message-ID"]) == ("a@b.example, c@d.example", "<d1@gw.example>")
    text, html = (message.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert html is not None
    assert is_visible(text.get_content().replace("\r\n", "\n"))
    assert is_visible(message["Subject"])
    tags = Tags(html.get_content())
    assert {tag for tag, _ in tags.seen} <= {"html", "body", "h3", "p", "b", "pre", "a", "small"}
    assert [found for tag, found in tags.seen if tag == "a"] == ([{"href": LINK}] if told.link else [])
    assert all(set(found) <= {"style"} for tag, found in tags.seen if tag != "a")


@cases
def test_a_webhook_says_the_same_without_what_is_hidden(case: str) -> None:
    told = CASES[case]
    event = json.loads(webhook.render(told))
    assert all(map(is_visible, texts(event)))
    assert event["data"]["title"] == told.title
    assert event["data"]["link"] == (told.link or None)


@pytest.mark.parametrize("case", ["long", "wide", "many lines"])
def test_what_is_too_long_is_cut_and_says_so(case: str) -> None:
    told = CASES[case]
    letter = mail.render(BOX, Telling("d1", told, "", NOON))
    assert len(letter.as_bytes()) < 600_000
    said = [part.get_content() for part in letter.iter_parts()]
    for body, at_most in (
        (fitting(told, webhook.render, webhook.BODY_BYTES), webhook.BODY_BYTES),
        (fitting(told, teams.render, teams.CARD_BYTES), teams.CARD_BYTES),
        (json.dumps(slack.render(told), ensure_ascii=False).encode(), 40_000),
    ):
        assert len(body) <= at_most
        said.append(body.decode())
    assert all("open to see" in text for text in said)


def test_addresses_that_are_none_are_refused_and_no_header_is_added() -> None:
    for box in (
        replace(BOX, sender="gw@gw.example\r\nBcc: evil@evil.example"),
        replace(BOX, to=("a@b.example\nBcc: evil@evil.example",)),
        replace(BOX, sender="@"),
    ):
        with pytest.raises(ValueError):
            mail.render(box, Telling("d1", CASES["asked"], "", NOON))


def test_a_webhook_states_what_docs_say() -> None:
    event = json.loads(webhook.render(notice(approval(decisions=(agreed("carol"),)), "agreed")))
    assert (event["type"], event["timestamp"]) == ("approval.agreed", "2026-03-20T10:03:00.000Z")
    data = event["data"]
    issuer = "https://issuer.example"
    assert data["approval"] == {
        "id": "a1",
        "state": "pending",
        "version": 3,
        "asked_by": {"issuer": issuer, "subject": "ann", "kind": "agent"},
        "acts_for": [{"issuer": issuer, "subject": "bob"}],
        "session_id": "s1",
        "target": "orders-db",
        "method": "tools/call",
        "name": "query",
        "policy_version": "p1",
        "asked_at": "2026-03-20T10:00:00.000Z",
        "expires_at": "2026-03-20T10:15:00.000Z",
        "decided_at": "2026-03-20T10:01:00.000Z",
        "grant_until": "2026-03-20T10:16:00.000Z",
        "reuse_s": 0,
        "uses": 0,
        "reason": "",
    }
    (demand,) = data["requirements"]
    assert (demand["count"], demand["lacking"], demand["note_required"]) == (2, 1, True)
    (decision,) = data["decisions"]
    assert (decision["by"]["subject"], decision["agrees"], decision["glass"]) == ("carol", True, None)
    assert [text["label"] for text in data["texts"]] == ["sql (postgres)", "arguments"]
    assert data["statements"][0]["classes"] == ["delete"]
    assert sorted(data) == [
        *("alarm", "approval", "command", "decisions", "link", "requirements", "standing"),
        *("statements", "texts", "title", "tool", "version", "why"),
    ]
