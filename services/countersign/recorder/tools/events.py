"""The events of tools that changed, were accepted or forgotten: what the record says of them."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from countersign.model.decision import Decision, Outcome
from countersign.model.event import Event, EventKind
from countersign.model.principal import Principal
from countersign.pins import Difference, Flag, differences, read_masked
from countersign.recorder.tools.plan import Change, Forgetting, Observation, Review, Tool, ToolState

JSON_TYPE = "application/json"
_SESSIONS = uuid.UUID("3b6ce1a4-9e55-5b38-8b0c-6c5d8a1f0e27")
_DIFFERENCES_CHARACTERS = 4 * 1024 * 1024


def tools_session(target: str) -> uuid.UUID:
    """Return the session that records what became of a target's tools: always the same."""
    return uuid.uuid5(_SESSIONS, target)


def compared(tool: Tool) -> tuple[Difference, ...]:
    """Return where what was seen last differs from what was accepted; nothing for a tool that was never accepted.

    Definitions are compared as they are kept, masked: what differs under a mask is told without saying where.
    """
    if tool.accepted is None or tool.accepted.digest == tool.seen.digest:
        return ()
    found = differences(read_masked(tool.accepted.definition), read_masked(tool.seen.definition))
    return found or (Difference("$", "", "differs only in what is masked"),)


@dataclass(frozen=True, slots=True)
class ToolEvents:
    """Makes the events. ``clock_us`` gives microseconds since the epoch, ``new_id`` fresh UUIDs."""

    clock_us: Callable[[], int] = lambda: time.time_ns() // 1_000
    new_id: Callable[[], uuid.UUID] = uuid.uuid4

    def changed(self, observation: Observation) -> Event:
        """Return the event of a listing that brought news."""
        room = _DIFFERENCES_CHARACTERS
        tools: list[dict[str, object]] = []
        for change in observation.changes:
            told = _change(change)
            shown = compared(change.after) if room > 0 else ()
            room -= sum(len(one.before) + len(one.after) for one in shown)
            if shown:
                told["differences"] = [{"place": d.place, "before": d.before, "after": d.after} for d in shown]
            tools.append(told)
        body: dict[str, object] = {"tools": tools}
        if observation.overflow:
            body["tools_not_kept"] = observation.overflow
        return self._event(EventKind.TOOLS_CHANGED, observation.target.target, "tools/list", body)

    def accepted(self, target: str, review: Review, principal: Principal, traceparent: str) -> Event:
        """Return the event of an operator's acceptance."""
        body: dict[str, object] = {
            "tools": [_change(change) for change in review.changes],
            "accepted": review.accepted,
            "not_accepted": review.not_accepted,
        }
        return self._event(EventKind.TOOLS_ACCEPTED, target, "AcceptTools", body, principal, traceparent)

    def forgotten(self, target: str, done: Forgetting, principal: Principal, traceparent: str) -> Event:
        """Return the event of tools that an operator had forgotten."""
        body: dict[str, object] = {
            "tools": [_last(tool) for tool in done.tools],
            "forgotten": [tool.seen.name for tool in done.tools],
            "not_forgotten": done.not_forgotten,
        }
        return self._event(EventKind.TOOLS_FORGOTTEN, target, "ForgetTools", body, principal, traceparent)

    def _event(
        self,
        kind: EventKind,
        target: str,
        method: str,
        body: dict[str, object],
        principal: Principal | None = None,
        traceparent: str = "",
    ) -> Event:
        return Event(
            event_id=str(self.new_id()),
            session_id=str(tools_session(target)),
            call_id=str(self.new_id()),
            kind=kind,
            time_us=self.clock_us(),
            target=target,
            method=method,
            principal=principal,
            decision=None if principal is None else Decision(Outcome.ALLOW, (), (), "", "", ""),
            body=json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(),
            body_type=JSON_TYPE,
            traceparent=traceparent,
        )


def _change(change: Change) -> dict[str, object]:
    before, after = change.before, change.after
    told: dict[str, object] = {"name": after.seen.name, "state": after.state.name.lower()}
    if before is not None:
        told["was"] = before.state.name.lower()
    told["digest"] = after.seen.digest.hex()
    if after.state is ToolState.CHANGED and after.accepted is not None:
        told["accepted_digest"] = after.accepted.digest.hex()
    if before is None or before.seen.digest != after.seen.digest:
        told["definition"] = json.loads(after.seen.definition)
    if after.seen.flags:
        told["flags"] = _flags(after.seen.flags)
    return told


def _last(tool: Tool) -> dict[str, object]:
    told: dict[str, object] = {
        "name": tool.seen.name,
        "was": tool.state.name.lower(),
        "digest": tool.seen.digest.hex(),
    }
    if tool.accepted is not None:
        told["accepted_digest"] = tool.accepted.digest.hex()
    return told


def _flags(flags: Sequence[Flag]) -> list[dict[str, object]]:
    return [{"hidden": flag.hidden, "place": flag.place, "what": flag.what} for flag in flags]
