"""People hear of approvals, at least once, in order, from however many notifiers; or it is seen that they did not."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from countersign.approver.notify.deliveries import PostgresDeliveryStore
from countersign.approver.notify.notifier import Notifier, Pace
from countersign.approver.notify.ports import Delivery, DeliveryState
from countersign.approver.notify.slack import ALARM
from countersign.approver.store import PostgresApprovalStore
from countersign.config.types import (
    Approvals,
    Channel,
    EmailChannel,
    Secret,
    SlackChannel,
    TeamsChannel,
    WebhookChannel,
)
from countersign.model.approval import Approval, Requirement
from countersign.runtime.moments import now_us
from tests.support.approvals import GLASS, OWNERS, REASON, TWO_OWNERS, owner, person, question
from tests.support.listeners import DEADLINE_S, Listener, Posted, Slack, listening, mailbox
from tests.support.notices import forget_all

QUICK = Pace(first_s=0.01, most_s=0.05, poll_s=0.02, stop_s=0.05)
KEY = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
TOKEN = "-".join(("xoxb", secrets.token_hex(12)))
Config = Callable[[], Approvals]


@pytest.fixture
async def approvals(dsn: str) -> AsyncIterator[PostgresApprovalStore]:
    store = PostgresApprovalStore(dsn)
    await store.open()
    forget_all(dsn)
    yield store
    await store.close()


@asynccontextmanager
async def notifying(
    dsn: str,
    approvals: PostgresApprovalStore,
    *channels: Channel,
    config: Config | None = None,
    pace: Pace = QUICK,
    store: PostgresDeliveryStore | None = None,
    ahead_us: int = 0,
) -> AsyncIterator[PostgresDeliveryStore]:
    """A notifier at work; its deliveries."""
    deliveries = store or PostgresDeliveryStore(dsn)
    notifier = Notifier(
        deliveries,
        config or (lambda: Approvals(channels=channels)),
        approvals.get,
        lambda approval: f"https://gw.example/approvals/{approval.id}",
        clock_us=lambda: now_us() + ahead_us,
        pace=pace,
    )
    task = asyncio.create_task(notifier.run())
    try:
        yield deliveries
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await notifier.close()


async def until(deliveries: PostgresDeliveryStore, condition: Callable[[list[Delivery]], bool]) -> list[Delivery]:
    """Return all deliveries, oldest first, once they are as they should be."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            found = await deliveries.page(limit=100)
            if condition(list(found)):
                return sorted(found, key=lambda one: (one.created_us, one.news.version))
            await asyncio.sleep(0.01)


async def settled(deliveries: PostgresDeliveryStore, count: int) -> list[Delivery]:
    """Return ``count`` deliveries once none waits."""
    return await until(
        deliveries,
        lambda found: len(found) == count and all(one.state is not DeliveryState.WAITING for one in found),
    )


def webhook(listener: Listener, name: str = "ops", *groups: str) -> Channel:
    return Channel(name, WebhookChannel(f"{listener.url}/hook", Secret(KEY)), groups)


def verified(posted: Posted) -> dict[str, Any]:
    """What a webhook says, as its receiver reads it."""
    event = Webhook(KEY).verify(posted.body, dict(posted.headers))
    assert isinstance(event, dict)
    return event


async def ask(approvals: PostgresApprovalStore, *requirements: Requirement) -> Approval:
    return (await approvals.ask(question(*requirements), now_us())).approval


async def agree(approvals: PostgresApprovalStore, approval: Approval, number: int = 1) -> Approval:
    by = owner(number)
    return await approvals.decide(approval.id, by, version=approval.version, agrees=True, note="fine", now_us=now_us())


