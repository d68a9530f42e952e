"""``SearchService``: auditors find events, and follow them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from countersign.api.recorder.v1 import event_pb2, search_pb2, search_pb2_grpc
from countersign.recorder.asked import BadQuestion
from countersign.recorder.audit import NotAudited
from countersign.recorder.door import Context, Door, abort
from countersign.recorder.entry import to_event
from countersign.recorder.search.asked import Place, following, page_token, searching
from countersign.recorder.search.finder import Finder
from countersign.recorder.search.following import Head, Shorter, Step, steps
from countersign.recorder.search.ports import Found, SearchStore, Wanted
from countersign.runtime.postgres import DatabaseUnavailable
from countersign.runtime.revocations import Ended

MAX_SEARCHES = 8
MAX_FOLLOWERS = 32
_ENCRYPTED = (
    "filter.text: bodies are encrypted (recording.encryption in gateway.yaml), so that their words are not indexed: "
    "search by the other fields, and read the sessions that are found"
)


class SearchServer(search_pb2_grpc.SearchServiceServicer):
    """Every method: who asks, may they, is the question well formed, record the asking, search.

    ``is_encrypted`` says whether bodies are encrypted now.
    """

    def __init__(self, store: SearchStore, head: Head, door: Door, *, is_encrypted: Callable[[], bool]) -> None:
        self._store = store
        self._finder = Finder(store)
        self._head = head
        self._door = door
        self._is_encrypted = is_encrypted
        self._searches = 0
        self._followers = 0

    async def SearchEvents(
        self, request: search_pb2.SearchEventsRequest, context: Context
    ) -> search_pb2.SearchEventsResponse:
        """See search.proto."""
        principal = await self._door.admit(request, "", context)
        if self._searches >= MAX_SEARCHES:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{MAX_SEARCHES} searches run already: try later")
        self._searches += 1
        try:
            asked = searching(request)
            await self._refuse_encrypted(asked.wanted, context)
            await self._door.audited(principal, request, "", context)
            page = await self._finder.page(asked.wanted, asked.place, asked.limit)
            shown, cut = await self._recorded(page.events, with_bodies=request.bodies)
        except (BadQuestion, NotAudited, DatabaseUnavailable, Ended) as error:
            await abort(context, error)
        finally:
            self._searches -= 1
        following = page.following if cut is None else Place(cut + 1, page.complete)
        token = "" if following is None else page_token(request, following)
        return search_pb2.SearchEventsResponse(events=shown, next_page_token=token, complete=page.complete)

    async def FollowEvents(
        self, request: search_pb2.FollowEventsRequest, context: Context
    ) -> AsyncIterator[search_pb2.FollowEventsResponse]:
        """See search.proto. Ends with status OK when the recorder stops, too: those who follow go on elsewhere."""
        principal = await self._door.admit(request, "", context)
        if self._followers >= MAX_FOLLOWERS:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{MAX_FOLLOWERS} follow already: try later")
        self._followers += 1
        try:
            wanted, start = following(request)
            await self._refuse_encrypted(wanted, context)
            end = (await self._store.extent()).head
            if start is not None and start > end:
                raise BadQuestion(f"from_index: the record ends at {end}")
            await self._door.audited(principal, request, "", context)
            found = steps(self._store, self._head, wanted, end if start is None else start)
            async for step in self._door.until_ended(principal, found):
                if not self._door.still(principal):
                    await context.abort(grpc.StatusCode.PERMISSION_DENIED, "no longer an auditor")
                async for message in self._messages(step, with_bodies=request.bodies):
                    yield message
        except Shorter:
            await context.abort(grpc.StatusCode.DATA_LOSS, "the record ends before what was sent: it was restored")
        except (BadQuestion, NotAudited, DatabaseUnavailable, Ended) as error:
            await abort(context, error)
        finally:
            self._followers -= 1

    async def _messages(self, step: Step, *, with_bodies: bool) -> AsyncIterator[search_pb2.FollowEventsResponse]:
        events: Sequence[Found] = step.events
        while True:
            shown, cut = await self._recorded(events, with_bodies=with_bodies)
            if cut is None:
                yield search_pb2.FollowEventsResponse(events=shown, next_index=step.next_index)
                return
            yield search_pb2.FollowEventsResponse(events=shown, next_index=cut)
            events = [one for one in events if one.index >= cut]

    async def _recorded(
        self, events: Sequence[Found], *, with_bodies: bool
    ) -> tuple[list[event_pb2.RecordedEvent], int | None]:
        """Return the messages of events in their order, as many as bodies let; and the index of the first left out."""
        if not with_bodies:
            return [_message(one, None, erased=one.body_erased) for one in events], None
        bodies = await self._store.bodies(events)
        shown: list[event_pb2.RecordedEvent] = []
        for one in events:
            if one.index == bodies.cut:
                return shown, one.index
            body = bodies.by_index.get(one.index)
            shown.append(_message(one, body, erased=one.shelf is not None and body is None))
        return shown, None

    async def _refuse_encrypted(self, wanted: Wanted, context: Context) -> None:
        if wanted.text is not None and self._is_encrypted():
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, _ENCRYPTED)


def _message(one: Found, body: bytes | None, *, erased: bool) -> event_pb2.RecordedEvent:
    recorded_at = Timestamp()
    recorded_at.FromDatetime(one.recorded_at)
    return event_pb2.RecordedEvent(
        index=one.index,
        sequence=one.sequence,
        recorded_at=recorded_at,
        event=to_event(one.record, body),
        body_erased=erased,
    )
