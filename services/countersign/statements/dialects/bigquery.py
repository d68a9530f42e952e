"""BigQuery: the statements that the other dialects do not have, or have otherwise.

Source: "GoogleSQL statements", "Procedural language" and "Data control language" of BigQuery's reference.
"""

from __future__ import annotations

from typing import Final

from countersign.statements.dialects.calls import dangerous
from countersign.statements.dialects.common import always, named, settle
from countersign.statements.dialects.definitions import name_at
from countersign.statements.dialects.effects import Effects
from countersign.statements.dialects.errors import NotUnderstoodError
from countersign.statements.dialects.judge import Handler, Judge, note_query
from countersign.statements.dialects.piece import STRING, Piece
from countersign.statements.verdict import StatementClass as C


def _execute(judge: Judge, piece: Piece, effects: Effects) -> None:
    effects.add("runs a text", C.CODE_EXECUTION)
    if (
        piece.begins("EXECUTE", "IMMEDIATE")
        and piece.word(2).startswith(STRING)
        and piece.word(3) in {"", "USING", "INTO"}
    ):
        inner = judge.nested(piece.word(2)[1:])
        effects.add_all("runs a text", dangerous(inner) | (inner.classes & {C.BULK_READ}))
        effects.reads |= inner.reads
        effects.writes |= inner.writes


def _export(judge: Judge, piece: Piece, effects: Effects) -> None:
    effects.add("writes the rows to a bucket", C.EXPORT, C.FILE_ACCESS)
    start = piece.find("AS")
    if start < 0:
        raise NotUnderstoodError("EXPORT of what is not known", [C.EXPORT, C.FILE_ACCESS])
    if piece.word(1) == "DATA":
        judge.query(piece.part(start + 1), effects)


def _load(judge: Judge, piece: Piece, effects: Effects) -> None:
    effects.add("reads files into a table", C.FILE_ACCESS, C.MASS_WRITE)
    place = max(map(piece.find, ("INTO", "OVERWRITE", "TABLE")))
    effects.writes |= {name_at(piece, place + 1)} - {""}
    if "OVERWRITE" in piece.words:
        effects.add("replaces all rows", C.DESTRUCTIVE_DDL)


def _insert(judge: Judge, piece: Piece, effects: Effects) -> None:
    if piece.word(1) != "INTO":
        piece = piece.headed("INSERT INTO")
    judge.change(piece, effects)


def _delete(judge: Judge, piece: Piece, effects: Effects) -> None:
    judge.change(piece if piece.word(1) == "FROM" else piece.headed("DELETE FROM"), effects)


def _set(judge: Judge, piece: Piece, effects: Effects) -> None:
    if piece.word(1) == "@@" or piece.begins("SET", "@", "@"):
        effects.add("sets how the session runs", C.SESSION_CONTROL)
    judge.loose(piece.part(1), effects)


def _expressions(judge: Judge, piece: Piece, effects: Effects) -> None:
    judge.loose(piece.part(1), effects)


def _assert(judge: Judge, piece: Piece, effects: Effects) -> None:
    judge.loose(piece.part(1), effects)
    effects.answer(1)


def _begin(judge: Judge, piece: Piece, effects: Effects) -> None:
    if len(piece) == 1 or piece.word(1) == "TRANSACTION":
        effects.add("begins a transaction or a block", C.SESSION_CONTROL)
        return
    # BEGIN statement; … END: the first statement follows at once.
    judge.note(piece.part(1), effects)


def _end(judge: Judge, piece: Piece, effects: Effects) -> None:
    if len(piece) > 2:
        raise NotUnderstoodError("what follows a block is not understood")


_SCRIPT: Final = always("is of a script, which is not followed", C.CODE_EXECUTION, C.UNPARSABLE)

STATEMENTS: Final[dict[str, Handler]] = settle(
    {
        "FROM": note_query,
        "INSERT": _insert,
        "DELETE": _delete,
        "EXECUTE": _execute,
        "EXPORT": _export,
        "LOAD": _load,
        "SET": _set,
        "DECLARE": _expressions,
        "BEGIN": _begin,
        "END": _end,
        "ASSERT": _assert,
        **named("IF LOOP WHILE REPEAT FOR ELSE ELSEIF CASE RAISE RETURN BREAK LEAVE CONTINUE ITERATE", _SCRIPT),
        "UNDROP": always("takes back a drop", C.DDL),
    }
)
