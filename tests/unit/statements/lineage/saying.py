"""What lineage says of a statement, in few words."""

from __future__ import annotations

from countersign.statements.lineage import Lineage, lineage

MASKED = frozenset({"ssn", "card"})


def said(text: str, dialect: str = "postgres") -> str:
    """Name the masked columns of the result with what they derive from (``x<ssn``), or say that all are."""
    return words(lineage(text, dialect, MASKED))


def words(found: Lineage) -> str:
    """Say a lineage."""
    if found.everything:
        return "everything"
    return " ".join(f"{column.name}<{'+'.join(sorted(column.sources))}" for column in found.columns) or "clear"
