"""Puts the judge together from what it judges by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from countersign.authz.approving.desk import Desk
from countersign.authz.approving.followups import FollowUps
from countersign.authz.approving.stage import AcceptedTools, ApprovalStage
from countersign.authz.deciding import Decider, ToolStates
from countersign.authz.judge import Judge
from countersign.authz.presenting import Credentials, Presenting
from countersign.authz.repeating import Hints
from countersign.authz.returning import Returns
from countersign.authz.underway import UnderWay
from countersign.authz.weighing import Weigher
from countersign.identity import TokenVerifier
from countersign.runtime.approvals import Broker
from countersign.runtime.aside import Aside
from countersign.runtime.handles import Handles
from countersign.runtime.live import Live
from countersign.runtime.recording import EventSink
from countersign.runtime.revocations import Revocations
from countersign.runtime.rulebook import Rulebook
from countersign.runtime.sealing import Sealer
from countersign.runtime.tokens import Vault
from countersign.runtime.usage import UsageSource

# Reading a larger body and masking it for the record would hold up the other calls of this process.
_ASIDE_FROM_BYTES = 32 * 1024
_ASIDE_AT_ONCE = 2


class Tools(ToolStates, AcceptedTools, Hints, Protocol):
    """What is known of targets' tools; see ``runtime.pins.PinnedTools``."""


@dataclass(frozen=True, slots=True)
class Judging:
    """The judge, and the desk at which calls wait, which must be closed with it; and where large bodies are read."""

    judge: Judge
    desk: Desk
    aside: Aside


def judging(
    rulebook: Rulebook,
    verifier: TokenVerifier,
    sink: EventSink,
    tools: Tools,
    usage: UsageSource,
    vault: Vault,
    broker: Broker,
    revocations: Revocations,
    credentials: Credentials,
    handles: Handles,
    key: bytes,
    now_us: Callable[[], int],
    new_id: Callable[[], str],
) -> Judging:
    """Return a judge. ``key`` is the deployment's."""

    def pin_of(target: str, tool: str) -> bytes:
        pin = tools.pin(target, tool)
        # What it is now: a target whose new tools are allowed may list another than was accepted.
        return b"" if pin is None else pin.seen

    sealer = Sealer(key)
    aside = Aside(from_bytes=_ASIDE_FROM_BYTES, at_once=_ASIDE_AT_ONCE)
    desk = Desk(broker, now_us, new_id)
    judge = Judge(
        rulebook,
        verifier,
        sink,
        sealer,
        Weigher(Decider(tools, usage), vault, aside),
        ApprovalStage(desk, sealer, key, tools, aside, now_us),
        FollowUps(desk, sealer),
        Live(revocations, now_us),
        Presenting(credentials, tools, sealer.mark_shown),
        Returns(handles),
        UnderWay(handles, now_us),
        aside,
        now_us,
        new_id,
    )
    return Judging(judge, desk, aside)
