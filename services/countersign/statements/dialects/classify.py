"""The way of a text: its readings, their tokens, their statements, the verdict on each, and what is said of all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from countersign.statements.combine import combine
from countersign.statements.dialects import bigquery, mysql, snowflake, sqlite, tsql
from countersign.statements.dialects.batches import batch
from countersign.statements.dialects.errors import NotUnderstoodError
from countersign.statements.dialects.judge import Handler, Judge
from countersign.statements.dialects.piece import MOST_TOKENS, Piece, piece_of, statements
from countersign.statements.dialects.readings import Reading, readings
from countersign.statements.verdict import READING, StatementClass, Verdict, unparsable

MOST_CHARACTERS: Final = 65_536
MOST_STATEMENTS: Final = 200
_SIGNS: Final = ";,()"
_MOST_NESTING: Final = 3
_DEEPEST: Final = "statements are carried in statements too deeply"

_STATEMENTS: Final[Mapping[str, Mapping[str, Handler]]] = {
    "mysql": mysql.STATEMENTS,
    "tsql": tsql.STATEMENTS,
    "sqlite": sqlite.STATEMENTS,
    "bigquery": bigquery.STATEMENTS,
    "snowflake": snowflake.STATEMENTS,
}
DIALECTS: Final = tuple(_STATEMENTS)
ALIASES: Final = {"mariadb": "mysql", "mssql": "tsql", "sqlserver": "tsql"}


def classify_dialect(text: str, dialect: str) -> Verdict:
    """Return what the text does, in MySQL, T-SQL, SQLite, BigQuery or Snowflake.

    ``dialect`` is one of :data:`DIALECTS` or :data:`ALIASES`; any other raises :class:`ValueError`. Nothing else is
    raised, whatever the text: what is not understood in full is ``unparsable``.
    """
    name = ALIASES.get(dialect, dialect)
    if name not in _STATEMENTS:
        raise ValueError("no such dialect of SQL")
    return _classify(text, name, 0)


def _classify(text: str, dialect: str, nesting: int) -> Verdict:
    if len(text) > MOST_CHARACTERS:
        return unparsable("the text is longer than is read")
    if len(text) > MOST_TOKENS and _crowded(text):
        return unparsable("the text is longer than can be understood in time")
    if nesting > _MOST_NESTING:
        return unparsable(_DEEPEST)
    try:
        verdicts = []
        found = readings(text, dialect)
        if len(found) > 1 and sum(len(reading.text) for reading in found) > MOST_CHARACTERS:
            return unparsable("the text has more readings than can be understood in time")
        for reading in found:
            verdict = _read(reading, dialect, nesting)
            if verdict is None:
                continue
            # What only other modes of the server make of the text counts where it is understood and does more.
            if reading.likely or not verdict.classes & {StatementClass.UNPARSABLE}:
                verdicts.append(verdict)
        return combine(verdicts) if verdicts else unparsable("there is no statement")
    except NotUnderstoodError as error:
        return unparsable(error.reason, error.classes)
    except (RecursionError, MemoryError):
        return unparsable("the text is nested too deeply")
    except Exception:
        return unparsable("the text was not understood")


def _crowded(text: str) -> bool:
    """Whether the text has so many parts that even to divide it into tokens takes too long; prose in quotes has not."""
    return sum(map(text.count, _SIGNS)) > 4 * MOST_TOKENS or len(text.split()) > 5 * MOST_TOKENS


def _read(reading: Reading, dialect: str, nesting: int) -> Verdict | None:
    """Return the verdict on one reading; None: it holds no statement."""
    whole = piece_of(reading.text, reading.grammar)
    judge = Judge(_STATEMENTS[dialect], lambda text: _classify(text, dialect, nesting + 1))
    pieces = [each for each in (batch(whole) if dialect == "tsql" else statements(whole)) if len(each)]
    if not pieces:
        return None
    if len(pieces) > MOST_STATEMENTS:
        return unparsable("there are more statements than are read")
    verdicts: list[Verdict] = []
    repeats = False
    for piece in pieces:
        repeats |= piece.head == "WHILE"
        verdict = judge.judge(_called(piece) if dialect == "tsql" else piece)
        # A loop around nothing that is stored is a loop, and no reading.
        if verdict is not None and not (repeats and verdict.classes <= READING and not verdict.reads):
            verdicts.append(verdict)
    nothing = Verdict(frozenset({StatementClass.READ}), row_bound=0, reason="sets up only")
    found = combine(verdicts) if verdicts else nothing
    return replace(found, reads=found.reads | judge.looked_at) if judge.looked_at else found


def _called(piece: Piece) -> Piece:
    """Return the call of a system procedure that is written without ``EXEC`` with it."""
    if piece.head.startswith(("SP_", "XP_", '"')) or piece.word(1) == ".":
        return piece.headed("EXEC", replaced=0)
    return piece
