"""What Envoy says of a request is read as it stands, and what is kept of it is of a known shape."""

from __future__ import annotations

import pytest
from envoy.service.auth.v3 import external_auth_pb2 as pb

from countersign.authz.envoy import Answer, Forward, Summary, read_inquiry, respond
from countersign.mcp import Reply

TRACE = "00-" + "a1" * 16 + "-" + "b2" * 8 + "-01"


def asked(**headers: str) -> pb.CheckRequest:
    request = pb.CheckRequest()
    for name, value in headers.items():
        header = request.attributes.request.http.header_map.headers.add()
        header.key, header.raw_value = name.replace("_", "-"), value.encode("latin-1")
    return request


def test_a_header_that_comes_twice_can_be_told_from_one() -> None:
    request = asked(mcp_name="query")
    request.attributes.request.http.header_map.headers.add(key="Mcp-Name", raw_value=b"query")
    assert read_inquiry(request, "").http.headers["mcp-name"] == "query,query"


@pytest.mark.parametrize(
    "given", ["", "jane@example.org", TRACE + "x", TRACE.upper(), f"{TRACE},{TRACE}", "x" * 60_000]
)
def test_no_text_gets_into_the_record_as_a_trace(given: str) -> None:
    assert read_inquiry(asked(traceparent=given), "").traceparent == ""


def test_envoys_own_trace_is_preferred() -> None:
    other = TRACE.replace("a1", "c3")
    assert read_inquiry(asked(traceparent=TRACE), "").traceparent == TRACE
    assert read_inquiry(asked(traceparent=TRACE), other).traceparent == other


def test_only_what_is_forwarded_hands_anything_to_the_masker() -> None:
    denied = respond(Answer(Reply(200, b"{}"), Summary("s", "c", "deny", "r")))
    assert denied.status.code != 0
    assert "handoff" not in denied.dynamic_metadata.fields
    assert not denied.HasField("ok_response")
    passed = respond(Forward({"a": "b"}, ("c",), Summary()))
    assert passed.status.code == 0
    assert list(passed.ok_response.headers_to_remove) == ["c"]
