"""Whatever the other side does, a failure is ours to word, bounded, and quotes nobody."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from countersign.approver.notify import mail, slack, teams, webhook
from countersign.approver.notify.telling import REPLY_BYTES, NotTold, Telling, post
from countersign.config.types import EmailChannel, Secret, SlackChannel, TeamsChannel, WebhookChannel
from tests.support.listeners import listening, mailbox
from tests.unit.approver.notify.samples import NOON, approval, notice

TELLING = Telling("d1", notice(approval()), "", NOON)
WORDS = "words of a stranger"
KEY = secrets.token_hex(12)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=5) as client:
        yield client


async def test_of_an_answer_without_end_no_more_is_read_than_is_needed(client: httpx.AsyncClient) -> None:
    async with listening(lambda _: (200, b"x" * (64 * REPLY_BYTES))) as listener:
        reply = await post(client, listener.url, {}, b"{}")
    assert (reply.status, len(reply.body)) == (200, REPLY_BYTES)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ((200, b"not json"), "it answered something else than Slack does"),
        ((200, b"[" * 50_000), "it answered something else than Slack does"),
        ((200, b'["ok"]'), "it answered something else than Slack does"),
        ((200, b'{"ok": false, "error": "words of a stranger"}'), "Slack refused it"),
        ((200, b'{"ok": "true"}'), "Slack refused it"),
        ((200, b'{"ok": false, "error": "channel_not_found"}'), "Slack refused it (channel_not_found)"),
        ((301, b""), "it answered 301"),
        ((500, WORDS.encode()), "it answered 500"),
    ],
    ids=["text", "depth", "list", "unknown error", "no boolean", "known error", "redirect", "status"],
)
async def test_what_is_no_yes_of_slacks_is_a_failure(
    client: httpx.AsyncClient, answer: tuple[int, bytes], problem: str
) -> None:
    async with listening(lambda _: answer) as listener:
        channel = SlackChannel("C1", Secret(KEY), Secret("s"), listener.url)
        with pytest.raises(NotTold) as failure:
            await slack.tell(channel, TELLING, client)
    assert str(failure.value) == problem
    assert len(listener.posted) == 1


async def test_a_yes_without_a_place_is_told_but_cannot_be_changed(client: httpx.AsyncClient) -> None:
    async with listening(lambda _: (200, b'{"ok": true, "channel": "C 1", "ts": 5}')) as listener:
        channel = SlackChannel("C1", Secret(KEY), Secret("s"), listener.url)
        assert await slack.tell(channel, TELLING, client) == ""


@pytest.mark.parametrize("url", ["http://[", "nonsense", "http://127.0.0.1:1/x", "http://\x00/"])
async def test_urls_are_not_quoted(client: httpx.AsyncClient, url: str) -> None:
    for telling in (
        teams.tell(TeamsChannel(Secret(f"{url}{KEY}")), TELLING, client),
        webhook.tell(WebhookChannel(f"{url}{KEY}", Secret(f"whsec_{KEY}")), TELLING, client),
    ):
        with pytest.raises(NotTold) as failure:
            await telling
        assert KEY not in str(failure.value)
        assert failure.value.__suppress_context__


async def test_a_secret_that_is_none_is_said_to_be(client: httpx.AsyncClient) -> None:
    for secret in ("whsec_", "whsec_x", "whsec_\u00e9"):
        with pytest.raises(NotTold, match="its secret is not whsec_ and base64"):
            await webhook.tell(WebhookChannel("http://127.0.0.1:1", Secret(secret)), TELLING, client)


async def test_mail_fails_in_our_words() -> None:
    async with mailbox() as box:
        plain = EmailChannel("127.0.0.1", box.port, "none", "gw@gw.example", ("a@b.example",))
        known = replace(plain, username="gw", password=Secret(KEY))
        box.login = b"535 " + WORDS.encode()
        found = [await problem_of(known)]
        assert not any(line.startswith("MAIL") for line in box.lines)
        box.login, box.refusals = b"", [b"554 " + WORDS.encode()]
        found.append(await problem_of(plain))
        # What is to be encrypted is not sent otherwise, least of all the password.
        box.lines.clear()
        found += [await problem_of(replace(known, security=how)) for how in ("starttls", "tls")]
        assert not any(line.startswith(("AUTH", "MAIL")) for line in box.lines)
    found.append(await problem_of(plain))
    assert found[:3] == ["it refused the login", "it answered 554", "it did not take the message (SMTPException)"]
    assert all(text.startswith("it did not take the message (") for text in found[3:])


async def problem_of(channel: EmailChannel) -> str:
    """Why it cannot be told by it."""
    with pytest.raises(NotTold) as failure:
        async with asyncio.timeout(20):
            await mail.tell(channel, TELLING)
    assert failure.value.__suppress_context__
    return str(failure.value)
