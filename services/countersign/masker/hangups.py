"""Calls whose callers left before the masker was asked about an answer: Envoy logs them to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

import grpc
from envoy.data.accesslog.v3 import accesslog_pb2
from envoy.service.accesslog.v3 import als_pb2, als_pb2_grpc

from countersign.masker.ends import HUNG_UP, Ends
from countersign.masker.records import EventMaker
from countersign.model.event import EventKind
from countersign.model.handoff import Handoff
from countersign.runtime.recording import EventSink, NotRecorded

log = logging.getLogger(__name__)

_AUTHZ_NAMESPACE = "envoy.filters.http.ext_authz"


def unanswered(entry: accesslog_pb2.HTTPAccessLogEntry) -> Handoff | None:
    """Return the handoff of a forwarded call of which its caller got nothing; ``None`` for any other entry.

    What a caller got, the masker released. Its target may have begun to answer in the moment in which the caller left:
    the masker may have been asked about that, or not.
    """
    common = entry.common_properties
    if common.HasField("time_to_first_downstream_tx_byte"):
        return None
    handed = common.metadata.filter_metadata[_AUTHZ_NAMESPACE].fields["handoff"].string_value
    return Handoff.from_json(handed) if handed else None


class HangUpService(als_pb2_grpc.AccessLogServiceServicer):
    """Envoy's AccessLogService. It hears after the fact and holds up no call; what it cannot record is logged."""

    def __init__(self, sink: EventSink, now_us: Callable[[], int], new_id: Callable[[], str], ends: Ends) -> None:
        self._sink = sink
        self._ends = ends
        self._now_us = now_us
        self._new_id = new_id
        self._readers: set[asyncio.Task[None]] = set()

    async def StreamAccessLogs(
        self,
        request_iterator: AsyncIterator[als_pb2.StreamAccessLogsMessage],
        _context: grpc.aio.ServicerContext[als_pb2.StreamAccessLogsMessage, als_pb2.StreamAccessLogsResponse],
    ) -> als_pb2.StreamAccessLogsResponse:
        """Record the calls that nobody waited for. Ends when Envoy ends the stream, or on ``drain``."""
        reader = asyncio.ensure_future(self._read(request_iterator))
        self._readers.add(reader)
        try:
            await asyncio.wait({reader})
        finally:
            self._readers.discard(reader)
            reader.cancel()
        return als_pb2.StreamAccessLogsResponse()

    def drain(self) -> None:
        """End the streams, which Envoy otherwise keeps for ever."""
        for reader in self._readers:
            reader.cancel()

    async def _read(self, messages: AsyncIterator[als_pb2.StreamAccessLogsMessage]) -> None:
        async for message in messages:
            for entry in message.http_logs.log_entry:
                await self._record(entry)

    async def _record(self, entry: accesslog_pb2.HTTPAccessLogEntry) -> None:
        try:
            handoff = unanswered(entry)
            if handoff is not None and self._ends.mine(handoff.call_id):
                self._ends.over(handoff.call_id)
                events = EventMaker(handoff, self._now_us, self._new_id)
                await self._sink.record(events.make(EventKind.RESPONSE, status=0, reason=HUNG_UP))
        except NotRecorded as error:
            log.warning("a caller that hung up could not be recorded: %s", error)
        except ValueError:
            log.warning("Envoy logged a call whose handoff cannot be read")