async def test_a_webhook_is_signed_and_tried_again_under_the_same_id(
    dsn: str, approvals: PostgresApprovalStore
) -> None:
    answers = [500, 302]
    async with listening(lambda _: (answers.pop(0) if answers else 204, b"")) as listener:
        approval = await ask(approvals)
        async with notifying(dsn, approvals, webhook(listener)) as deliveries:
            (delivery,) = await settled(deliveries, 1)
    assert (delivery.state, delivery.attempts) == (DeliveryState.DELIVERED, 3)
    assert [posted.path for posted in listener.posted] == ["/hook"] * 3
    events = [verified(posted) for posted in listener.posted]
    assert {posted.headers["webhook-id"] for posted in listener.posted} == {delivery.id}
    assert {event["type"] for event in events} == {"approval.asked"}
    assert events[0]["data"]["approval"]["id"] == approval.id
    assert events[0]["data"]["link"] == f"https://gw.example/approvals/{approval.id}"


async def test_what_cannot_be_told_is_given_up_visibly_and_touches_no_approval(
    dsn: str, approvals: PostgresApprovalStore, caplog: pytest.LogCaptureFixture
) -> None:
    secret_words = "secret words of the receiver"
    async with listening(lambda _: (503, secret_words.encode())) as listener:
        approval = await ask(approvals)
        pace = replace(QUICK, attempts=3)
        async with notifying(dsn, approvals, webhook(listener), pace=pace) as deliveries:
            (delivery,) = await settled(deliveries, 1)
    assert len(listener.posted) == 3
    assert (delivery.state, delivery.attempts, delivery.problem) == (DeliveryState.DEAD, 3, "it answered 503")
    assert await approvals.get(approval.id) == approval
    (line,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert (line.getMessage(), vars(line)["channel"]) == ("a notification was given up", "ops")
    assert secret_words not in caplog.text
    assert KEY not in caplog.text


async def test_no_server_at_all_and_one_that_says_nothing_are_problems_without_a_url(
    dsn: str, approvals: PostgresApprovalStore
) -> None:
    async with listening(lambda _: None) as silent:
        async with listening() as gone:
            nowhere = gone.url
        await ask(approvals)
        pace, teams = replace(QUICK, attempts=2), Channel("teams", TeamsChannel(Secret(f"{nowhere}/flow-key")))
        async with notifying(dsn, approvals, teams, pace=pace) as deliveries:
            (gone_away,) = await settled(deliveries, 1)
        await ask(approvals)
        async with notifying(dsn, approvals, webhook(silent, "silent"), pace=replace(pace, send_s=0.05)) as deliveries:
            found = {one.channel: one.problem for one in await settled(deliveries, 2)}
    assert gone_away.problem == "there was no answer (ConnectError)"
    assert found["silent"] in ("it took longer than 0.05 s", "there was no answer (ReadTimeout)")


async def test_two_notifiers_tell_once(dsn: str, approvals: PostgresApprovalStore) -> None:
    async with listening() as listener:
        for _ in range(5):
            await ask(approvals)
        channel = webhook(listener)
        async with notifying(dsn, approvals, channel) as deliveries, notifying(dsn, approvals, channel):
            await settled(deliveries, 5)
    assert len({posted.headers["webhook-id"] for posted in listener.posted}) == len(listener.posted) == 5


class Dying(PostgresDeliveryStore):
    """Dies between sending and saying so."""

    async def delivered(self, delivery: Delivery, memory: str, now_us: int) -> None:
        await asyncio.Event().wait()


async def test_one_that_dies_before_it_says_so_is_followed_by_the_same_once_more(
    dsn: str, approvals: PostgresApprovalStore
) -> None:
    async with listening() as listener:
        await ask(approvals)
        channel = webhook(listener)
        async with notifying(dsn, approvals, channel, store=Dying(dsn)):
            await listener.wait_for(1)
        # Before its lease is over nobody knows that it died.
        async with notifying(dsn, approvals, channel, ahead_us=61_000_000) as deliveries:
            (delivery,) = await settled(deliveries, 1)
    assert (delivery.state, delivery.attempts) == (DeliveryState.DELIVERED, 2)
    assert [verified(posted)["type"] for posted in listener.posted] == ["approval.asked"] * 2
    assert {posted.headers["webhook-id"] for posted in listener.posted} == {delivery.id}


async def test_a_channel_hears_of_what_asks_its_groups_and_as_gateway_yaml_says_now(
    dsn: str, approvals: PostgresApprovalStore
) -> None:
    async with listening() as listener:
        every = (webhook(listener, "owners", "data-owners", "x"), webhook(listener, "others", "security"))
        current = [Approvals(channels=every)]
        async with notifying(dsn, approvals, config=lambda: current[0]) as deliveries:
            approval = await ask(approvals)
            (one,) = await settled(deliveries, 1)
            assert one.channel == "owners"
            current[0] = Approvals(channels=every[1:])
            await agree(approvals, approval)
            await ask(approvals, replace(OWNERS, groups=("security",)))
            assert [one.channel for one in await settled(deliveries, 2)] == ["owners", "others"]


async def test_who_was_never_asked_in_time_is_not_asked_afterwards(dsn: str, approvals: PostgresApprovalStore) -> None:
    fails = [True]
    async with listening(lambda _: (500 if fails[0] else 200, b"")) as listener, mailbox() as box:
        mail = Channel("mail", EmailChannel("127.0.0.1", box.port, "none", "gw@gw.example", ("a@b.example",)))
        approval = await ask(approvals)
        # Its next try is long after the approval's end.
        slow = replace(QUICK, first_s=200.0, most_s=300.0)
        async with notifying(dsn, approvals, webhook(listener), pace=slow) as deliveries:
            await until(deliveries, lambda found: [one.problem for one in found] == ["it answered 500"])
        await agree(approvals, approval)
        fails[0] = False
        async with notifying(dsn, approvals, webhook(listener), mail, pace=slow) as deliveries:
            found = await settled(deliveries, 3)
    told = {(one.channel, one.news.what): (one.state, one.problem) for one in found}
    assert told == {
        ("ops", "asked"): (DeliveryState.DEAD, "it answered 500; then nobody was asked any more"),
        ("ops", "approved"): (DeliveryState.DELIVERED, ""),
        ("mail", "approved"): (DeliveryState.DELIVERED, ""),
    }


async def test_a_slack_message_follows_its_approval(dsn: str, approvals: PostgresApprovalStore) -> None:
    slack = Slack(TOKEN)
    async with listening(slack.answer) as listener:
        channel = Channel("ops", SlackChannel("#ops", Secret(TOKEN), Secret("s"), f"{listener.url}/api"))
        async with notifying(dsn, approvals, channel) as deliveries:
            approval = await ask(approvals, TWO_OWNERS)
            await settled(deliveries, 1)
            (message,) = slack.messages.values()
            assert [block["type"] for block in message["blocks"]].count("actions") == 1
            assert "Needs 2 of data-owners" in json.dumps(message)
            approval = await agree(approvals, approval)
            await settled(deliveries, 2)
            assert "Needs 1 more of data-owners" in json.dumps(slack.messages)
            approval = await agree(approvals, approval, 2)
            await approvals.consume(approval.id, approval.digest, "call", now_us())
            await settled(deliveries, 4)
    assert slack.calls == ["chat.postMessage", "chat.update", "chat.update", "chat.update"]
    (message,) = slack.messages.values()
    shown = json.dumps(message)
    assert "Approved by owner 1 and owner 2 at" in shown
    assert "it was let run once, at" in shown
    assert "actions" not in [block["type"] for block in message["blocks"]]


async def test_slack_that_limits_is_waited_for_and_a_message_that_was_deleted_is_posted_anew(
    dsn: str, approvals: PostgresApprovalStore
) -> None:
    slack = Slack(TOKEN)
    slack.errors = ["ratelimited", "words of a stranger"]
    async with listening(slack.answer) as listener:
        channel = Channel("ops", SlackChannel("C1", Secret(TOKEN), Secret("s"), f"{listener.url}/api"))
        async with notifying(dsn, approvals, channel) as deliveries:
            approval = await ask(approvals)
            await settled(deliveries, 1)
            assert (len(slack.messages), len(slack.calls)) == (1, 3)
            slack.messages.clear()
            await agree(approvals, approval)
            await settled(deliveries, 2)
    assert slack.calls[3:] == ["chat.update", "chat.postMessage"]
    assert len(slack.messages) == 1


async def test_a_broken_glass_is_loud_where_its_rule_says_and_changes_the_first_message_too(
    dsn: str, approvals: PostgresApprovalStore
) -> None:
    slack = Slack(TOKEN)
    async with listening(slack.answer) as listener, mailbox() as box:
        how = SlackChannel("C1", Secret(TOKEN), Secret("s"), f"{listener.url}/api")
        channels = (
            Channel("pager", how, ("nobody asks these",)),
            Channel("asked", how),
            Channel("mail", EmailChannel("127.0.0.1", box.port, "none", "gw@gw.example", ("a@b.example",))),
        )
        glass = replace(GLASS, alert=("pager", "mail", "gone"))
        caller = person("ann")
        async with notifying(dsn, approvals, *channels, pace=replace(QUICK, attempts=1)) as deliveries:
            asked = question(OWNERS, caller=caller.subject, glass=(glass,), kind=caller.kind)
            approval = (await approvals.ask(asked, now_us())).approval
            await settled(deliveries, 2)
            await approvals.break_glass(approval.id, caller, version=approval.version, reason=REASON, now_us=now_us())
            found = await settled(deliveries, 6)
    assert {one.channel: one.problem for one in found if one.state is DeliveryState.DEAD} == {
        "gone": "gateway.yaml names no such channel"
    }
    assert sorted(slack.calls) == ["chat.postMessage", "chat.postMessage", "chat.update"]
    loud = [message for message in slack.messages.values() if ALARM in json.dumps(message)]
    assert len(loud) == 1
    assert REASON in json.dumps(loud)
    first, second = box.messages
    assert (first["Importance"], second["Importance"]) == (None, "high")
    assert second["Subject"].startswith("BREAK GLASS: ann ")


async def test_teams_and_mail_are_told_of_the_question_and_of_its_end(
    dsn: str, approvals: PostgresApprovalStore
) -> None:
    async with listening(lambda _: (202, b"")) as listener, mailbox() as box:
        box.refusals = [b"451 words of a stranger"]
        channels = (
            Channel("teams", TeamsChannel(Secret(f"{listener.url}/flow"))),
            Channel(
                "mail", EmailChannel("127.0.0.1", box.port, "none", "gw@gw.example", ("a@b.example", "c@d.example"))
            ),
        )
        async with notifying(dsn, approvals, *channels) as deliveries:
            approval = await ask(approvals, TWO_OWNERS)
            await settled(deliveries, 2)
            approval = await agree(approvals, approval)
            approval = await agree(approvals, approval, 2)
            await settled(deliveries, 4)
            await approvals.consume(approval.id, approval.digest, "call", now_us())
            await asyncio.gather(listener.wait_for(2), box.wait_for(2))
            found = await settled(deliveries, 4)
    assert [one.news.what for one in found] == ["asked", "asked", "approved", "approved"]
    cards = [json.loads(posted.body)["attachments"][0]["content"] for posted in listener.posted]
    assert [card["actions"][0]["title"] for card in cards] == ["Approve or deny …", "Show"]
    asked, approved = box.messages
    assert asked["References"] == approved["References"]
    assert [envelope[1:] for envelope in box.envelopes] == [["RCPT TO:<a@b.example>", "RCPT TO:<c@d.example>"]] * 2
    assert "Approved by owner 1 and owner 2" in approved.as_string()


async def test_while_the_database_is_away_nothing_ends(dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    notifier = Notifier(
        PostgresDeliveryStore("host=/nowhere dbname=none"), lambda: Approvals(), _nobody_asks, pace=QUICK
    )
    task = asyncio.create_task(notifier.run())
    async with asyncio.timeout(DEADLINE_S):
        while not caplog.records:
            notifier.wake()
            await asyncio.sleep(0)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await notifier.close()
    assert [record.getMessage() for record in caplog.records] == ["notifications wait for the database"]


async def _nobody_asks(_: str) -> Approval:
    raise AssertionError
