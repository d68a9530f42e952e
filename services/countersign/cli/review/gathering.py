"""What a review needs, read from the gateway as an auditor."""

from __future__ import annotations

import time
from collections.abc import Callable

import grpc
import typer
from google.protobuf.timestamp_pb2 import Timestamp

from countersign.api.recorder.v1 import review_pb2, review_pb2_grpc
from countersign.cli.policy.record import Record, Wanted
from countersign.rehearsal.usage import LONGEST_US
from countersign.review.facts import Period, SessionUse, Use
from countersign.review.grants import GrantUse
from countersign.review.narrowing import Narrowing
from countersign.review.proof import NotNarrowed, PolicyText, Proving, propose
from countersign.review.report import Narrower, RuleLine, narrower, rule_lines

_TELL_EVERY_S = 2.0
_LONGEST_S = 3_600.0


class Progress:
    """Says on standard error how far something long has come."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._next_s = time.monotonic() + _TELL_EVERY_S

    def __call__(self, done: float, total: float) -> None:
        """Tell it, now and then."""
        if time.monotonic() >= self._next_s and total:
            self._next_s = time.monotonic() + _TELL_EVERY_S
            typer.echo(f"{self._what}: {100 * done / total:.0f} %", err=True)


class Gathering:
    """The gateway's ReviewService, and the calls of its record. Errors are ``grpc.RpcError``."""

    def __init__(self, channel: grpc.Channel, token: str, target: str) -> None:
        self._stub = review_pb2_grpc.ReviewServiceStub(channel)
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._record = Record(channel, token)
        self._target = target

    def use(self, period: Period) -> tuple[list[Use], list[SessionUse]]:
        """What was used in the time, and the sessions of it and of the time before that it is compared with."""
        _, before = self._summary(period.look_back_us, period.since_us, "reading what was before")
        uses, sessions = self._summary(period.since_us, period.until_us, "reading what was used")
        return uses, [*before, *sessions]

    def grant_use(self, policy: PolicyText, period: Period) -> GrantUse:
        """Which rules the calls of the time needed."""
        use = GrantUse(policy.config, period.since_us)
        self._walk(use.add, period, needs_usage=use.needs_usage, what="judging what passed")
        return use

    def narrower(
        self, policy: PolicyText, use: GrantUse, period: Period, heading: tuple[str, ...]
    ) -> tuple[Narrower, tuple[RuleLine, ...]]:
        """Narrower rules, tried on the calls of the time."""
        rules = policy.config.rules
        narrowing = Narrowing(rules, policy.rules(), sorted(policy.config.targets), use)
        try:
            proposal = propose(policy, narrowing, heading)
        except NotNarrowed as error:
            return Narrower(refused=str(error)), ()
        proving = Proving(policy.config, proposal.config, period.since_us)
        self._walk(proving.add, period, needs_usage=use.needs_usage, what="trying narrower rules")
        return narrower(proposal, proving.proof()), rule_lines(proposal, use)

    def _walk(self, add: Callable[..., None], period: Period, *, needs_usage: bool, what: str) -> None:
        since_us = period.since_us
        wanted = Wanted(since_us - LONGEST_US if needs_usage else since_us, period.until_us, since_us, self._target)
        for fact in self._record.facts(wanted, Progress(what)):
            add(fact)

    def _summary(self, since_us: int, until_us: int, what: str) -> tuple[list[Use], list[SessionUse]]:
        asked = review_pb2.SummarizeUseRequest(since=_stamp(since_us), until=_stamp(until_us), target=self._target)
        uses, sessions, progress = list[Use](), list[SessionUse](), Progress(what)
        for part in self._stub.SummarizeUse(asked, metadata=self._metadata, timeout=_LONGEST_S):
            match part.WhichOneof("part"):
                case "use":
                    uses.append(_use(part.use))
                case "session":
                    sessions.append(_session(part.session))
                case "progress":
                    progress(part.progress, 1.0)
                case _:
                    continue
        return uses, sessions


def _use(one: review_pb2.Use) -> Use:
    return Use(
        issuer=one.issuer,
        subject=one.subject,
        kind=one.kind,
        groups=tuple(one.groups),
        target=one.target,
        method=one.method,
        name=one.name,
        rules=tuple(one.rules),
        allowed=one.allowed_count,
        denied=one.denied_count,
        asked=one.asked_count,
        approved=one.approved_count,
        masked=one.masked_count,
        rows=one.row_count,
        size_bytes=one.size_bytes,
        first_us=_microseconds(one.first_at),
        last_us=_microseconds(one.last_at),
    )


def _session(one: review_pb2.SessionUse) -> SessionUse:
    return SessionUse(
        session_id=one.session_id,
        issuer=one.issuer,
        subject=one.subject,
        target=one.target,
        started_us=_microseconds(one.started_at),
        names=tuple(one.names),
        calls=one.call_count,
        rows=one.row_count,
        size_bytes=one.size_bytes,
        by_hour=(*one.calls_by_hour, *[0] * 24)[:24],
    )


def _microseconds(stamp: Timestamp) -> int:
    return stamp.seconds * 1_000_000 + stamp.nanos // 1_000


def _stamp(time_us: int) -> Timestamp:
    return Timestamp(seconds=time_us // 1_000_000, nanos=time_us % 1_000_000 * 1_000)
