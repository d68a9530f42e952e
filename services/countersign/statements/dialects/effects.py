"""What one statement was found to do, gathered while it is read, and the verdict that follows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from countersign.statements.combine import GRAVITY, settle
from countersign.statements.rows import Rows, both, bounded, told
from countersign.statements.verdict import READING, StatementClass, Verdict

_READ: Final = frozenset({StatementClass.READ})
_READS: Final = "reads a bounded number of rows"


@dataclass(slots=True)
class Effects:
    """Classes with the reason of each, relations, and how many rows leave (``answers``: whether any do)."""

    classes: dict[StatementClass, str] = field(default_factory=dict)
    reads: set[str] = field(default_factory=set)
    writes: set[str] = field(default_factory=set)
    answers: bool = False
    rows: Rows = 0

    def add(self, reason: str, *classes: StatementClass) -> None:
        """Note that the statement is of ``classes``; the first reason given for a class stays."""
        for each in classes:
            self.classes.setdefault(each, reason)

    def add_all(self, reason: str, classes: Iterable[StatementClass]) -> None:
        """Note that the statement is of ``classes``."""
        self.add(reason, *classes)

    def answer(self, rows: Rows) -> None:
        """Note that so many rows leave."""
        self.rows = both(self.rows, rows) if self.answers else rows
        self.answers = True

    def verdict(self) -> Verdict | None:
        """Return the verdict, or None for what does nothing that counts beside other statements (``DECLARE @x int``).

        What reads no relation and does something else, such as a call of ``SLEEP``, is not called reading beside.
        """
        classes = self.classes
        if self.answers and (self.reads or not classes or classes.keys() <= READING):
            if bounded(self.rows):
                if not classes:
                    return Verdict(_READ, frozenset(self.reads), row_bound=told(self.rows), reason=_READS)
                classes.setdefault(StatementClass.READ, _READS)
            else:
                classes.setdefault(StatementClass.BULK_READ, "nothing bounds the rows that leave")
        if not classes:
            return None
        found = settle(frozenset(classes))
        return Verdict(
            found,
            reads=frozenset(self.reads),
            writes=frozenset(self.writes),
            row_bound=told(self.rows) if StatementClass.READ in found and self.answers else None,
            reason=classes[min(found, key=GRAVITY.index)],
        )
