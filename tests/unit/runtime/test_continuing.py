"""Where a sender puts events whose session was sealed."""

from __future__ import annotations

from uuid import UUID

from countersign.api.recorder.v1 import event_pb2
from countersign.model.continuation import next_session
from countersign.runtime.continuing import Continuing
from countersign.runtime.recording import to_message
from tests.support.events import new_id, request

FIRST = new_id()
CHAIN = [FIRST]
for _ in range(4):
    CHAIN.append(str(next_session(UUID(CHAIN[-1]))))


def placed(message: event_pb2.Event) -> tuple[str, str]:
    return message.session_id, message.continues


def event(session: str = FIRST) -> event_pb2.Event:
    return to_message(request(session))


def test_event_goes_on_where_the_recorder_says_and_later_ones_at_once() -> None:
    known = Continuing()
    refused = event()
    assert known.go_on(refused, CHAIN[2])
    assert placed(refused) == placed(known.continued(event())) == (CHAIN[2], CHAIN[1])
    assert placed(known.continued(event(new_id())))[1] == ""


def test_chain_is_followed_as_it_grows() -> None:
    known = Continuing()
    for link in (1, 2, 4):
        assert known.go_on(known.continued(event()), CHAIN[link])
    assert placed(known.continued(event())) == placed(known.continued(event(CHAIN[2]))) == (CHAIN[4], CHAIN[3])


def test_session_that_does_not_go_on_from_the_events_own_is_not_believed() -> None:
    known = Continuing()
    for said in (new_id(), FIRST, "", "next"):
        message = event()
        assert not known.go_on(message, said)
        assert placed(message) == placed(known.continued(event())) == (FIRST, "")


def test_only_so_many_sessions_are_remembered_and_the_latest_used_of_them() -> None:
    known = Continuing(most=2)
    sessions = [new_id() for _ in range(3)]
    for session in sessions:
        known.go_on(event(session), str(next_session(UUID(session))))
        known.continued(event(sessions[0]))
    assert [bool(known.continued(event(session)).continues) for session in sessions] == [True, False, True]
