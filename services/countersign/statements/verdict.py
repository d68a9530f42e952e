"""What is said of a statement, whatever language it is written in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class StatementClass(StrEnum):
    """What a statement does; one statement has every class that applies."""

    READ = "read"
    BULK_READ = "bulk_read"
    """Reads with no bound on the rows that leave."""
    WRITE = "write"
    MASS_WRITE = "mass_write"
    """Writes with no bound on the rows that change."""
    DDL = "ddl"
    DESTRUCTIVE_DDL = "destructive_ddl"
    PRIVILEGE = "privilege"
    EXPORT = "export"
    """Carries data out by another way than the answer: a file, a program, another server, a notification."""
    FILE_ACCESS = "file_access"
    CODE_EXECUTION = "code_execution"
    SESSION_CONTROL = "session_control"
    """Changes how this session or other sessions run, or holds them up."""
    UNPARSABLE = "unparsable"
    """Not understood in full, so nothing else that is said of the statement can be relied on."""


READING = frozenset({StatementClass.READ, StatementClass.BULK_READ})


@dataclass(frozen=True, slots=True)
class Verdict:
    """The classes of a text of one or more statements, the relations it touches, and why.

    ``reads`` and ``writes`` are names as written, lower case where the dialect folds case, with the schema where one is
    given (``public.users``). ``row_bound`` is the greatest number of rows that can leave, ``None`` when there is no
    bound that can be told. ``reason`` says in one line why the gravest class applies; it never quotes a literal.
    ``classes`` is never empty: what is not understood is ``UNPARSABLE``.
    """

    classes: frozenset[StatementClass]
    reads: frozenset[str] = field(default_factory=frozenset)
    writes: frozenset[str] = field(default_factory=frozenset)
    row_bound: int | None = None
    reason: str = ""

    @property
    def only_reads(self) -> bool:
        """Whether the text was understood and does nothing but read."""
        return self.classes <= READING

    @property
    def relations(self) -> frozenset[str]:
        """Everything it reads or writes."""
        return self.reads | self.writes


def unparsable(reason: str, classes: Iterable[StatementClass] = ()) -> Verdict:
    """Return the verdict on a text that was not understood (``classes``: what was, beside)."""
    return Verdict(frozenset({StatementClass.UNPARSABLE, *classes}), reason=reason)
