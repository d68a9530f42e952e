"""OTLP logs as the protocol's own messages read them."""

from __future__ import annotations

import json
from typing import Any

from opentelemetry.proto_json.collector.logs.v1.logs_service import ExportLogsServiceRequest

from countersign.exports import otlp
from countersign.model.event import Finding
from tests.support.events import START_US, approval, new_id, request, response
from tests.support.exporting import fact

TRACE = f"00-{'a1' * 16}-{'b2' * 8}-01"


def _exported(*facts: Any) -> Any:
    return json.loads(otlp.export_request(facts, "1.2.3"))


def _records(*facts: Any) -> Any:
    return _exported(*facts)["resourceLogs"][0]["scopeLogs"][0]["logRecords"]


def _attributes(record: Any) -> dict[str, Any]:
    return {one["key"]: next(iter(one["value"].values())) for one in record["attributes"]}


def test_an_event_keeps_its_id_index_and_times() -> None:
    event = request()
    (record,) = _records(fact(event, 12))
    told = _attributes(record)
    assert record["timeUnixNano"] == str(START_US * 1_000)
    assert record["observedTimeUnixNano"] == str((START_US + 2_000_000) * 1_000)
    assert (told["log.record.uid"], told["countersign.index"]) == (event.event_id, "12")
    assert told["user.id"] == "alice"
    assert record["severityNumber"] == 9


def test_index_zero_is_told() -> None:
    assert _attributes(_records(fact(request(), 0))[0])["countersign.index"] == "0"


def test_a_traced_call_is_tied_to_its_trace() -> None:
    (record,) = _records(fact(request(traceparent=TRACE)))
    assert (record["traceId"], record["spanId"]) == ("a1" * 16, "b2" * 8)
    (plain,) = _records(fact(request(traceparent=f"00-{'0' * 32}-{'zz' * 8}-01")))
    assert "traceId" not in plain


def test_numbers_marks_and_lists_have_the_types_of_the_protocol() -> None:
    event = request(request_masked=True, findings=(Finding("email", "$.a", 2),), relations=("a", "b"))
    (record,) = _records(fact(event))
    values = {one["key"]: one["value"] for one in record["attributes"]}
    assert values["countersign.request_masked"] == {"boolValue": True}
    assert values["countersign.size"] == {"intValue": "20"}
    assert values["countersign.relations"] == {"arrayValue": {"values": [{"stringValue": "a"}, {"stringValue": "b"}]}}
    assert values["countersign.findings"] == {"arrayValue": {"values": [{"stringValue": "email=2"}]}}


def test_the_owner_of_a_session_stands_beside_who_decided() -> None:
    (record,) = _records(fact(approval(new_id())))
    told = _attributes(record)
    assert (told["user.id"], told["countersign.session.subject"]) == ("bob", "alice")


def test_the_protocols_own_messages_read_it_and_lose_nothing() -> None:
    exported = _exported(fact(request(traceparent=TRACE, request_masked=True)), fact(response(new_id())))
    assert ExportLogsServiceRequest.from_dict(exported).to_dict() == exported
