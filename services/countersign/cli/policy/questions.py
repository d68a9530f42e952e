"""What ``policy explain`` is asked: a call that the command line describes, or one that was recorded."""

from __future__ import annotations

from dataclasses import dataclass

from countersign.cli.access import REFUSED, USAGE, stop
from countersign.cli.policy.record import Record, Wanted
from countersign.model.call import Call
from countersign.model.principal import Principal
from countersign.model.situation import Situation, Usage
from countersign.rehearsal.record import RecordedCall
from countersign.rehearsal.ruling import Ruling
from countersign.rehearsal.usage import LONGEST_US, UsageHistory

# What was recorded before a call may have been seen a little after it.
_BESIDE_US = 60_000_000


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the rules; ``recorded`` when it was asked once before."""

    principal: Principal
    call: Call
    situation: Situation
    recorded: RecordedCall | None = None

    def notes(self, ruling: Ruling) -> list[str]:
        """What makes the explanation of a recorded call other than what happened then."""
        recorded = self.recorded
        if recorded is None:
            return []
        notes, judge = [], recorded.decision.policy_version
        if judge != ruling.version:
            notes.append(f"the file is version {ruling.version}, but version {judge} judged the call")
        if recorded.findings:
            found = ", ".join(f"{one.label} ({one.count}) at {one.place or 'unknown'}" for one in recorded.findings)
            notes.append(f"parts of the call were masked before it was recorded, and are judged as masked: {found}")
        if not recorded.complete:
            notes.append("its arguments are not on record, so rules about them cannot be explained")
        if recorded.aside is not None:
            notes.append(f"then it was {recorded.aside.value}")
        return notes


def recorded_question(record: Record, ruling: Ruling, event: str, session: str, call: str) -> Question:
    """Read a call of the record. Raises ``typer.Exit`` when there is none, or more than one."""
    if event:
        found = record.call(event)
    else:
        calls = record.calls_of(session, call)
        if not calls:
            raise stop("the session has no such call: `countersign replay SESSION --json` shows them", REFUSED)
        if len(calls) > 1:
            ids = ", ".join(one.event_id for one in calls)
            raise stop(f"the call is a batch: choose one of its events with --event: {ids}", USAGE)
        [found] = calls
    situation = found.situation(_usage_before(record, found) if ruling.needs_usage else Usage())
    return Question(found.principal, found.call, situation, found)


def _usage_before(record: Record, found: RecordedCall) -> Usage:
    """Count again what was used when the call was made."""
    history = UsageHistory()
    until_us = found.time_us + _BESIDE_US
    wanted = Wanted(found.time_us - LONGEST_US, until_us, until_us, found.call.target, found.principal.subject)
    for fact in record.facts(wanted):
        if fact.index >= found.index:
            break
        if isinstance(fact, RecordedCall):
            history.add_call(fact)
        else:
            history.add_answer(fact)
    return history.before(found.principal, found.call.target, found.time_us)
