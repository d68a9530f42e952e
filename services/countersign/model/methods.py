"""What is known of MCP's methods where rules are concerned: which of them name something, and which only connect."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from countersign.model.call import NameKind
from countersign.model.glob import GlobSet

NAMED_METHODS: Mapping[str, frozenset[NameKind]] = MappingProxyType(
    {
        "tools/call": frozenset({NameKind.TOOL}),
        "prompts/get": frozenset({NameKind.PROMPT}),
        "resources/read": frozenset({NameKind.RESOURCE}),
        "resources/subscribe": frozenset({NameKind.RESOURCE}),
        "resources/unsubscribe": frozenset({NameKind.RESOURCE}),
        "completion/complete": frozenset({NameKind.PROMPT, NameKind.RESOURCE}),
    }
)
"""The methods whose calls name a tool, prompt or resource, with the kinds of name that each may have; no others do."""

ANSWERED_METHODS = frozenset({"ping", "sampling/createMessage", "elicitation/create", "roots/list"})
"""What a target may ask of a client in the legacy era: the client's answer is judged as a call of that method."""

OTHER_ANSWER = "response"
"""The method of a client's answer to anything else."""

KNOWN_METHODS = frozenset(
    {
        *NAMED_METHODS,
        *("initialize", "ping", "server/discover", "logging/setLevel", "subscriptions/listen", "GET", "DELETE"),
        *("tools/list", "prompts/list", "resources/list", "resources/templates/list"),
        *("tasks/get", "tasks/list", "tasks/result", "tasks/update", "tasks/cancel"),
        *("notifications/initialized", "notifications/cancelled", "notifications/progress"),
        *("notifications/roots/list_changed", "notifications/tasks/status"),
        *ANSWERED_METHODS,
        OTHER_ANSWER,
    }
)
"""The methods that MCP's specifications let a client send, in any era; any other is text that a caller made up."""

CONNECTION_METHODS = (
    "initialize",
    "ping",
    "server/discover",
    "notifications/*",
    "logging/setLevel",
    "tools/list",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
    "subscriptions/listen",
    "GET",
    "DELETE",
    *sorted(ANSWERED_METHODS - {"ping"}),
    OTHER_ANSWER,
)
"""Globs of the methods that carry no data of the target by themselves: whoever may call anything there needs them."""

_CONNECTION = GlobSet(CONNECTION_METHODS)


def is_connection(method: str) -> bool:
    """Whether a method carries no data of the target by itself: one of ``CONNECTION_METHODS``."""
    return _CONNECTION.matches(method)
