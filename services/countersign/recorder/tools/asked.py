"""What services and operators ask about tools, checked; and the answers' messages."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass

from countersign.api.access.v1 import tools_pb2
from countersign.pins import Flag, Unpinnable, read_masked
from countersign.recorder.asked import BadQuestion
from countersign.recorder.tools.events import compared
from countersign.recorder.tools.plan import ListedTarget, Offer, Page, Tool
from countersign.recorder.tools.ports import PAGE_TOOLS, News, Standing

MAX_OFFERS = 10_000
MAX_OFFERS_BYTES = 16 * 1024 * 1024
MAX_CHOSEN = 1_000
DEFAULT_PAGE_TOOLS = 100
MAX_TARGET_CHARACTERS = 256
DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True)
class Listing:
    """Which tools an operator wants to see."""

    target: str
    pending: bool
    after: tuple[str, str]
    limit: int


def page(request: tools_pb2.ObserveToolsRequest) -> Page:
    """Check a page of a target's listing. Raises ``BadQuestion``."""
    if len(request.tools) > MAX_OFFERS or request.ByteSize() > MAX_OFFERS_BYTES:
        raise BadQuestion(f"tools: more than {MAX_OFFERS}, or more than {MAX_OFFERS_BYTES} bytes")
    names = {tool.name for tool in request.tools}
    if len(names) != len(request.tools):
        raise BadQuestion("tools: a name stands twice")
    return Page(_target(request.target), tuple(map(_offer, request.tools)), request.ends, request.allow_new)


def listing(request: tools_pb2.ListToolsRequest) -> Listing:
    """Check a request to list tools. Raises ``BadQuestion``."""
    if request.page_size > PAGE_TOOLS:
        raise BadQuestion(f"page_size: at most {PAGE_TOOLS}")
    after = _open_token(request.page_token) if request.page_token else ("", "")
    target = _target(request.target) if request.target else ""
    return Listing(target, request.pending, after, request.page_size or DEFAULT_PAGE_TOOLS)


def chosen(
    request: tools_pb2.AcceptToolsRequest | tools_pb2.ForgetToolsRequest,
) -> tuple[str, list[tuple[str, bytes]]]:
    """Check what an operator accepts, or forgets: the target, and names with digests. Raises ``BadQuestion``."""
    if not 0 < len(request.tools) <= MAX_CHOSEN:
        raise BadQuestion(f"tools: 1 to {MAX_CHOSEN}")
    if len({tool.name for tool in request.tools}) != len(request.tools):
        raise BadQuestion("tools: a name stands twice")
    if any(len(tool.digest) != DIGEST_BYTES or "\0" in tool.name for tool in request.tools):
        raise BadQuestion("tools: a digest is no SHA-256, or a name none of a tool")
    return _target(request.target), [(tool.name, tool.digest) for tool in request.tools]


def next_page_token(last: Tool) -> str:
    """Return the token of the page that begins behind ``last``."""
    return base64.urlsafe_b64encode(json.dumps([last.target, last.seen.name]).encode()).decode()


def to_pin(tool: Tool) -> tools_pb2.ToolPin:
    """Return what those need of a tool who decide."""
    accepted = tool.accepted.digest if tool.accepted else b""
    return _pin(Standing(tool.target, tool.seen.name, tool.state, tool.seen.digest, accepted, tool.seen.hidden))


def to_pins(news: News) -> list[tools_pb2.ToolPin]:
    """Return the messages of what became of tools, in the order in which to take them in."""
    gone = [
        tools_pb2.ToolPin(target=target, name=name, state=tools_pb2.TOOL_STATE_FORGOTTEN)
        for target, name in news.forgotten
    ]
    return gone + [_pin(standing) for standing in news.tools]


def to_target(target: ListedTarget) -> tools_pb2.ListedTarget:
    """Return the message of a target."""
    return tools_pb2.ListedTarget(target=target.target, open_until_us=target.open_until_us)


def to_reviewed(tool: Tool, *, configured: bool) -> tools_pb2.ReviewedTool:
    """Return what an operator is shown of a tool; ``configured`` tells whether gateway.yaml names its target."""
    accepted = tool.accepted
    return tools_pb2.ReviewedTool(
        target=tool.target,
        name=tool.seen.name,
        state=tools_pb2.ToolState.ValueType(tool.state),
        seen_digest=tool.seen.digest,
        seen_definition=tool.seen.definition,
        flags=[tools_pb2.ToolFlag(hidden=flag.hidden, place=flag.place, what=flag.what) for flag in tool.seen.flags],
        accepted_digest=accepted.digest if accepted else b"",
        accepted_definition=accepted.definition if accepted else "",
        accepted_issuer=accepted.issuer if accepted else "",
        accepted_subject=accepted.subject if accepted else "",
        accepted_us=accepted.time_us if accepted else 0,
        first_seen_us=tool.first_seen_us,
        changed_us=tool.changed_us,
        differences=[
            tools_pb2.ToolDifference(place=one.place, before=one.before, after=one.after) for one in compared(tool)
        ],
        not_configured=not configured,
    )


def _pin(standing: Standing) -> tools_pb2.ToolPin:
    return tools_pb2.ToolPin(
        target=standing.target,
        name=standing.name,
        state=tools_pb2.ToolState.ValueType(standing.state),
        seen_digest=standing.seen_digest,
        accepted_digest=standing.accepted_digest,
        hidden=standing.hidden,
    )


def _target(name: str) -> str:
    if not 0 < len(name) <= MAX_TARGET_CHARACTERS or not name.isprintable():
        raise BadQuestion("target: not the name of one")
    return name


def _offer(tool: tools_pb2.ListedTool) -> Offer:
    if not tool.name or "\0" in tool.name or len(tool.digest) != DIGEST_BYTES:
        raise BadQuestion("tools: one has no name or no digest")
    try:
        definition = read_masked(tool.definition)
    except Unpinnable:
        definition = None
    if not isinstance(definition, dict):
        raise BadQuestion("tools: a definition is no JSON object")
    return Offer(
        name=tool.name,
        digest=tool.digest,
        definition=tool.definition,
        flags=tuple(Flag(flag.hidden, flag.place, flag.what) for flag in tool.flags),
    )


def _open_token(token: str) -> tuple[str, str]:
    try:
        target, name = json.loads(base64.b64decode(token, altchars=b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error):
        target = name = None
    if not isinstance(target, str) or not isinstance(name, str) or "\0" in target + name:
        raise BadQuestion("page_token: not one of ours; leave it empty to begin again")
    return target, name
