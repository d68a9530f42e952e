"""What callers hand back of ours in a ``requestState``: a wait for approval, or what their target said, sealed.

Opened it is as its target would have got it without us.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from countersign.authz.records import CallRecord
from countersign.config import Target
from countersign.jsontext import Edit, apply_edits, parse, quote, value_span
from countersign.mcp import Message, MessageKind, Request, read_means, read_request, read_state
from countersign.runtime.aside import Aside
from countersign.runtime.outgoing import restored
from countersign.runtime.sealing import Sealer, WaitState, is_sealed_state, is_wait

_DEEPEST = 1_000  # More than gateway.yaml can permit.


@dataclass(frozen=True, slots=True)
class Reopened:
    """A request as its target would get it.

    ``handed`` is the same with what its caller was handed for its target: a state there may be sealed. ``nested`` is
    what it has in place of what its caller handed back of ours: JSON text of an object of its own members
    (``runtime.outgoing.restored``); ``None``: the caller handed nothing back. ``wait`` is the one that it goes on with.
    """

    request: Request
    record: CallRecord
    handed: Request
    nested: str | None = None
    wait: WaitState | None = None


class Reopener:
    """Opens what was sealed for a caller; large requests are read ``aside``."""

    def __init__(self, sealer: Sealer, aside: Aside, now_us: Callable[[], int]) -> None:
        self._sealer = sealer
        self._aside = aside
        self._now_us = now_us

    async def reopened(self, target: Target, record: CallRecord, request: Request, *, max_depth: int) -> Reopened:
        """Return a request with its target's own state, and the same one when it holds nothing of ours.

        Raises ``Unsealable`` for what only looks like ours, was handed to somebody else, or is over.
        """
        size_bytes = len(record.inquiry.http.body)
        return await self._aside.run(size_bytes, lambda: self._reopened(target, record, request, max_depth))

    def _reopened(self, target: Target, record: CallRecord, request: Request, max_depth: int) -> Reopened:
        state, nested, wait = read_state(request.messages[0]), None, None
        if is_wait(state):
            wait = self._sealer.open_wait(record.principal, target.name, state, self._now_us())
            nested = wait.nested
            request, record = _with(nested, target, record, max_depth)
            state = read_state(request.messages[0])
        handed, message = request, request.messages[0]
        if is_sealed_state(state) and message.kind is MessageKind.REQUEST:
            nested = _with_state(message, self._sealer.open_state(record.principal, target.name, state))
            request, record = _with(nested, target, record, max_depth)
        return Reopened(request, record, handed, nested, wait)


def _with(nested: str, target: Target, record: CallRecord, max_depth: int) -> tuple[Request, CallRecord]:
    """Return a request that goes on with these members, and its record."""
    http = replace(record.inquiry.http, body=restored(record.inquiry.http.body, nested))
    request = read_request(target.name, http, max_depth=max_depth)
    return request, replace(record, inquiry=replace(record.inquiry, http=http))


def _with_state(message: Message, state: str) -> str:
    """Return the members by which a message goes on, with another state."""
    sent = parse(read_means(message).nested, max_depth=_DEEPEST)
    span = value_span(sent, ("requestState",))
    assert span is not None, "it was read"
    return apply_edits(sent.text, [Edit(*span, quote(state))])
