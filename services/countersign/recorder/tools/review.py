"""``ToolReviewService``: what operators see of tools, accept, and have forgotten."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import grpc
from google.protobuf.json_format import MessageToJson

from countersign.api.access.v1 import tools_pb2, tools_pb2_grpc
from countersign.model.principal import Principal
from countersign.recorder.asked import BadQuestion
from countersign.recorder.audit import AuditTrail, NotAudited
from countersign.recorder.tools import asked
from countersign.recorder.tools.events import ToolEvents
from countersign.recorder.tools.plan import Forgetting, Review, Tool, accept, forget
from countersign.recorder.tools.ports import PinStore
from countersign.recorder.tools.watchers import Watchers
from countersign.runtime.moments import now_us
from countersign.runtime.postgres import DatabaseUnavailable
from countersign.runtime.sealing import Unsealable

PRINCIPAL_METADATA = "x-countersign-principal"
# What is asked is recorded, also of those who may not ask: nobody shall fill the record with it.
MAX_REQUEST_BYTES = 512 * 1024
MAX_STRANGER_BYTES = 16 * 1024
TOLD_WITHIN_S = 0.5

Context = grpc.aio.ServicerContext[object, object]
Request = tools_pb2.ListToolsRequest | tools_pb2.AcceptToolsRequest | tools_pb2.ForgetToolsRequest


class ToolReviewServer(tools_pb2_grpc.ToolReviewServiceServicer):
    """Every method: who asks, may they, is the question well formed, record it, do it.

    ``open_principal`` opens what authz sealed, or raises ``Unsealable``; ``is_operator`` is asked on every call, and
    ``is_configured`` whether gateway.yaml names a target.
    """

    def __init__(
        self,
        store: PinStore,
        trail: AuditTrail,
        watchers: Watchers,
        *,
        open_principal: Callable[[str], Principal],
        is_operator: Callable[[Principal], bool],
        is_configured: Callable[[str], bool],
        clock_us: Callable[[], int] = now_us,
    ) -> None:
        self._store = store
        self._trail = trail
        self._watchers = watchers
        self._open_principal = open_principal
        self._is_operator = is_operator
        self._is_configured = is_configured
        self._clock_us = clock_us
        self._events = ToolEvents(clock_us)

    async def ListTools(self, request: tools_pb2.ListToolsRequest, context: Context) -> tools_pb2.ListToolsResponse:
        """See tools.proto."""
        principal = await self._operator(request, context)
        try:
            wanted = asked.listing(request)
            await self._audited(principal, request, context)
            # One more than asked for tells whether there is a next page; one that is short of bytes has one, too.
            tools = await self._store.page(
                wanted.target, pending=wanted.pending, after=wanted.after, limit=wanted.limit + 1
            )
            shown = tools[: wanted.limit]
            more = bool(shown) and (len(tools) > len(shown) or await self._is_cut(wanted, shown))
        except (BadQuestion, NotAudited, DatabaseUnavailable) as error:
            await _abort(context, error)
        token = asked.next_page_token(shown[-1]) if more else ""
        reviewed = [asked.to_reviewed(tool, configured=self._is_configured(tool.target)) for tool in shown]
        return tools_pb2.ListToolsResponse(tools=reviewed, next_page_token=token)

    async def AcceptTools(
        self, request: tools_pb2.AcceptToolsRequest, context: Context
    ) -> tools_pb2.AcceptToolsResponse:
        """See tools.proto."""
        principal = await self._operator(request, context)
        try:
            done = await self._accept(principal, *asked.chosen(request), _trace(context))
        except (BadQuestion, NotAudited, DatabaseUnavailable) as error:
            await _abort(context, error)
        return tools_pb2.AcceptToolsResponse(accepted=done.accepted, not_accepted=done.not_accepted)

    async def ForgetTools(
        self, request: tools_pb2.ForgetToolsRequest, context: Context
    ) -> tools_pb2.ForgetToolsResponse:
        """See tools.proto."""
        principal = await self._operator(request, context)
        try:
            done = await self._forget(principal, *asked.chosen(request), _trace(context))
        except (BadQuestion, NotAudited, DatabaseUnavailable) as error:
            await _abort(context, error)
        forgotten = [tool.seen.name for tool in done.tools]
        return tools_pb2.ForgetToolsResponse(forgotten=forgotten, not_forgotten=done.not_forgotten)

    async def _accept(
        self, principal: Principal, target: str, wanted: list[tuple[str, bytes]], traceparent: str
    ) -> Review:
        revision = None
        async with self._store.held(target) as held:
            known = await held.tools([name for name, _ in wanted])
            done = accept(known, wanted, issuer=principal.issuer, subject=principal.subject, now_us=self._clock_us())
            await self._trail.append(self._events.accepted(target, done, principal, traceparent))
            if done.changes and held.listed is not None:
                revision = await held.save(held.listed, [change.after for change in done.changes])
        if revision is not None:
            await self._watchers.told(revision, within_s=TOLD_WITHIN_S)
        return done

    async def _forget(
        self, principal: Principal, target: str, wanted: list[tuple[str, bytes]], traceparent: str
    ) -> Forgetting:
        revision = None
        async with self._store.held(target) as held:
            done = forget(held.listed, await held.tools([name for name, _ in wanted]), wanted)
            await self._trail.append(self._events.forgotten(target, done, principal, traceparent))
            if done.tools and done.target is not None:
                revision = await held.save(done.target, (), [tool.seen.name for tool in done.tools])
        if revision is not None:
            await self._watchers.told(revision, within_s=TOLD_WITHIN_S)
        return done

    async def _is_cut(self, wanted: asked.Listing, shown: Sequence[Tool]) -> bool:
        last = (shown[-1].target, shown[-1].seen.name)
        return bool(await self._store.page(wanted.target, pending=wanted.pending, after=last, limit=1))

    async def _operator(self, request: Request, context: Context) -> Principal:
        """Return who asks, when they may; the attempts of others are recorded, too."""
        given = [str(value) for key, value in context.invocation_metadata() or () if key == PRINCIPAL_METADATA]
        try:
            # Two of them would leave open who asks; what is joined opens as nobody.
            principal = self._open_principal(",".join(given))
        except Unsealable:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "come through the gateway, with a bearer token")
        may = self._is_operator(principal)
        if request.ByteSize() > (MAX_REQUEST_BYTES if may else MAX_STRANGER_BYTES):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "request: too large")
        if not may:
            try:
                await self._audited(principal, request, context, allowed=False)
            except NotAudited as error:
                await _abort(context, error)
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "only operators may review tools")
        return principal

    async def _audited(self, principal: Principal, request: Request, context: Context, *, allowed: bool = True) -> None:
        await self._trail.record(
            principal,
            method=type(request).__name__.removesuffix("Request"),
            name="",
            asked=MessageToJson(request, indent=None, preserving_proto_field_name=True),
            allowed=allowed,
            traceparent=_trace(context),
            refused="not an operator",
        )


def _trace(context: Context) -> str:
    trace = [value for key, value in context.invocation_metadata() or () if key == "traceparent"]
    return str(trace[0])[:55] if len(trace) == 1 else ""


async def _abort(context: Context, error: Exception) -> None:
    match error:
        case BadQuestion():
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        case NotAudited():
            await context.abort(grpc.StatusCode.UNAVAILABLE, "what was asked cannot be recorded now: try again")
        case _:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the tools cannot be read now: try again")
