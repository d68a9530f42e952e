"""What has been seen of one statement so far."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from countersign.statements.combine import GRAVITY, settle
from countersign.statements.rows import Rows, bounded, told
from countersign.statements.verdict import READING, StatementClass, Verdict

_READS = "reads a bounded number of rows"


@dataclass(slots=True)
class Sight:
    """Collects classes with the reason of each, relations, and how many rows leave."""

    classes: dict[StatementClass, str] = field(default_factory=dict)
    reads: set[str] = field(default_factory=set)
    writes: set[str] = field(default_factory=set)
    rows: Rows = None
    packs: bool = False
    """Rows without bound are folded into one somewhere."""
    returns: bool = False
    """A change inside of a query gives back rows."""
    texts: list[str] = field(default_factory=list)
    """Literals that will be executed as SQL: their classes count beside."""

    def add(self, classes: Iterable[StatementClass], reason: str) -> None:
        """Add classes; the first reason of each is kept."""
        for each in classes:
            self.classes.setdefault(each, reason)

    def add_reading(self, rows: Rows, *, reads: bool = True) -> None:
        """Add the class of rows that leave, and how many; ``reads``: stored rows, not only what was computed."""
        self.rows = None if self.packs else rows
        if not reads and self.classes:
            # What a statement computes for the sake of its effects is not called reading.
            return
        if bounded(self.rows):
            self.add({StatementClass.READ}, _READS)
        else:
            self.add({StatementClass.BULK_READ}, "folds many rows into one" if self.packs else "reads without a bound")

    def take(self, other: Sight, leave: frozenset[StatementClass] = frozenset()) -> None:
        """Add what was seen elsewhere, without the classes ``leave``."""
        for each, reason in other.classes.items():
            if each not in leave:
                self.classes.setdefault(each, reason)
        self.reads |= other.reads
        self.writes |= other.writes
        self.texts += other.texts

    def verdict(self) -> Verdict:
        """Return what is to be said of the statement. Raises ``ValueError`` when nothing was seen."""
        gravest = next((each for each in GRAVITY if each in self.classes), None)
        if gravest is None:
            raise ValueError("a statement without a class")
        classes = settle(frozenset(self.classes))
        return Verdict(
            classes,
            reads=frozenset(self.reads),
            writes=frozenset(self.writes),
            row_bound=told(self.rows) if classes & READING else None,
            reason=self.classes[gravest],
        )
