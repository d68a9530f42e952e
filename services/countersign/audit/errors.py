"""What a check finds wrong."""

from __future__ import annotations


class Invalid(Exception):
    """What was checked is not what it claims to be: the first thing wrong, for people.

    ``line`` (from 1, of an export), ``path`` (of a dump), ``index`` (of an event in the log) and ``event_id`` say
    where, as far as they are known. ``what`` may quote what was checked: escape it before a terminal shows it.
    """

    def __init__(
        self, what: str, *, line: int | None = None, path: str = "", index: int | None = None, event_id: str = ""
    ) -> None:
        where = [
            f"line {line}" if line is not None else "",
            path,
            f"event {index} of the log" if index is not None else "",
            f"id {event_id}" if event_id else "",
        ]
        self.what = what
        self.line = line
        self.path = path
        self.index = index
        self.event_id = event_id
        super().__init__(": ".join([part for part in (", ".join([one for one in where if one]), what) if part]))


class Malformed(ValueError):
    """A text is not as it must be written; whoever reads it knows where it stands."""
