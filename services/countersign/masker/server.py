"""The ext_proc service: one stream a call."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import grpc
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb
from envoy.service.ext_proc.v3 import external_processor_pb2_grpc as pb_grpc

from countersign.masker import envoy
from countersign.masker.budget import Budget
from countersign.masker.ends import Ends
from countersign.masker.exchange import Exchange, Reset
from countersign.masker.quiet import KEEPALIVE, TooSilent
from countersign.masker.request import PARTS, NoTokens, RequestSide
from countersign.masker.tokens import HandedBack
from countersign.masker.tools import Pins
from countersign.runtime import telemetry
from countersign.runtime.aside import Aside
from countersign.runtime.handles import Handles
from countersign.runtime.live import Live
from countersign.runtime.logs import place_of
from countersign.runtime.moments import new_id, now_us
from countersign.runtime.recording import EventSink, NotRecorded
from countersign.runtime.revocations import Ended, Revocations
from countersign.runtime.rulebook import Rulebook
from countersign.runtime.sealing import Sealer
from countersign.runtime.tokens import Vault

log = logging.getLogger(__name__)

_ASIDE_FROM_BYTES = 128 * 1024
# To mask a large answer takes several times its size in memory.
_ASIDE_AT_ONCE = 2
_HELD_BYTES = 256 * 1024 * 1024

Context = grpc.aio.ServicerContext[pb.ProcessingRequest, pb.ProcessingResponse]


class MaskerService(pb_grpc.ExternalProcessorServicer):
    """Envoy's ExternalProcessor: whatever goes wrong here cuts or replaces what was to pass, never lets it pass."""

    def __init__(
        self,
        rulebook: Rulebook,
        sink: EventSink,
        sealer: Sealer,
        pins: Pins,
        revocations: Revocations,
        vault: Vault | None = None,
        handles: Handles | None = None,
        ends: Ends | None = None,
    ) -> None:
        self._rulebook = rulebook
        self._sink = sink
        self._sealer = sealer
        self._pins = pins
        self._vault = vault
        self._handles = handles
        self._ends = ends or Ends()
        self._live = Live(revocations, now_us)
        self._aside = Aside(from_bytes=_ASIDE_FROM_BYTES, at_once=_ASIDE_AT_ONCE)
        self._budget = Budget(_HELD_BYTES)
        self._farewells: set[asyncio.Task[None]] = set()

    async def Process(
        self,
        _request_iterator: AsyncIterator[pb.ProcessingRequest],
        context: Context,
    ) -> None:
        """Take one call's messages; see ``RequestSide`` and ``Exchange``."""
        handed = None if self._vault is None else HandedBack(self._vault, self._rulebook)
        hold = self._live.hold()
        request = RequestSide(
            self._rulebook,
            self._sink,
            handed or NoTokens(),
            self._sealer,
            self._aside,
            now_us,
            new_id,
            hold.of,
            self._ends,
        )
        exchange = Exchange(
            self._rulebook,
            self._sink,
            self._sealer,
            self._pins,
            self._aside,
            self._budget,
            now_us,
            new_id,
            hold.of,
            self._vault,
            handed,
            self._handles,
            self._ends,
        )
        began_ns = time.time_ns()
        traceparent = telemetry.traceparent_of(context.invocation_metadata())
        begun = False
        try:
            with hold:
                # Read and written by hand: a tenth less of this process's time than iterators. Nor is it waited for
                # Envoy's end of the stream once it has all.
                while not exchange.done and isinstance(message := await _read(context, exchange), pb.ProcessingRequest):
                    side = request if message.WhichOneof("request") in PARTS else exchange
                    for reply in await side.step(message):
                        # See ``Hold``: an answer must not be revoked in the write that begins it.
                        await (context.write(reply) if begun else hold.whole(context.write(reply)))
                        begun = True
        except Ended as error:
            await self._end(request, exchange, str(error), context)
        except Reset as error:
            await self._cut(exchange, error, context)
        except TooSilent as error:
            await self._cut(exchange, Reset(str(error)), context)
        except Exception as error:
            # The message of an unforeseen error may quote the answer: log its type and place only.
            log.error("masking failed: %s at %s", type(error).__name__, place_of(error))  # noqa: TRY400
            await self._record_quietly((request if request.unfinished else exchange).cut("masking failed"))
            await context.abort(grpc.StatusCode.INTERNAL, "the answer is cut")
        finally:
            # Runs when Envoy closed the stream, too: it cancels one whose last message it has, and one whose caller or
            # target went away.
            exchange.close()
            telemetry.span_of_past("masker.answer", traceparent, began_ns, time.time_ns())
            if exchange.unfinished:
                farewell = asyncio.ensure_future(self._record_quietly(exchange.abandoned()))
                self._farewells.add(farewell)
                farewell.add_done_callback(self._farewells.discard)

    async def _end(self, request: RequestSide, exchange: Exchange, reason: str, context: Context) -> None:
        """End a call because its caller was revoked, or nobody knows whether."""
        if not exchange.begun:
            # Its target is silent: Envoy takes an answer in its place at any time. A stream that ended well would have
            # it pass the target's answer as it is, should it come to that.
            for reply in await request.end(reason):
                await context.write(reply)
            await context.abort(grpc.StatusCode.INTERNAL, "the call is ended")
        try:
            for reply in await exchange.end(reason):
                await context.write(reply)
        except Reset as error:
            await self._cut(exchange, error, context)

    async def _cut(self, exchange: Exchange, why: Reset, context: Context) -> None:
        await self._record_quietly(exchange.cut(str(why), why.findings))
        await context.abort(grpc.StatusCode.INTERNAL, "the answer is cut")

    async def settle(self) -> None:
        """Wait until the ends of all abandoned answers are recorded."""
        if self._farewells:
            await asyncio.wait(self._farewells)

    async def _record_quietly(self, recording: Coroutine[Any, Any, None]) -> None:
        try:
            await recording
        except NotRecorded as error:
            log.warning("the end of an answer could not be recorded: %s", error)


async def _read(context: Context, exchange: Exchange) -> object:
    """Read the next message. Meanwhile, a stream of events is kept alive; the last of it that was written is whole."""
    if exchange.quiet is None:
        return await context.read()
    try:
        return await exchange.quiet.until(context.read(), lambda: context.write(envoy.body(KEEPALIVE, ends=False)))
    except grpc.aio.BaseError:
        # The caller left in this very moment, which is an end like any other.
        return None
