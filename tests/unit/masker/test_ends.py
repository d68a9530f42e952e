"""Each call is ended on the record by one alone, also when its caller leaves as the answer begins."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from envoy.data.accesslog.v3.accesslog_pb2 import HTTPAccessLogEntry
from envoy.service.accesslog.v3.als_pb2 import StreamAccessLogsMessage

from countersign.masker.ends import HUNG_UP, Ends
from countersign.masker.hangups import HangUpService
from countersign.model.event import EventKind
from countersign.model.handoff import HandedCall, Handoff
from countersign.model.principal import Principal, PrincipalKind
from countersign.runtime.moments import new_id, now_us
from tests.support.sinks import Sink

ALICE = Principal("https://idp.test", "alice", ("analysts",), PrincipalKind.PERSON, "t1")


def test_a_call_is_taken_over_once_and_known_for_a_while_when_it_is_over() -> None:
    ends = Ends(most_over=2)
    assert ends.mine("a")
    assert not ends.mine("a")
    ends.over("a")
    assert not ends.mine("a")
    for other in ("b", "c"):
        assert ends.mine(other)
        ends.over(other)
    # Long over, it is forgotten: what is remembered is bounded.
    assert ends.mine("a")
    assert not ends.mine("c")


def entry(handoff: Handoff, *, answered: bool, begun: bool = True) -> HTTPAccessLogEntry:
    """What Envoy tells of a call whose caller left."""
    told = HTTPAccessLogEntry()
    common = told.common_properties
    metadata = common.metadata.filter_metadata["envoy.filters.http.ext_authz"]
    metadata.fields["handoff"].string_value = handoff.to_json()
    if begun:
        told.response.response_code.value = 200
        common.time_to_first_upstream_rx_byte.FromMilliseconds(3)
    if answered:
        common.time_to_first_downstream_tx_byte.FromMilliseconds(4)
    return told


@pytest.mark.parametrize("begun", [False, True])
async def test_a_call_whose_caller_left_with_nothing_is_ended_unless_its_answer_is_in_hand(begun: bool) -> None:
    sink, ends = Sink(), Ends()
    service = HangUpService(sink, now_us, new_id, ends)
    calls = (HandedCall("1", "tools/call", "query"),)
    unseen, seen, released = (
        Handoff(new_id(), new_id(), 0, "orders", "modern", ALICE, calls, (), "v") for _ in range(3)
    )
    assert ends.mine(seen.call_id)

    async def told() -> AsyncIterator[StreamAccessLogsMessage]:
        message = StreamAccessLogsMessage()
        entries = [
            entry(unseen, answered=False, begun=begun),
            entry(seen, answered=False),
            entry(released, answered=True),
        ]
        message.http_logs.log_entry.extend(entries)
        yield message

    await service.StreamAccessLogs(told(), None)  # type: ignore[arg-type]  # it is not asked anything
    assert [(one.kind, one.call_id, one.status, one.reason) for one in sink.durable] == [
        (EventKind.RESPONSE, unseen.call_id, 0, HUNG_UP)
    ]
    # Should the masker be asked about it after all: its end is told.
    assert not ends.mine(unseen.call_id)
