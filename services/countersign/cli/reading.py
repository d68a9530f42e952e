"""What the commands that read the record have in common: filters, times, the services behind the gateway."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import grpc
import typer
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console

from countersign.api.recorder.v1 import (
    event_pb2,
    log_pb2,
    log_pb2_grpc,
    search_pb2,
    search_pb2_grpc,
    session_pb2,
    session_pb2_grpc,
)
from countersign.cli.access import REFUSED, USAGE, bearer, stop
from countersign.cli.following import Stream
from countersign.cli.gateway import REMEDIES, gateway_channel

PAGE: Final = 500
TIMEOUT_S: Final = 30.0


class OutcomeName(StrEnum):
    """The outcomes to filter by."""

    ALLOW = "allow"
    DENY = "deny"
    REFUSED = "refused"
    APPROVE = "approve"


class PrincipalKindName(StrEnum):
    """The kinds of principals to filter by."""

    PERSON = "person"
    AGENT = "agent"
    MACHINE = "machine"


_REMEDIES: Final = {
    **REMEDIES,
    grpc.StatusCode.FAILED_PRECONDITION: (REFUSED, "{details}"),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (REFUSED, "{details}"),
    grpc.StatusCode.DATA_LOSS: (REFUSED, "the record is not whole: {details}"),
}
_OUTCOMES: Final = {
    OutcomeName.ALLOW: event_pb2.OUTCOME_ALLOW,
    OutcomeName.DENY: event_pb2.OUTCOME_DENY,
    OutcomeName.REFUSED: event_pb2.OUTCOME_REFUSED,
    OutcomeName.APPROVE: event_pb2.OUTCOME_APPROVE,
}
_SPANS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LONGEST_SPAN: Final = 6

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AsJsonLines = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]
Bodies = Annotated[bool, typer.Option("--bodies", help="Whole bodies, not only their beginnings.")]
When = Annotated[
    str | None, typer.Option(help="A time, ISO 8601 (UTC unless it says otherwise), or how long ago: 2h, 90d.")
]
Subject = Annotated[str, typer.Option(help="Only of this subject.")]
Issuer = Annotated[str, typer.Option(help="Only of subjects of this issuer.")]
Group = Annotated[str, typer.Option(help="Only of members of this group.")]
Kind = Annotated[PrincipalKindName | None, typer.Option(help="Only of persons, agents or machines.")]
Target = Annotated[str, typer.Option(help="Only of this target.")]
Method = Annotated[str, typer.Option(help="Only with this method, such as tools/call.")]
Name = Annotated[str, typer.Option(help="Only with a call of this tool, prompt or resource.")]
Outcome = Annotated[OutcomeName | None, typer.Option(help="Only with a call of this outcome.")]
Rule = Annotated[str, typer.Option(help="Only where this rule decided.")]
Approval = Annotated[str, typer.Option(help="Only about this approval.")]
Label = Annotated[str, typer.Option(help="Only where a mask found this, such as EMAIL.")]
Relation = Annotated[str, typer.Option(help="Only with a statement that names this table or view.")]


def outcome_number(name: OutcomeName | None) -> event_pb2.Outcome.ValueType:
    """The number of an outcome, or of none."""
    return _OUTCOMES[name] if name else event_pb2.OUTCOME_UNSPECIFIED


def set_times(wanted: Message, since: str | None, until: str | None) -> None:
    """Set the times of a filter. Raises ``typer.Exit`` with ``USAGE`` after saying what is wrong."""
    for field, text in (("since", since), ("until", until)):
        if text is not None:
            getattr(wanted, field).CopyFrom(moment(field, text, datetime.now(UTC)))


def moment(option: str, text: str, now: datetime) -> Timestamp:
    """Read a time, or how long before ``now`` it was.

    Raises:
        typer.Exit: with ``USAGE``, after saying what is wrong.
    """
    try:
        found = _ago(text, now) or datetime.fromisoformat(text)
        stamp = Timestamp()
        stamp.FromDatetime(found if found.tzinfo else found.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        raise stop(
            f"--{option} {text!r} is not a time: write 2026-11-21T10:00:00Z, or 2h for two hours ago", USAGE
        ) from None
    return stamp


def _ago(text: str, now: datetime) -> datetime | None:
    number, unit = text[:-1], text[-1:]
    if unit not in _SPANS or not (number.isascii() and number.isdigit() and len(number) <= _LONGEST_SPAN):
        return None
    return now - timedelta(**{_SPANS[unit]: int(number)})


def screen() -> Console:
    """Where people read: in colours, unless it goes to a file or a pipe, or NO_COLOR is set; nothing is cut there."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=200)


