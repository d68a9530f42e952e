"""What reaches no target at the one door: on the record with its caller, answered, and passed on to nobody."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import replace

from countersign.authz.envoy import Answer, Inquiry, Summary
from countersign.authz.records import CallRecord, EventMaker
from countersign.authz.sessions import session_of
from countersign.mcp import INVALID_PARAMS, Era, Message, MessageKind, Reply, Request
from countersign.mcp.eras import REQUEST_METHODS
from countersign.mcp.errors import METHOD_NOT_FOUND
from countersign.mcp.means import read_task_id
from countersign.mcp.replies import error_json
from countersign.model.call import Call, NameKind
from countersign.model.decision import Decision, Outcome
from countersign.model.door import HUB_NAME
from countersign.model.door_names import NotNamed, split_handle, split_tool_name, split_uri
from countersign.model.event import Event
from countersign.model.methods import OTHER_ANSWER
from countersign.model.principal import Principal
from countersign.runtime.aside import Aside
from countersign.runtime.recording import EventSink
from countersign.runtime.rulebook import InForce
from countersign.runtime.sealing import Sealer
from countersign.runtime.slices import record_all

_NO_TARGET = "there is no such target"


class Nameless:
    """Answers requests that name no target, or a method that none has: whoever tries what there is leaves a trace.

    ``new_id`` gives a fresh UUID. Large requests are masked for the record ``aside``.
    """

    def __init__(self, sink: EventSink, sealer: Sealer, aside: Aside, new_id: Callable[[], str]) -> None:
        self._sink = sink
        self._sealer = sealer
        self._aside = aside
        self._new_id = new_id
        self._events = EventMaker(new_id)

    async def answer(
        self, inquiry: Inquiry, principal: Principal, request: Request, arrived_us: int, in_force: InForce
    ) -> Answer | None:
        """Return the answer to a request that is for no target of gateway.yaml, once it is recorded as denied.

        ``None`` for any other, which the hub sees to. Raises ``NotRecorded``.
        """
        message = request.messages[0]
        nobodys = None if request.is_batch else _nobodys(message, in_force.config.targets)
        if nobodys is None:
            return None
        code, said = nobodys
        record = self._record(inquiry, principal, request, arrived_us)
        # As of targets of its era.
        status = 404 if code == METHOD_NOT_FOUND and message.era is Era.MODERN else 200
        reply = Reply(status, error_json(message.id_json, code, said).encode())
        reason = f"it is asked of no target: {said}"
        decision = Decision(Outcome.DENY, (), (), reason, said, in_force.config.version)
        masker = in_force.masks.for_records()
        event = await self._aside.run(
            len(inquiry.http.body),
            lambda: self._events.judged(record, message, decision, masker, reply.status, None),
        )
        await self._sink.record(event)
        return Answer(reply, Summary(record.session_id, record.call_id, decision.outcome.value))

    async def dismiss(
        self,
        inquiry: Inquiry,
        principal: Principal,
        request: Request,
        arrived_us: int,
        in_force: InForce,
        *,
        status: int,
        reason: str,
    ) -> Summary:
        """Record as refused what the hub answers by itself, with this status: it knows what its sessions wait for.

        Arguments, and what a client answers, are masked as any call's. Raises ``NotRecorded``.
        """
        record = self._record(inquiry, principal, request, arrived_us)
        decision = Decision(Outcome.REFUSED, (), (), reason, "", in_force.config.version)
        masker = in_force.masks.for_records()

        def make() -> list[Event]:
            made = [
                self._events.judged(record, _with_answer(each), decision, masker, status, None)
                for each in request.messages
            ]
            return [replace(event, reason=reason) for event in made]

        await record_all(self._sink.record, await self._aside.run(len(inquiry.http.body), make))
        return Summary(record.session_id, record.call_id, decision.outcome.value)

    def _record(self, inquiry: Inquiry, principal: Principal, request: Request, arrived_us: int) -> CallRecord:
        # As what cannot be read: all that one token tries is one thread, whatever sessions it begins.
        session = session_of(replace(request, session_id=""), principal, HUB_NAME, self._sealer, self._new_id)
        return CallRecord(session.session_id, self._new_id(), arrived_us, inquiry, principal)


def _with_answer(message: Message) -> Message:
    """Return a client's answer as a call of which its answer is the arguments; any other message as it is."""
    if message.kind is not MessageKind.RESPONSE:
        return message
    return replace(message, call=Call(HUB_NAME, OTHER_ANSWER, params_json=message.answer_json))


def _nobodys(message: Message, targets: Container[str]) -> tuple[int, str] | None:
    """Return the code and the text of the error for what is asked of no target; ``None`` for anything else."""
    call = message.call if message.kind is MessageKind.REQUEST else None
    if call is not None and call.method not in REQUEST_METHODS:
        return METHOD_NOT_FOUND, "there is no such method at the one door"
    try:
        target = named_target(message)
    except NotNamed as error:
        return INVALID_PARAMS, str(error)
    return None if target is None or target in targets else (INVALID_PARAMS, _NO_TARGET)


def named_target(message: Message) -> str | None:
    """Return the target whose name a request at the one door begins with; ``None`` when it is about no single one.

    Raises ``NotNamed``.
    """
    call = message.call
    if call is None or message.kind is not MessageKind.REQUEST:
        return None
    if call.name_kind is NameKind.RESOURCE:
        return split_uri(call.name)[0]
    if call.name_kind is not NameKind.NONE:
        return split_tool_name(call.name)[0]
    if call.method.startswith("tasks/") and call.method != "tasks/list":
        return split_handle(read_task_id(message))[0]
    return None
