"""How tools look that wait to be accepted, or are about to be forgotten.

A target chose every character of them: what cannot be printed is shown escaped, and where a tool hides something, so is
all that is not ASCII.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

from rich.text import Text

from countersign.api.access.v1 import tools_pb2
from countersign.model.visible import visible

_STATES = {
    tools_pb2.TOOL_STATE_ACCEPTED: "accepted",
    tools_pb2.TOOL_STATE_NEW: "new",
    tools_pb2.TOOL_STATE_CHANGED: "changed",
}
_DIGEST_CHARACTERS = 16


def tool_lines(tool: tools_pb2.ReviewedTool) -> Iterator[Text]:
    """A line that names the tool; what is suspicious about it; then its differences, or all of a new one."""
    escape = _ascii if any(flag.hidden for flag in tool.flags) else visible
    digest = tool.seen_digest.hex()[:_DIGEST_CHARACTERS]
    line = Text(f"{visible(tool.target)}: ").append(f"{escape(tool.name)}@{digest}", "bold cyan")
    line.append(f"  {_state(tool)}", "yellow").append(f"  since {_moment(tool.changed_us)}", "dim")
    yield line
    if tool.not_configured:
        yield Text("  ! not in gateway.yaml: have it forgotten, with `countersign tools forget`", "yellow")
    for flag in tool.flags:
        word, style = ("hidden", "bold red") if flag.hidden else ("suspicious", "bold magenta")
        yield Text(f"  ! {word}: ", style).append(f"{escape(flag.what)} at {_ascii(flag.place)}")
    if tool.state == tools_pb2.TOOL_STATE_CHANGED:
        for difference in tool.differences:
            yield Text(f"  {_ascii(difference.place)}")
            if difference.before:
                yield Text(f"    - {escape(difference.before)}", "red")
            if difference.after:
                yield Text(f"    + {escape(difference.after)}", "green")
    else:
        for text in json.dumps(_read(tool.seen_definition), indent=2, ensure_ascii=False).splitlines():
            yield Text(f"    + {escape(text)}", "green")
    yield Text("")


def as_document(tool: tools_pb2.ReviewedTool) -> dict[str, object]:
    """The tool for machines: digests in hex, definitions as JSON."""
    return {
        "target": tool.target,
        "name": tool.name,
        "state": _state(tool),
        "not_in_gateway_yaml": tool.not_configured,
        "digest": tool.seen_digest.hex(),
        "definition": _read(tool.seen_definition),
        "flags": [{"hidden": flag.hidden, "place": flag.place, "what": flag.what} for flag in tool.flags],
        "accepted_digest": tool.accepted_digest.hex(),
        "accepted_definition": _read(tool.accepted_definition),
        "accepted_by": tool.accepted_subject,
        "first_seen": _moment(tool.first_seen_us),
        "changed": _moment(tool.changed_us),
        "differences": [{"place": one.place, "before": one.before, "after": one.after} for one in tool.differences],
    }


def _state(tool: tools_pb2.ReviewedTool) -> str:
    return _STATES.get(tool.state, "unknown")


def _read(definition: str) -> object:
    return json.loads(definition) if definition else None


def _ascii(text: str) -> str:
    return visible(text.encode("ascii", "backslashreplace").decode())


def _moment(time_us: int) -> str:
    return datetime.fromtimestamp(time_us // 1_000_000, UTC).isoformat()
