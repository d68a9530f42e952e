"""Who hears of which change, and by which way."""

from __future__ import annotations

from typing import Final

import httpx

from countersign.approver.notify import mail, slack, teams, webhook
from countersign.approver.notify.telling import Telling
from countersign.config.types import (
    Approvals,
    Channel,
    EmailChannel,
    SlackChannel,
    TeamsChannel,
    WebhookChannel,
)
from countersign.model.approval import Approval

_DECIDED: Final = frozenset({"glass_broken", "approved", "denied", "expired", "abandoned", "cancelled"})
WHILE_ASKING: Final = frozenset({"asked", "agreed"})
"""What nobody needs to hear once the approval is no longer pending."""
_CHANGING: Final = WHILE_ASKING | _DECIDED | {"consumed"}
# Whoever cannot change a message is told twice, not of every step.
_TWICE: Final = _DECIDED | {"asked"}


def hears(channel: Channel, what: str) -> bool:
    """Whether a channel of this kind tells of such a change."""
    return what in (_TWICE if isinstance(channel.how, TeamsChannel | EmailChannel) else _CHANGING)


def hears_all(channel: Channel) -> bool:
    """Whether a channel tells also of what is overtaken already: machines count events, people need none of those."""
    return isinstance(channel.how, WebhookChannel)


def alerted(approval: Approval) -> frozenset[str]:
    """Return the names of the channels that the rules want alerted by which the glass was broken."""
    broken = {decision.glass for decision in approval.decisions if decision.glass}
    return frozenset(name for glass in approval.break_glass if glass.rule in broken for name in glass.alert)


def addressed(config: Approvals, approval: Approval, what: str) -> tuple[str, ...]:
    """Return the names of the channels that hear of a change.

    To alert one that gateway.yaml names no longer fails, visibly, rather than being left out.
    """
    asked = {group for requirement in approval.requirements for group in requirement.groups}
    alarm = alerted(approval)
    found = [
        channel.name
        for channel in config.channels
        if hears(channel, what) and (not channel.groups or asked & set(channel.groups) or channel.name in alarm)
    ]
    if what == "glass_broken":
        found += sorted(alarm - {channel.name for channel in config.channels})
    return tuple(found)


async def tell(channel: Channel, telling: Telling, client: httpx.AsyncClient) -> str:
    """Tell it by this channel; return what is to be remembered of it. Raises ``NotTold``."""
    match channel.how:
        case WebhookChannel():
            return await webhook.tell(channel.how, telling, client)
        case SlackChannel():
            return await slack.tell(channel.how, telling, client)
        case TeamsChannel():
            return await teams.tell(channel.how, telling, client)
        case EmailChannel():
            return await mail.tell(channel.how, telling)
