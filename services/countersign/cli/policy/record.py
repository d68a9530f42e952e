"""Past calls, read from the gateway's record as an auditor."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from countersign.api.recorder.v1 import event_pb2, session_pb2, session_pb2_grpc
from countersign.model.decision import Decision, Outcome
from countersign.model.event import Finding
from countersign.model.principal import Principal, PrincipalKind
from countersign.rehearsal.record import RecordedAnswer, RecordedCall, recorded_call

_OUTCOMES = {
    event_pb2.OUTCOME_ALLOW: Outcome.ALLOW,
    event_pb2.OUTCOME_DENY: Outcome.DENY,
    event_pb2.OUTCOME_APPROVE: Outcome.APPROVE,
}
# A stream's events are counted one by one, and its end repeats them.
_COUNTED = frozenset({event_pb2.EVENT_KIND_RESPONSE, event_pb2.EVENT_KIND_STREAM_EVENT})
_RETRIES = 5
_FIRST_WAIT_S = 0.2
_TIMEOUT_S = 30.0

Fact = RecordedCall | RecordedAnswer
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which calls to read: seen at ``since_us`` or later, before ``until_us``; bodies from ``bodies_since_us`` on."""

    since_us: int
    until_us: int
    bodies_since_us: int
    target: str = ""
    subject: str = ""


class Record:
    """The gateway's SessionService; errors are ``grpc.RpcError``. ``sleep`` waits before a broken stream goes on."""

    def __init__(self, channel: grpc.Channel, token: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._stub = session_pb2_grpc.SessionServiceStub(channel)
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._sleep = sleep

    def call(self, event_id: str) -> RecordedCall:
        """Return one call."""
        asked = session_pb2.StreamCallsRequest(filter=session_pb2.CallFilter(event_id=event_id))
        [found] = [
            to_call(fact.call)
            for answer in self._stub.StreamCalls(asked, metadata=self._metadata, timeout=_TIMEOUT_S)
            for fact in answer.facts
        ]
        return found

    def calls_of(self, session_id: str, call_id: str) -> list[RecordedCall]:
        """Return what was asked with one request of a session: more than one call where it was a batch."""
        asked = session_pb2.ReplaySessionRequest(session_id=session_id)
        return [
            to_call(answer.event)
            for answer in self._stub.ReplaySession(asked, metadata=self._metadata)
            if answer.event.event.call_id == call_id and answer.event.event.kind == event_pb2.EVENT_KIND_REQUEST
        ]

    def facts(self, wanted: Wanted, progress: Progress | None = None) -> Iterator[Fact]:
        """Send all calls and answers in order. A stream that breaks goes on where it broke, a few times.

        ``progress`` hears how many events were passed by now, and how many there are.
        """
        asked = session_pb2.StreamCallsRequest(
            since=_stamp(wanted.since_us),
            until=_stamp(wanted.until_us),
            bodies_since=_stamp(wanted.bodies_since_us),
            filter=session_pb2.CallFilter(target=wanted.target, subject=wanted.subject),
        )
        failures, first = 0, -1
        while True:
            try:
                for answer in self._stub.StreamCalls(asked, metadata=self._metadata):
                    failures, asked.from_index = 0, answer.next_index
                    first = answer.next_index if first < 0 else first
                    for fact in answer.facts:
                        yield from _facts(fact)
                    if progress is not None:
                        progress(answer.next_index - first, answer.end_index - first)
            except grpc.RpcError as error:
                failures += 1
                call: object = error
                gone = isinstance(call, grpc.Call) and call.code() is grpc.StatusCode.UNAVAILABLE
                if not gone or asked.from_index == 0 or failures > _RETRIES:
                    raise
                self._sleep(_FIRST_WAIT_S * 2**failures)
            else:
                return


def to_call(recorded: event_pb2.RecordedEvent) -> RecordedCall:
    """Return the call of an event of kind REQUEST."""
    event = recorded.event
    who, decided = event.principal, event.decision
    params = event.body.decode("utf-8", "replace")
    kind = PrincipalKind.PERSON
    with suppress(ValueError):
        kind = PrincipalKind(who.kind)
    return RecordedCall(
        index=recorded.index,
        event_id=event.event_id,
        session_id=event.session_id,
        call_id=event.call_id,
        time_us=event.time_us,
        source_address=event.source_address,
        principal=Principal(
            *(who.issuer, who.subject, tuple(who.groups), kind, who.token_id, tuple(who.actors)),
            token_subject=who.token_subject,
        ),
        call=recorded_call(event.target, event.method, event.name, params),
        decision=Decision(
            outcome=_OUTCOMES.get(decided.outcome, Outcome.REFUSED),
            rules=tuple(decided.rules),
            masks=tuple(decided.masks),
            reason=decided.reason,
            message="",
            policy_version=decided.policy_version,
        ),
        findings=tuple(Finding(one.label, one.place, one.count) for one in event.findings),
        # Params are an object; what could not be masked stands there as a text, and what was erased not at all.
        complete=params.lstrip().startswith("{") or not (params or event.body_type),
    )


def _facts(fact: session_pb2.CallFact) -> Iterator[Fact]:
    if fact.HasField("call"):
        yield to_call(fact.call)
    elif fact.answer.kind in _COUNTED and fact.answer.subject:
        answer = fact.answer
        yield RecordedAnswer(
            index=answer.index,
            time_us=answer.time_us,
            issuer=answer.issuer,
            subject=answer.subject,
            target=answer.target,
            rows=answer.row_count,
            size_bytes=answer.size_bytes,
        )


def _stamp(time_us: int) -> Timestamp:
    return Timestamp(seconds=time_us // 1_000_000, nanos=time_us % 1_000_000 * 1_000)
