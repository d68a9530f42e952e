"""``countersign verify``: is this export of a session, or this dump of the log, what it claims to be?

Works offline and imports only pure rooms: an auditor needs no gateway, no account and no trust in those who run one.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, BinaryIO, Final, NoReturn

import typer

from countersign.audit import (
    EXPORT_BEGINS,
    DumpReport,
    Invalid,
    SessionReport,
    checkpoint_of,
    verify_dump,
    verify_export,
)
from countersign.model.visible import visible
from countersign.tlog import BadPolicy, Trusted, TrustPolicy, parse_policy, to_base64

INVALID: Final = 1
UNSEALED: Final = 3

_EXAMPLES: Final = """\b
Examples:
  countersign verify session.jsonl --policy trusted.policy
  countersign verify session.jsonl --policy trusted.policy --json | jq -r .verdict
  countersign verify --full dump/ --policy trusted.policy --previous last-year/checkpoint
"""
_MAX_SMALL_BYTES: Final = 1024 * 1024
_LATEST_S: Final = 253_402_300_799

_Facts = dict[str, object]
_Report = SessionReport | DumpReport
_Advance = Callable[[int, int], None]


class _Unreadable(Exception):
    """A file that the command was given cannot be read, or is not what the command can be given."""


class _Folder:
    """The files of a dump in a folder; see ``audit.Files``."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, path: str, most: int) -> bytes:
        """See ``audit.Files``."""
        file = self._path / path
        # Asked before it is opened: opening a pipe would wait for ever.
        if not file.is_file():
            raise Invalid("this file is missing", path=path)
        with file.open("rb") as source:
            content = source.read(most + 1)
        if len(content) > most:
            raise Invalid(f"this file has more than {most} bytes", path=path)
        return content

    def tiles(self) -> Iterator[str]:
        """See ``audit.Files``."""
        for folder, _, names in os.walk(self._path / "tile"):
            for name in names:
                yield (Path(folder) / name).relative_to(self._path).as_posix()


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("verify", epilog=_EXAMPLES)(verify)


