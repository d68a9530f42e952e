"""What auditors may ask, and page tokens."""

from __future__ import annotations

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from countersign.api.recorder.v1 import session_pb2
from countersign.recorder.asked import BadQuestion, listing, next_page_token, session_id
from countersign.recorder.ports import SessionFilter

Request = session_pb2.ListSessionsRequest
Filter = session_pb2.SessionFilter
TOKEN = next_page_token(Request(filter=Filter(subject="alice")), 7)


def test_token_leads_to_the_next_page_of_the_same_filter() -> None:
    page = listing(Request(page_token=TOKEN, filter=Filter(subject="alice"), page_size=3))
    assert (page.wanted, page.before, page.limit) == (SessionFilter(subject="alice"), 7, 3)


@pytest.mark.parametrize("token", ["x", "é", "A" * 23, TOKEN[:-1], TOKEN + "AA", "_" * 22, " " + TOKEN])
def test_foreign_token_is_refused(token: str) -> None:
    with pytest.raises(BadQuestion, match=r"^page_token: "):
        listing(Request(page_token=token, filter=Filter(subject="alice")))


def test_token_of_another_filter_is_refused() -> None:
    with pytest.raises(BadQuestion, match=r"^page_token: belongs to other filters"):
        listing(Request(page_token=TOKEN, filter=Filter(subject="bob")))


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (Request(page_size=501), "page_size"),
        (Request(filter=Filter(outcome=9)), "filter.outcome"),  # type: ignore[arg-type]
        (Request(filter=Filter(since=Timestamp(nanos=-1))), "filter.since"),
        (Request(filter=Filter(until=Timestamp(seconds=2**62))), "filter.until"),
        (Request(filter=Filter(since=Timestamp(seconds=5), until=Timestamp(seconds=5))), "filter.until"),
    ],
)
def test_bad_question_names_its_field(request_: session_pb2.ListSessionsRequest, field: str) -> None:
    with pytest.raises(BadQuestion, match=rf"^{field}: "):
        listing(request_)


SESSION_ID = "5f0c9f4e-6c0a-4d0e-9a53-3b1f6f2f7c11"


@pytest.mark.parametrize("text", ["", "7", SESSION_ID.upper(), "' OR 1=1 --", SESSION_ID.replace("-", "")])
def test_what_is_no_session_id_is_refused(text: str) -> None:
    with pytest.raises(BadQuestion, match=r"^session_id: "):
        session_id(text)