def json_line(message: Message) -> str:
    """A message as one line of JSON, under the names of the API."""
    return MessageToJson(message, preserving_proto_field_name=True, indent=None)


class Record:
    """The services of the record, as the commands use them; their errors are ``grpc.RpcError``.

    ``token`` is asked for each time: while something is followed, the file may get a new one.
    """

    def __init__(self, channel: grpc.Channel, token: Callable[[], str]) -> None:
        self._sessions = session_pb2_grpc.SessionServiceStub(channel)
        self._search = search_pb2_grpc.SearchServiceStub(channel)
        self._log = log_pb2_grpc.LogServiceStub(channel)
        self._token = token

    def sessions(self, wanted: session_pb2.SessionFilter, limit: int) -> Iterator[session_pb2.Session]:
        """All pages until ``limit``."""
        asked = session_pb2.ListSessionsRequest(filter=wanted)
        while limit > 0:
            asked.page_size = min(limit, PAGE)
            page = self._sessions.ListSessions(asked, metadata=self._metadata(), timeout=TIMEOUT_S)
            yield from page.sessions[:limit]
            limit -= len(page.sessions)
            if not page.next_page_token:
                return
            asked.page_token = page.next_page_token

    def session(self, session_id: str) -> session_pb2.Session:
        """One session."""
        asked = session_pb2.GetSessionRequest(session_id=session_id)
        return self._sessions.GetSession(asked, metadata=self._metadata(), timeout=TIMEOUT_S).session

    def replay(self, asked: session_pb2.ReplaySessionRequest) -> Stream[session_pb2.ReplaySessionResponse]:
        """What a replay sends; one at the original pace, or that follows, has no bound in time, so none is set."""
        return self._sessions.ReplaySession(asked, metadata=self._metadata())

    def call(self, event_id: str) -> event_pb2.RecordedEvent:
        """The request of one event id."""
        asked = session_pb2.StreamCallsRequest(filter=session_pb2.CallFilter(event_id=event_id))
        [answer] = self._sessions.StreamCalls(asked, metadata=self._metadata(), timeout=TIMEOUT_S)
        return answer.facts[0].call

    def search(self, asked: search_pb2.SearchEventsRequest) -> search_pb2.SearchEventsResponse:
        """One page."""
        return self._search.SearchEvents(asked, metadata=self._metadata(), timeout=TIMEOUT_S)

    def follow(self, asked: search_pb2.FollowEventsRequest) -> Stream[search_pb2.FollowEventsResponse]:
        """What is recorded from now on, or from an index on."""
        return self._search.FollowEvents(asked, metadata=self._metadata())

    def leaf(self, event_id: str) -> str:
        """The canonical JSON of any event that is published."""
        asked = log_pb2.GetInclusionProofRequest(event_id=event_id)
        return self._log.GetInclusionProof(asked, metadata=self._metadata(), timeout=TIMEOUT_S).leaf

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self._token()}"),)


@contextmanager
def record(url: str, token_file: Path | None, token: str | None) -> Iterator[Record]:
    """Connect; what goes wrong inside becomes one line and an exit code."""
    bearer(token_file, token, url)
    with gateway_channel(url, _REMEDIES) as channel:
        yield Record(channel, lambda: bearer(token_file, token, url))
