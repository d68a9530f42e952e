"""Slack is answered when it signed, soon enough; whatever it says decides nothing."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from urllib.parse import urlencode

import httpx
import pytest

from tests.unit.approver.page.world import SECOND, World

PATH = "/approvals/slack/interactions"


@pytest.fixture
def world() -> World:
    return World()


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """As Slack signs (https://docs.slack.dev/authentication/verifying-requests-from-slack)."""
    return "v0=" + hmac.digest(secret.encode(), f"v0:{timestamp}:".encode() + body, hashlib.sha256).hex()


async def press(world: World, body: bytes, timestamp: str, signed: str) -> httpx.Response:
    headers = {
        b"content-type": b"application/x-www-form-urlencoded",
        b"x-slack-request-timestamp": timestamp.encode(),
        b"x-slack-signature": signed.encode(),
    }
    return await world.browser().http.post(PATH, content=body, headers=headers)


def now(world: World, later_s: int = 0) -> str:
    return str(world.now_us() // SECOND + later_s)


async def test_a_press_is_acknowledged_and_decides_nothing(world: World) -> None:
    approval = await world.ask()
    action = {"action_id": "approve", "value": approval.id}
    body = urlencode({"payload": json.dumps({"type": "block_actions", "actions": [action]})}).encode()
    answer = await press(world, body, now(world), signature(world.signing_secret, now(world), body))
    assert (answer.status_code, answer.content) == (200, b"")
    assert await world.state(approval) == "pending"


@pytest.mark.parametrize("later_s", [-301, 301], ids=["replayed", "from the future"])
async def test_what_was_signed_at_another_time_is_refused(world: World, later_s: int) -> None:
    timestamp = now(world, later_s)
    assert (await press(world, b"x", timestamp, signature(world.signing_secret, timestamp, b"x"))).status_code == 401


@pytest.mark.parametrize(
    ("body", "timestamp", "signed"),
    [
        (b"x", None, "v0=" + 64 * "0"),
        (b"x", None, ""),
        (b"x", None, "v0=\u00e9"),
        (b"x", "soon", None),
        (b"x", "", None),
        (b"x", "\u0661" * 10, None),
        (b"x", "1" * 400, None),
        (b"x", "-5", None),
        (b"\xff", None, None),
    ],
    ids=["forged", "unsigned", "no ASCII", "no time", "empty time", "digits", "long time", "negative", "no UTF-8"],
)
async def test_what_slack_did_not_sign_is_refused(
    world: World, body: bytes, timestamp: str | None, signed: str | None
) -> None:
    timestamp = now(world) if timestamp is None else timestamp
    signed = signature(world.signing_secret, timestamp, body) if signed is None else signed
    assert (await press(world, body, timestamp, signed)).status_code == 401


async def test_a_signature_of_another_body_or_secret_is_refused(world: World) -> None:
    at = now(world)
    assert (await press(world, b"y", at, signature(world.signing_secret, at, b"x"))).status_code == 401
    assert (await press(world, b"x", at, signature("another", at, b"x"))).status_code == 401


async def test_more_than_slack_ever_sends_is_not_read(world: World) -> None:
    body = b"x" * (300 * 1024)
    assert (await press(world, body, now(world), signature(world.signing_secret, now(world), body))).status_code == 413


async def test_refusals_are_logged_but_do_not_flood_the_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(20):
            await press(world, b"x", now(world), "v0=0")
    assert len([one for one in caplog.records if "Slack" in one.getMessage()]) == 1
