"""MySQL, T-SQL, SQLite, BigQuery and Snowflake, by the grammars that the statements are judged by."""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from countersign.statements.dialects.batches import batch
from countersign.statements.dialects.classify import classify_dialect
from countersign.statements.dialects.errors import NotUnderstoodError
from countersign.statements.dialects.grammars import parse
from countersign.statements.dialects.piece import Piece, piece_of, statements
from countersign.statements.dialects.readings import Reading, readings
from countersign.statements.lineage.dialects.names import with_names
from countersign.statements.lineage.dialects.queries import Queries
from countersign.statements.lineage.dialects.values import QUERIES
from countersign.statements.lineage.found import NOTHING, UNKNOWN, Lineage, Sources, together
from countersign.statements.lineage.frames import Frame
from countersign.statements.lineage.tables import Table, lineage_of
from countersign.statements.lineage.words import mentioned
from countersign.statements.names import names
from countersign.statements.verdict import StatementClass

__all__ = ["lineage_of_dialect"]

MOST_BYTES: Final = 32 * 1024

_SILENT: Final = names(
    """
    BEGIN START COMMIT ROLLBACK SAVEPOINT RELEASE USE SET SHOW DESCRIBE DESC PRAGMA DROP ALTER TRUNCATE GRANT REVOKE
    DENY ANALYZE VACUUM REINDEX ATTACH DETACH LOCK UNLOCK KILL COMMENT CHECKPOINT
    """
)
"""Statements that give no row of a stored relation."""

_CHANGES: Final = (exp.Insert, exp.Update, exp.Delete, exp.Merge)


def lineage_of_dialect(text: str, dialect: str, masked: Sources) -> Lineage:
    """Return the lineage of what a text of one or more statements answers; ``dialect`` is a canonical name.

    Raises:
        NotUnderstoodError: when it is not understood.
    """
    if len(text.encode()) > MOST_BYTES:
        raise NotUnderstoodError("longer than is followed")
    if StatementClass.UNPARSABLE in classify_dialect(text, dialect).classes:
        # The judgement knows what the grammars drop, and what servers read in two ways.
        return UNKNOWN
    return together([_of_reading(reading, dialect, masked) for reading in readings(text, dialect)])


def _of_reading(reading: Reading, dialect: str, masked: Sources) -> Lineage:
    try:
        whole = piece_of(reading.text, reading.grammar)
        written: dict[str, Table] = {}
        pieces = [each for each in (batch(whole) if dialect == "tsql" else statements(whole)) if len(each)]
        found = [_of_statement(piece, masked, written) for piece in pieces]
        if any(piece.head == "ALTER" for piece in pieces[:-1]):
            # Names of columns may mean others after it.
            found.append(UNKNOWN)
        return together((*found, Lineage(touched=bool(mentioned(reading.text, masked)))))
    except NotUnderstoodError:
        if reading.likely:
            raise
        return NOTHING


def _of_statement(piece: Piece, masked: Sources, written: dict[str, Table]) -> Lineage:
    if piece.head == "EXPLAIN":
        return UNKNOWN if mentioned(piece.text, masked) else NOTHING
    if piece.head in _SILENT and "SELECT" not in piece.words:
        return NOTHING
    if "|>" in piece.words or (piece.dialect == "snowflake" and "->>" in piece.words):
        return UNKNOWN
    tree = parse(piece.tokens, piece.grammar, piece.text)
    queries = Queries(masked, piece.dialect, written)
    if isinstance(tree, QUERIES):
        table = queries.query(tree, Frame())
        into = _into(tree)
        if into is None:
            return lineage_of(with_names(table, tree, piece))
        written[into.casefold()] = table
        return NOTHING
    if isinstance(tree, _CHANGES):
        return lineage_of(queries.change(tree))
    if isinstance(tree, exp.Create):
        source = tree.args.get("expression")
        if isinstance(source, QUERIES):
            written[tree.this.name.casefold()] = queries.query(source, Frame())
        return NOTHING
    return UNKNOWN


def _into(tree: exp.Expr) -> str | None:
    node = tree
    while isinstance(node, exp.SetOperation):
        node = node.this
    into = node.args.get("into")
    return into.this.name if into is not None else None
