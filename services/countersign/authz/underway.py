"""The ids of requests under way: within one session an id means one request at a time.

Two at once with one id could be taken for one another: by the target, by who cancels, and by who reads the record. Only
legacy sessions are one sender; elsewhere several processes may share a token and count from one.

A request whose caller hung up, or whose answer was cut or came too late, is under way still, as MCP has it: targets go
on, and send what comes of it to whoever asks something with that id next, by other rules and masks.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from countersign.authz.deciding import Undecidable
from countersign.authz.records import CallRecord
from countersign.mcp import INVALID_REQUEST, Era, McpRefused, MessageKind, Request
from countersign.runtime.handles import Handles, HandlesAway

PATIENCE_S = 1.0
"""For how long an id is waited for: an answer may be read before it is known here to be the last of its stream."""

FORGOTTEN_US = 600 * 1_000_000
"""After so long nobody is refused because of a request that was sent: its answer may never come, or be recorded."""

# About 15 MB. Beyond that the oldest is forgotten, and nobody refused because of it.
_MOST = 30_000
_FIRST_WAIT_S = 0.02


@dataclass(slots=True)
class _Begun:
    call_id: str
    session_id: str
    sent_us: int = 0


class UnderWay:
    """Knows the requests that this process let pass; that they ended it asks of the record, when an id comes again."""

    def __init__(self, handles: Handles, now_us: Callable[[], int]) -> None:
        self._handles = handles
        self._now_us = now_us
        self._begun: OrderedDict[tuple[str, str], _Begun] = OrderedDict()
        self._keys: dict[str, tuple[tuple[str, str], ...]] = {}

    async def begin(self, request: Request, record: CallRecord) -> None:
        """Take the ids of a request. Raises ``McpRefused`` while one is under way in this session, and ``Undecidable``.

        ``end`` or ``sent`` must be called for it afterwards.
        """
        if request.era is not Era.LEGACY or not request.session_id:
            return
        keys = tuple((record.session_id, each.id_json) for each in request.messages if each.kind is MessageKind.REQUEST)
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        wait_s = _FIRST_WAIT_S
        # Of several, one may have come again while another was asked about.
        while taken := [each for each in keys if await self._is_under_way(each)] or [
            each for each in keys if each in self._begun
        ]:
            if asyncio.get_running_loop().time() >= deadline:
                refusal = McpRefused(400, INVALID_REQUEST, "a request with this id is under way in this session")
                refusal.id_json = "" if request.is_batch else taken[0][1]
                raise refusal
            await asyncio.sleep(wait_s)
            wait_s *= 2
        for key in keys:
            self._begun[key] = _Begun(record.call_id, record.session_id)
        if keys:
            self._keys[record.call_id] = keys
        self._forget()

    def sent(self, call_id: str) -> None:
        """Note that a request was let pass: from now on the record knows of its end."""
        for key in self._keys.get(call_id, ()):
            if (begun := self._begun.get(key)) is not None:
                begun.sent_us = self._now_us()

    def end(self, call_id: str) -> None:
        """Give back the ids of a request that was answered here, or given up."""
        for key in self._keys.pop(call_id, ()):
            if (begun := self._begun.get(key)) is not None and begun.call_id == call_id:
                del self._begun[key]

    def _forget(self) -> None:
        """Forget what nobody is refused for any more; of nearly all calls nothing else says that they ended."""
        now_us = self._now_us()
        while self._begun:
            key, begun = next(iter(self._begun.items()))
            old = begun.sent_us and now_us - begun.sent_us >= FORGOTTEN_US
            if not old and len(self._begun) <= _MOST:
                return
            del self._begun[key]
            self._keys.pop(begun.call_id, None)

    async def _is_under_way(self, key: tuple[str, str]) -> bool:
        begun = self._begun.get(key)
        if begun is None:
            return False
        if begun.sent_us:
            try:
                over = self._now_us() - begun.sent_us >= FORGOTTEN_US
                over = over or await self._handles.has_ended(begun.session_id, begun.call_id)
            except HandlesAway as error:
                raise Undecidable(str(error)) from None
            if over:
                self.end(begun.call_id)
                return key in self._begun
        return True
