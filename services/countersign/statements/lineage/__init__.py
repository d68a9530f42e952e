"""Lineage: a statement and the masked columns in, what its result's columns derive from them out. Pure, and closed.

``found`` is what is said, ``tables`` and ``frames`` are what every dialect shares; PostgreSQL is read by its own
parser, the other dialects by sqlglot's grammars. What a condition lets guess of a masked column (``WHERE ssn LIKE
'1%'``) is no lineage, and neither is what a stored view or function hides.
"""

from __future__ import annotations

from collections.abc import Iterable

from countersign.statements.classify import SQL_DIALECTS, canonical
from countersign.statements.lineage.found import ANY, NOTHING, UNKNOWN, Column, Lineage, together

__all__ = ["ANY", "NOTHING", "UNKNOWN", "Column", "Lineage", "lineage", "together"]


def lineage(text: str, language: str, masked: Iterable[str]) -> Lineage:
    """Say which columns of what ``text`` answers derive from columns with ``masked`` names, in any case of letters.

    Never fails for any text: of what is not understood in full, :data:`UNKNOWN` is said. So it is of a language that is
    no SQL.

    Raises:
        ValueError: when the language is unknown.
    """
    names = frozenset(name.casefold() for name in masked)
    dialect = canonical(language)
    if not names:
        return NOTHING
    if dialect not in SQL_DIALECTS:
        return UNKNOWN
    try:
        if dialect == "postgres":
            from countersign.statements.lineage.postgres import lineage_of_postgres

            return lineage_of_postgres(text, names)
        from countersign.statements.lineage.dialects import lineage_of_dialect

        return lineage_of_dialect(text, dialect, names)
    except Exception:
        # Whatever it is, its message could quote the text.
        return UNKNOWN
