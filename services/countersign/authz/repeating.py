"""Which calls may be sent twice, should their target refuse the credential of the first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from countersign.model.call import Call, NameKind

# They read, and change nothing by being read twice. Not `initialize`, which begins a session, nor subscriptions.
_READING = frozenset(
    {
        *("GET", "ping", "server/discover", "prompts/get", "resources/read", "completion/complete"),
        *("tools/list", "prompts/list", "resources/list", "resources/templates/list", "tasks/get", "tasks/list"),
    }
)


class Hints(Protocol):
    """What accepted tools say of themselves; see ``runtime.pins.PinnedTools``."""

    async def repeatable(self, target: str, tool: str) -> bool:
        """Say whether an accepted tool reads only, or does no more when it is called twice."""


async def repeatable(calls: Sequence[Call], hints: Hints) -> bool:
    """Say whether all of a request's calls may be sent twice. A tool may when its accepted definition says so."""
    for call in calls:
        named = call.method == "tools/call" and call.name_kind is NameKind.TOOL
        if call.method not in _READING and not (named and await hints.repeatable(call.target, call.name)):
            return False
    return bool(calls)
