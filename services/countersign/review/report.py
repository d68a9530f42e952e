"""A review: its lines, each with an id of its own, and the report as JSON, whose digest is the review's id."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field

from countersign.model.methods import is_connection
from countersign.rehearsal.moments import write_moment
from countersign.review.anomalies import Unusual, unusual_sessions
from countersign.review.facts import Period, SessionUse, Use
from countersign.review.grants import GrantUse
from countersign.review.proof import PolicyText, Proof, Proposal

FORMAT = 1
SECTIONS = ("people", "groups", "grants", "rules", "sessions")
"""The sections of a report whose entries are lines, to be certified or flagged."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How often, and how much. ``first`` and ``last`` are moments, ISO 8601 (UTC)."""

    allowed: int
    denied: int
    asked: int
    approved: int
    masked: int
    rows: int
    bytes: int
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Thing:
    """What was used: a method, and the tool, prompt or resource that it named; by which rules."""

    method: str
    name: str
    rules: tuple[str, ...]
    counts: Counts


@dataclass(frozen=True, slots=True)
class PersonLine:
    """What one principal used of one target."""

    id: str
    issuer: str
    subject: str
    kind: str
    groups: tuple[str, ...]
    target: str
    counts: Counts
    used: tuple[Thing, ...]


@dataclass(frozen=True, slots=True)
class GroupLine:
    """What the members of a group used of one target; who is in several counts for each."""

    id: str
    group: str
    target: str
    principals: int
    counts: Counts
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GrantLine:
    """A rule that was never needed, or an entry of it (``field``: groups, targets, tools and so on)."""

    id: str
    rule: str
    field: str
    entry: str
    said: str


@dataclass(frozen=True, slots=True)
class RuleLine:
    """What the narrower rules make of a rule: narrowed, removed or kept, and why."""

    id: str
    rule: str
    what: str
    why: str
    calls: int


@dataclass(frozen=True, slots=True)
class SessionLine:
    """A session that stands out against its principal's past."""

    id: str
    session_id: str
    issuer: str
    subject: str
    target: str
    started: str
    first_seen: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Narrower:
    """The narrower rules as YAML, and their proof; ``refused`` says why there are none."""

    yaml: str = ""
    refused: str = ""
    judged: int = 0
    changed: int = 0
    from_allowed_to_denied: int = 0
    set_aside: int = 0
    on_masked_arguments: int = 0


@dataclass(frozen=True, slots=True)
class PolicyFacts:
    """Which file grants were compared with, and how the calls on record stand to it."""

    file: str
    version: str
    passed: int
    not_passed: int
    no_longer_passing: int


@dataclass(frozen=True, slots=True)
class Report:
    """A whole review. ``policy`` and ``narrower`` are ``None`` when no file was given."""

    since: str
    until: str
    compared_since: str
    target: str
    people: tuple[PersonLine, ...]
    groups: tuple[GroupLine, ...]
    grants: tuple[GrantLine, ...] = ()
    rules: tuple[RuleLine, ...] = ()
    sessions: tuple[SessionLine, ...] = ()
    policy: PolicyFacts | None = None
    narrower: Narrower | None = None
    countersign_review: int = field(default=FORMAT)

    @property
    def review_id(self) -> str:
        """SHA-256, in hex, of the report's canonical JSON."""
        return review_id(asdict(self))

    def to_json(self) -> str:
        """The report as JSON, with its id."""
        # In ASCII: a terminal obeys nothing in it.
        return json.dumps({"review_id": self.review_id, **asdict(self)}, indent=1) + "\n"


class NoReport(ValueError):
    """A file is no report of ours, or was changed; the message says what."""


@dataclass(frozen=True, slots=True)
class SignableReport:
    """A report that was written by ``Report.to_json``: its id and those of its lines, with their section."""

    review_id: str
    lines: dict[str, str]


def read_report(text: str) -> SignableReport:
    """Read what may be signed of a report; what was changed is refused. Raises ``NoReport``."""
    try:
        document = json.loads(text)
        claimed = document.pop("review_id")
        if document["countersign_review"] != FORMAT:
            raise NoReport("it is of another version")
        lines = {line["id"]: section for section in SECTIONS for line in document[section]}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        if isinstance(error, NoReport):
            raise
        raise NoReport("it is no report: write one with `countersign review --format json -o FILE`") from None
    if claimed != review_id(document):
        raise NoReport("it was changed since it was written: its digest is another one")
    return SignableReport(claimed, lines)


def review_id(document: dict[str, object]) -> str:
    """The id of a report: SHA-256, in hex, of its canonical JSON (RFC 8785; there are no floats) without its id."""
    text = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def line_id(kind: str, *identity: str) -> str:
    """The id of a line: the same in every report about the same thing."""
    return hashlib.sha256(json.dumps([kind, *identity]).encode()).hexdigest()[:16]