def verify(
    path: Annotated[Path, typer.Argument(help="The export of a session; with --full the folder of a dump.")],
    policy: Annotated[
        Path,
        typer.Option("--policy", "-p", help="Whose keys you trust: a file of c2sp.org/tlog-policy.", metavar="FILE"),
    ],
    full: Annotated[bool, typer.Option("--full", help="Check a dump of the whole log.")] = False,
    previous: Annotated[
        Path | None,
        typer.Option(
            "--previous",
            help="With --full: a checkpoint, an export or a dump that you kept; its log must begin this one.",
            metavar="PATH",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")] = False,
) -> None:
    """Check, offline, that an exported session is whole, unaltered, in order, and in a log that you trust.

    Says VALID, or INVALID and the first thing that is wrong; or UNSEALED where all that is there is true, but nothing
    proves that no event is missing. Exit code 0: VALID; 1: INVALID; 2: nothing was checked; 3: UNSEALED.
    """
    try:
        report = _check(path, _read_policy(policy), full=full, previous=previous)
    except Invalid as problem:
        _print_invalid(problem, as_json=as_json)
        raise typer.Exit(INVALID) from None
    except _Unreadable as problem:
        _refuse(str(problem))
    except OSError as problem:
        _refuse(f"cannot read {str(problem.filename or path)!r}: {problem.strerror or problem}")
    facts = _session_facts(report) if isinstance(report, SessionReport) else _dump_facts(report)
    if as_json:
        print(json.dumps(facts))
    else:
        lines = _session_lines(report) if isinstance(report, SessionReport) else _dump_lines(report)
        print("\n".join(lines))
    if facts["verdict"] == "UNSEALED":
        raise typer.Exit(UNSEALED)


def _check(path: Path, policy: TrustPolicy, *, full: bool, previous: Path | None) -> _Report:
    now_s = int(time.time())
    if full:
        if not path.is_dir():
            raise _Unreadable(f"{str(path)!r} is no folder: --full checks a dump of the log")
        before = None if previous is None else _read_previous(previous)
        with _progress("events") as advance:
            return verify_dump(_Folder(path), policy, now_s=now_s, previous=before, progress=advance)
    if previous is not None:
        raise _Unreadable("--previous goes with --full: an export of one session does not hold the log's past")
    if path.is_dir():
        raise _Unreadable(f"{str(path)!r} is a folder: a dump of the log is checked with --full")
    with path.open("rb") as source:
        if not source.seekable():
            raise _Unreadable(f"{str(path)!r} can be read only once: save it to a file first")
        # It is read twice.
        total = 2 * os.fstat(source.fileno()).st_size
        with _progress("bytes") as advance:
            return verify_export(source, policy, now_s=now_s, progress=lambda read: advance(read, total))


def _read_policy(path: Path) -> TrustPolicy:
    try:
        policy = parse_policy(_read_small(path))
    except BadPolicy as problem:
        raise _Unreadable(f"the policy {str(path)!r}: {problem}") from None
    if not policy.logs:
        raise _Unreadable(f"the policy {str(path)!r} trusts no log: it needs a line: log <verifier key>")
    return policy


def _read_previous(path: Path) -> str | bytes:
    if path.is_dir():
        path = path / "checkpoint"
    with path.open("rb") as source:
        if source.peek(len(EXPORT_BEGINS)).startswith(EXPORT_BEGINS):
            return _previous_export(source)
    return _read_small(path)


def _previous_export(source: BinaryIO) -> str:
    try:
        return checkpoint_of(source)
    except Invalid as problem:
        raise Invalid(problem.what, path="previous export", line=problem.line) from None


def _read_small(path: Path) -> bytes:
    with path.open("rb") as source:
        content = source.read(_MAX_SMALL_BYTES + 1)
    if len(content) > _MAX_SMALL_BYTES:
        raise _Unreadable(f"{str(path)!r} has more than {_MAX_SMALL_BYTES} bytes")
    return content


@contextmanager
def _progress(what: str) -> Iterator[_Advance]:
    """Show on a terminal how far the check is."""
    if not sys.stderr.isatty():
        yield lambda _, __: None
        return
    # Not needed, and not imported, by programs.
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(f"checking {what}", total=None)
        yield lambda done, total: shown.update(task, advance=done, total=total)


def _print_invalid(problem: Invalid, *, as_json: bool) -> None:
    if not as_json:
        print(f"INVALID: {visible(str(problem))}")
        return
    facts: _Facts = {"verdict": "INVALID", "problem": visible(problem.what)}
    facts |= {"line": problem.line} if problem.line is not None else {}
    facts |= {"path": visible(problem.path)} if problem.path else {}
    facts |= {"index": problem.index} if problem.index is not None else {}
    facts |= {"event_id": visible(problem.event_id)} if problem.event_id else {}
    print(json.dumps(facts))


def _session_facts(report: SessionReport) -> _Facts:
    seal = report.seal
    facts: _Facts = {
        "verdict": "VALID" if seal else "UNSEALED",
        "session_id": report.session_id,
        "continues": report.continues or None,
        "events": report.events,
        "first_index": report.first_index,
        "last_index": report.last_index,
        "first_time_us": report.first_time_us,
        "last_time_us": report.last_time_us,
        "bodies_proven": report.bodies.proven,
        "bodies_absent": report.bodies.absent,
        "bodies_unproven": report.bodies.unproven,
        "sha256": report.sha256,
    }
    if seal:
        facts |= {"sealed": report.seal_reason, "unanswered": seal.unanswered_count}
    return facts | _trust_facts(report.trusted)


def _dump_facts(report: DumpReport) -> _Facts:
    facts: _Facts = {
        "verdict": "VALID",
        "events": report.events,
        "sealed_sessions": report.sealed_sessions,
        "open_sessions": report.open_sessions,
        "previous_size": report.previous.size if report.previous else None,
    }
    return facts | _trust_facts(report.trusted)


def _trust_facts(trusted: Trusted) -> _Facts:
    return {
        "origin": trusted.checkpoint.origin,
        "size": trusted.checkpoint.size,
        "root": to_base64(trusted.checkpoint.root),
        "log_keys": [str(key) for key in trusted.log_keys],
        "witnessed": [{"witness": visible(one.name), "time_s": one.time_s} for one in trusted.cosigned],
        "witnessed_s": trusted.witnessed_s,
    }


def _session_lines(report: SessionReport) -> Iterator[str]:
    seal = report.seal
    if seal:
        yield f"VALID: session {report.session_id} is whole, unaltered and in order"
    else:
        yield f"UNSEALED: what is here of session {report.session_id} is unaltered and in order;"
        yield "  nothing proves that it is all: without a seal, events may be missing"
    yield from _trust_lines(report.trusted)
    yield f"  events     {report.events}, from {_moment(report.first_time_us)} to {_moment(report.last_time_us)}"
    yield f"             indices {report.first_index} to {report.last_index} of the log"
    if report.continues:
        yield f"  continues  session {report.continues}, which is not in this export"
    if seal:
        yield f"  sealed     {visible(report.seal_reason)}; {seal.unanswered_count} allowed requests without an answer"
    bodies = report.bodies
    yield f"  bodies     {bodies.proven} proven, {bodies.absent} not shown"
    if bodies.unproven:
        yield f"             {bodies.unproven} NOT PROVEN: recorded before events committed to their bodies"


def _dump_lines(report: DumpReport) -> Iterator[str]:
    yield f"VALID: the log {visible(report.trusted.checkpoint.origin)} is whole and unaltered"
    yield from _trust_lines(report.trusted)
    yield f"  events     {report.events}, each in its place in the tree"
    yield f"  sessions   {report.sealed_sessions} sealed and whole, {report.open_sessions} not sealed"
    if report.previous:
        yield f"  previous   the first {report.previous.size} events are those of the checkpoint that you kept"


def _trust_lines(trusted: Trusted) -> Iterator[str]:
    tree = trusted.checkpoint
    yield f"  log        {visible(tree.origin)}, {tree.size} events, root {to_base64(tree.root)}"
    for key in trusted.log_keys:
        yield f"  signed     {visible(str(key))}"
    for one in trusted.cosigned:
        yield f"  witnessed  {visible(one.name)}, {_moment(one.time_s * 1_000_000)}"
    if trusted.witnessed_s is None:
        yield "  witnessed  your policy asks for no witness: the log's word alone"
    else:
        yield f"             all of it was in the log by {_moment(trusted.witnessed_s * 1_000_000)}"


def _moment(time_us: int) -> str:
    """Write a time; one that no calendar has is written as seconds since the epoch."""
    if time_us // 1_000_000 > _LATEST_S:
        return f"{time_us // 1_000_000} s after 1970"
    return f"{datetime.fromtimestamp(time_us // 1_000_000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _refuse(why: str) -> NoReturn:
    print(f"countersign verify: {visible(why)}", file=sys.stderr)
    raise typer.Exit(2)
