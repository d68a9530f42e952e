"""What callers come back with: answers to a target's requests, states, tasks. Only what they were shown is good."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container, Sequence
from dataclasses import replace

from countersign.authz.deciding import Undecidable
from countersign.authz.records import CallRecord
from countersign.authz.sessions import SessionOfCall
from countersign.mcp import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    Handle,
    HandleKind,
    McpRefused,
    Message,
    MessageKind,
    Request,
    answered_request,
    made_tasks,
    presented_handles,
    related_tasks,
    undeclared_tasks,
)
from countersign.model.call import Call
from countersign.model.methods import OTHER_ANSWER
from countersign.runtime.handles import HandleOwner, Handles, HandlesAway, Known
from countersign.runtime.sealing import is_task

_CANCELLED = "notifications/cancelled"
_NOT_PENDING = "no request with this id waits for an answer in this session"
_UNKNOWN_STATE = "the requestState is not one that was given to this caller, or its time is over"
_UNKNOWN_TASK = "there is no such task"
_MASKS_GONE = "the call that this goes on from was masked by what gateway.yaml has no more"

_Step = Callable[[HandleOwner, Sequence[Handle]], Awaitable[bool]]


class Returns:
    """Asks what was shown to whom. Most requests come back with nothing: of those nothing is asked."""

    def __init__(self, handles: Handles) -> None:
        self._handles = handles

    async def answered(self, request: Request, record: CallRecord) -> Request:
        """Return a client's answers as calls of the methods that their target asked for; other requests as they are.

        Raises ``McpRefused`` unless all of them answer what their session was asked, and ``Undecidable``.
        """
        if not is_answer(request):
            return request
        try:
            found = await self._handles.find(_owner(record), [answered_request(each) for each in request.messages])
        except HandlesAway as error:
            raise Undecidable(str(error)) from None
        methods = [known.method for known in found if known is not None]
        if len(methods) != len(found):
            raise McpRefused(400, INVALID_REQUEST, _NOT_PENDING)
        target = record.inquiry.target
        pairs = zip(request.messages, methods, strict=True)
        return replace(request, messages=tuple(_as_call(target, message, method) for message, method in pairs))

    async def take(self, request: Request, record: CallRecord) -> None:
        """Take what a client answers, for this answer; right before its record, so that what is denied takes nothing.

        Should its record fail, or we, the same answer can come again, and no other one. Raises ``McpRefused`` when
        another answer was faster, and ``Undecidable``.
        """
        await self._answering(request, record, self._handles.take)

    async def spend(self, request: Request, record: CallRecord) -> None:
        """Use up what was taken for this answer; right before it is sent, so that its target gets it once at most.

        A task that it makes is its session's from now on. Raises ``McpRefused`` when the same answer was sent by
        somebody else, and ``Undecidable``.
        """
        made = [task for message in request.messages for task in made_tasks(message)]
        try:
            if made:
                await self._handles.keep(_owner(record), made)
        except HandlesAway as error:
            raise Undecidable(str(error)) from None
        await self._answering(request, record, self._handles.spend)

    async def _answering(self, request: Request, record: CallRecord, step: _Step) -> None:
        if not is_answer(request):
            return
        try:
            done = await step(_owner(record), [answered_request(each) for each in request.messages])
        except HandlesAway as error:
            raise Undecidable(str(error)) from None
        if not done:
            raise McpRefused(400, INVALID_REQUEST, _NOT_PENDING)

    async def check(self, request: Request, record: CallRecord, known_masks: Container[str]) -> frozenset[str]:
        """Return the masks of the calls that handed out the states and tasks with which a request comes back.

        What comes of them is masked by these, too: by another call its caller may be shown more. Raises ``McpRefused``
        when its caller never saw one of them, or a mask is none of ``known_masks`` any more, and ``Undecidable``.
        """
        masks: frozenset[str] = frozenset()
        for message in request.messages:
            # Tasks of our own are bound to their callers, and no target's to tell of.
            try:
                presented = [each for each in presented_handles(message) if not _is_ours(each)]
                if presented:
                    masks |= await self._check(message, presented, _owner(record))
                for related in related_tasks(message):
                    if not _is_ours(related):
                        masks |= await self._related(message, related, _owner(record))
                if not all(mask in known_masks for mask in masks):
                    raise McpRefused(400, INVALID_PARAMS, _MASKS_GONE)
            except McpRefused as refusal:
                refusal.id_json = message.id_json
                raise
        return masks

    async def _check(self, message: Message, presented: Sequence[Handle], owner: HandleOwner) -> frozenset[str]:
        # Asked each time: another call may have shown the same one since, and its masks are these, too.
        masks: frozenset[str] = frozenset()
        for handle, found in zip(presented, await self._found(owner, presented), strict=True):
            if found is None:
                raise _unknown(message, handle)
            masks |= frozenset(found.masks)
        return masks

    async def _related(self, message: Message, task: Handle, owner: HandleOwner) -> frozenset[str]:
        """Return the masks of the task of a notification or an answer, which may be one that the client made."""
        found = await self._found(owner, [task, replace(task, kind=HandleKind.OWN_TASK)])
        known = [each for each in found if each is not None]
        if not known:
            raise _unknown(message, task)
        return frozenset(mask for each in known for mask in each.masks)

    async def _found(self, owner: HandleOwner, handles: Sequence[Handle]) -> Sequence[Known | None]:
        try:
            return await self._handles.find(owner, handles) if handles else ()
        except HandlesAway as error:
            raise Undecidable(str(error)) from None


def is_answer(request: Request) -> bool:
    """Whether a request holds a client's answers: a batch holds nothing else then."""
    return any(message.kind is MessageKind.RESPONSE for message in request.messages)


def cancels_for_nobody(request: Request, session: SessionOfCall) -> bool:
    """Whether a request takes back another one at a target that cannot tell whose that was: there is no session.

    Ids are their senders' own, and all senders show the target the gateway's credential. Where there is no session,
    clients cancel by hanging up (MCP 2026-07-28, Cancellation). Raises ``McpRefused`` when more is asked in one batch.
    """
    calls = [message.call for message in request.messages]
    if session.target_session or not any(call is not None and call.method == _CANCELLED for call in calls):
        return False
    if len(calls) > 1:
        raise McpRefused(400, INVALID_REQUEST, "without a session a cancellation stands by itself")
    return True


def _as_call(target: str, message: Message, method: str) -> Message:
    return replace(message, call=Call(target, method or OTHER_ANSWER, params_json=message.answer_json))


def _unknown(message: Message, handle: Handle) -> McpRefused:
    if handle.kind is HandleKind.STATE:
        return McpRefused(400, INVALID_PARAMS, _UNKNOWN_STATE)
    # As the target would have answered, whatever the task.
    return undeclared_tasks(message) or McpRefused(400, INVALID_PARAMS, _UNKNOWN_TASK)


def _is_ours(handle: Handle) -> bool:
    return handle.kind is HandleKind.TASK and is_task(handle.value)


def _owner(record: CallRecord) -> HandleOwner:
    principal = record.principal
    return HandleOwner(record.session_id, principal.issuer, principal.subject, record.inquiry.target)