def use_report(period: Period, target: str, uses: Sequence[Use], sessions: Iterable[SessionUse]) -> Report:
    """What was used, and which sessions stand out: a report without anything about grants."""
    used = [use for use in uses if not is_connection(use.method)]
    return Report(
        since=write_moment(period.since_us),
        until=write_moment(period.until_us),
        compared_since=write_moment(period.look_back_us),
        target=target,
        people=tuple(_people(used)),
        groups=tuple(_groups(used)),
        sessions=tuple(_session(one) for one in unusual_sessions(sessions, period.since_us)),
    )


def unused_grants(policy: PolicyText, use: GrantUse) -> tuple[GrantLine, ...]:
    """The rules that allow or ask which no call needed, or else their entries that none did."""
    lines = []
    for rule in policy.config.rules:
        needed = use.rules.get(rule.name)
        if needed is None:
            continue
        if not needed.calls:
            said = f"nobody was let in by `{rule.name}`"
            if needed.connected:
                said += f"; callers connected by it {needed.connected:,} times, and used nothing of it"
            lines.append(GrantLine(line_id("grant", rule.name), rule.name, "", "", said))
            continue
        for name in ("groups", "principals", "actors", "targets", "methods", "tools", "prompts", "resources"):
            entries: tuple[str, ...] | None = getattr(rule.selector, name)
            for entry in entries or ():
                if not needed.entries.get((name, entry)):
                    identity = line_id("grant", rule.name, name, entry)
                    said = f"no call that `{rule.name}` let in was of {name} {entry}"
                    lines.append(GrantLine(identity, rule.name, name, entry, said))
    return tuple(lines)


def rule_lines(proposal: Proposal, use: GrantUse) -> tuple[RuleLine, ...]:
    """What becomes of each rule."""
    return tuple(
        RuleLine(
            line_id("rule", one.rule),
            one.rule,
            one.what,
            one.why,
            use.rules[one.rule].calls if one.rule in use.rules else 0,
        )
        for one in proposal.advice
    )


def narrower(proposal: Proposal, proof: Proof) -> Narrower:
    """Narrower rules with their proof; rules that would change what passed are not told at all."""
    wrong = "with narrower rules, calls that passed would be judged otherwise: they are not told"
    return Narrower(
        yaml="" if proof.changed else proposal.yaml,
        refused=wrong if proof.changed else "",
        judged=proof.judged,
        changed=proof.changed,
        from_allowed_to_denied=proof.denied,
        set_aside=proof.set_aside,
        on_masked_arguments=proof.on_masked_arguments,
    )


def policy_facts(file: str, policy: PolicyText, use: GrantUse) -> PolicyFacts:
    """How the calls on record stand to the file."""
    return PolicyFacts(file, policy.config.version, use.passed, use.not_passed, use.no_longer_passing)


def _people(uses: Iterable[Use]) -> list[PersonLine]:
    by_person: dict[tuple[str, str, str], list[Use]] = {}
    for use in uses:
        by_person.setdefault((use.subject, use.issuer, use.target), []).append(use)
    lines = [
        PersonLine(
            id=line_id("person", issuer, subject, target),
            issuer=issuer,
            subject=subject,
            kind=mine[0].kind,
            groups=tuple(sorted({group for use in mine for group in use.groups})),
            target=target,
            counts=_counts(mine),
            used=tuple(Thing(use.method, use.name, use.rules, _counts([use])) for use in mine),
        )
        for (subject, issuer, target), mine in by_person.items()
    ]
    return sorted(lines, key=lambda line: (-line.counts.allowed, line.subject, line.issuer, line.target))


def _groups(uses: Iterable[Use]) -> list[GroupLine]:
    by_group: dict[tuple[str, str], list[Use]] = {}
    for use in uses:
        for group in use.groups:
            by_group.setdefault((group, use.target), []).append(use)
    lines = [
        GroupLine(
            id=line_id("group", group, target),
            group=group,
            target=target,
            principals=len({(use.issuer, use.subject) for use in theirs}),
            counts=_counts(theirs),
            names=tuple(sorted({use.name or use.method for use in theirs if use.allowed})),
        )
        for (group, target), theirs in by_group.items()
    ]
    return sorted(lines, key=lambda line: (-line.counts.allowed, line.group, line.target))


def _counts(uses: Sequence[Use]) -> Counts:
    return Counts(
        allowed=sum(use.allowed for use in uses),
        denied=sum(use.denied for use in uses),
        asked=sum(use.asked for use in uses),
        approved=sum(use.approved for use in uses),
        masked=sum(use.masked for use in uses),
        rows=sum(use.rows for use in uses),
        bytes=sum(use.size_bytes for use in uses),
        first=write_moment(min(use.first_us for use in uses)),
        last=write_moment(max(use.last_us for use in uses)),
    )


def _session(one: Unusual) -> SessionLine:
    session = one.session
    return SessionLine(
        id=line_id("session", session.session_id),
        session_id=session.session_id,
        issuer=session.issuer,
        subject=session.subject,
        target=session.target,
        started=write_moment(session.started_us),
        first_seen=one.first_seen,
        reasons=one.reasons,
    )
