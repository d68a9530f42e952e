"""Verdicts on the parts of a text, made one."""

from __future__ import annotations

from collections.abc import Iterable

from countersign.statements.verdict import READING, StatementClass, Verdict

_C = StatementClass

GRAVITY = (
    _C.UNPARSABLE,
    _C.CODE_EXECUTION,
    _C.PRIVILEGE,
    _C.DESTRUCTIVE_DDL,
    _C.MASS_WRITE,
    _C.EXPORT,
    _C.FILE_ACCESS,
    _C.DDL,
    _C.WRITE,
    _C.SESSION_CONTROL,
    _C.BULK_READ,
    _C.READ,
)
"""From the gravest class to the most harmless: whose reason is told when a text has several."""

_RANK = {each: rank for rank, each in enumerate(GRAVITY)}


def combine(verdicts: Iterable[Verdict]) -> Verdict:
    """Say of a text what is said of its parts: the union of everything, the reason of the gravest part.

    ``read`` gives way to ``bulk_read``. The row bound is the sum, and ``None`` as soon as one part that reads has none.
    Raises :class:`ValueError` when there is no part: nothing is not harmless.
    """
    parts = tuple(verdicts)
    if not parts:
        raise ValueError("a text without statements has no verdict")
    if len(parts) == 1:
        return parts[0]
    gravest = min(parts, key=lambda part: min(_RANK[each] for each in part.classes))
    reading = [part.row_bound for part in parts if part.classes & READING]
    known = [bound for bound in reading if bound is not None]
    return Verdict(
        settle(frozenset().union(*(part.classes for part in parts))),
        reads=frozenset().union(*(part.reads for part in parts)),
        writes=frozenset().union(*(part.writes for part in parts)),
        row_bound=sum(known) if known and len(known) == len(reading) else None,
        reason=gravest.reason,
    )


def settle(classes: frozenset[StatementClass]) -> frozenset[StatementClass]:
    """Drop ``read`` where ``bulk_read`` says more."""
    return classes - {_C.READ} if _C.BULK_READ in classes else classes
