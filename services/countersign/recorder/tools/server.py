"""``ToolPinService``: the gateway's own services learn, and tell, what targets offer."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable

import grpc

from countersign.api.access.v1 import tools_pb2, tools_pb2_grpc
from countersign.recorder.asked import BadQuestion
from countersign.recorder.audit import AuditTrail, NotAudited
from countersign.recorder.tools import asked
from countersign.recorder.tools.events import ToolEvents
from countersign.recorder.tools.plan import Observation, Page, observe
from countersign.recorder.tools.ports import News, PinStore
from countersign.recorder.tools.watchers import Watchers
from countersign.runtime.moments import now_us
from countersign.runtime.postgres import DatabaseUnavailable

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.3
"""How late a change made by another replica is told at most, and how often something is said at least."""

TOLD_WITHIN_S = 0.5
"""How long who observes waits for those who judge to be told."""

MESSAGE_TOOLS = 1_000

Context = grpc.aio.ServicerContext[object, object]


class ToolPinServer(tools_pb2_grpc.ToolPinServiceServicer):
    """Observing: hold the target, work out, record, save, tell. Nothing is saved or told that is not recorded."""

    def __init__(
        self,
        store: PinStore,
        trail: AuditTrail,
        watchers: Watchers,
        *,
        clock_us: Callable[[], int] = now_us,
    ) -> None:
        self._store = store
        self._trail = trail
        self._watchers = watchers
        self._clock_us = clock_us
        self._events = ToolEvents(clock_us)

    async def ObserveTools(
        self, request: tools_pb2.ObserveToolsRequest, context: Context
    ) -> tools_pb2.ObserveToolsResponse:
        """See tools.proto."""
        try:
            seen = await self._observe(asked.page(request))
        except BadQuestion as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except (NotAudited, DatabaseUnavailable):
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the tools cannot be recorded now: try again")
        return tools_pb2.ObserveToolsResponse(tools=map(asked.to_pin, seen.tools), target=asked.to_target(seen.target))

    async def _observe(self, page: Page) -> Observation:
        revision = None
        async with self._store.held(page.target) as held:
            known = await held.tools([offer.name for offer in page.offers])
            seen = observe(held.listed, known, page, self._clock_us())
            if seen.changes or seen.overflow:
                await self._trail.append(self._events.changed(seen))
            if seen.is_news:
                revision = await held.save(seen.target, [change.after for change in seen.changes])
        if revision is not None:
            _log(seen)
            await self._watchers.told(revision, within_s=TOLD_WITHIN_S)
        return seen

    async def DescribeTool(
        self, request: tools_pb2.DescribeToolRequest, context: Context
    ) -> tools_pb2.DescribeToolResponse:
        """See tools.proto."""
        try:
            tool = await self._store.tool(request.target, request.name)
        except DatabaseUnavailable as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        if tool is None or tool.accepted is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "the tool was never accepted")
        accepted = tool.accepted
        return tools_pb2.DescribeToolResponse(accepted_digest=accepted.digest, definition=accepted.definition)

    async def WatchTools(
        self, _request: tools_pb2.WatchToolsRequest, context: Context
    ) -> AsyncIterator[tools_pb2.WatchToolsResponse]:
        """See tools.proto."""
        with self._watchers.joined() as watcher:
            while not self._watchers.draining:
                try:
                    news = await self._store.news(watcher.revision)
                except DatabaseUnavailable as error:
                    # Silence: whoever watches must not take what is old for what is.
                    log.warning("the tools cannot be read: %s", error)
                else:
                    for message in _messages(news):
                        yield message
                    if news is not None:
                        await self._watchers.has_told(watcher, news.revision)
                await watcher.wait(LOOK_EVERY_S)


def _messages(news: News | None) -> list[tools_pb2.WatchToolsResponse]:
    if news is None:
        return [tools_pb2.WatchToolsResponse(whole=True)]
    pins = asked.to_pins(news)
    slices = [pins[start : start + MESSAGE_TOOLS] for start in range(0, len(pins), MESSAGE_TOOLS)] or [[]]
    messages = [tools_pb2.WatchToolsResponse(tools=some) for some in slices]
    messages[0].targets.extend(map(asked.to_target, news.targets))
    messages[-1].whole = True
    return messages


def _log(seen: Observation) -> None:
    waiting = sum(change.after.state is not change.after.state.ACCEPTED for change in seen.changes)
    if waiting:
        log.warning("%d tools of a target wait to be accepted", waiting, extra={"target": seen.target.target})
