"""Snowflake: the statements that the other dialects do not have, or have otherwise.

Source: "All commands" and "Snowflake Scripting" of Snowflake's reference.
"""

from __future__ import annotations

from typing import Final

from countersign.statements.dialects.calls import dangerous
from countersign.statements.dialects.common import always, explained, named, settle
from countersign.statements.dialects.definitions import name_at
from countersign.statements.dialects.effects import Effects
from countersign.statements.dialects.errors import NotUnderstoodError
from countersign.statements.dialects.judge import Handler, Judge
from countersign.statements.dialects.piece import QUOTED, STRING, Piece
from countersign.statements.names import names
from countersign.statements.verdict import StatementClass as C

_SECRET_SHOWS: Final = names("USERS GRANTS SHARES INTEGRATIONS CREDENTIALS SECRETS SESSIONS NETWORK LOCKS TRANSACTIONS")
_WEAKENS: Final = names("ROLE SECONDARY")


def _copy(judge: Judge, piece: Piece, effects: Effects) -> None:
    target = piece.word(2)
    if not piece.begins("COPY", "INTO") or len(piece) < 5:
        raise NotUnderstoodError("COPY of a kind that is not known")
    if target == "@" or target.startswith(STRING):
        effects.add("writes the rows to a stage", C.EXPORT, C.FILE_ACCESS)
        start = piece.find("FROM")
        if piece.word(start + 1) == "(":
            judge.query(piece.part(start + 1, piece.closing(start + 1) + 1), effects)
        else:
            effects.reads.add(piece.word(start + 1).lstrip(QUOTED).lower())
            effects.answer(None)
    else:
        effects.add("reads files into a table", C.FILE_ACCESS, C.MASS_WRITE)
        effects.writes.add(target.lstrip(QUOTED).lower())


def _execute(judge: Judge, piece: Piece, effects: Effects) -> None:
    effects.add("runs a text or a task", C.CODE_EXECUTION)
    text = piece.word(2)
    if piece.word(1) == "IMMEDIATE" and text.startswith(STRING) and piece.word(3) in {"", "USING"}:
        inner = judge.nested(text[1:])
        effects.add_all("runs a text", dangerous(inner) | (inner.classes & {C.BULK_READ}))
        effects.reads |= inner.reads
        effects.writes |= inner.writes
    elif piece.word(2) == "FROM":
        effects.add("runs a file", C.FILE_ACCESS)


def _use(judge: Judge, piece: Piece, effects: Effects) -> None:
    effects.add("changes the session", C.SESSION_CONTROL)
    if piece.word(1) in _WEAKENS:
        effects.add("changes the role", C.PRIVILEGE)


def _show(judge: Judge, piece: Piece, effects: Effects) -> None:
    effects.answer(1)
    if set(piece.words) & _SECRET_SHOWS:
        effects.add("shows accounts, rights or what others run", C.PRIVILEGE, C.READ)


def _describe(judge: Judge, piece: Piece, effects: Effects) -> None:
    effects.answer(1)
    if piece.word(1) in {"TABLE", "VIEW"}:
        effects.reads |= {name_at(piece, 2)} - {""}
    if piece.word(1) in {"USER", "INTEGRATION", "SECRET"}:
        effects.add("shows an account", C.PRIVILEGE, C.READ)


def _explain(judge: Judge, piece: Piece, effects: Effects) -> None:
    start = 3 if piece.word(1) == "USING" else 1
    if piece.word(start) in {"EXPLAIN", ""}:
        raise NotUnderstoodError("EXPLAIN of nothing that is known")
    explained(judge, piece.part(start), effects, runs=False)


def _set(judge: Judge, piece: Piece, effects: Effects) -> None:
    effects.add("sets a variable of the session", C.SESSION_CONTROL)
    judge.loose(piece.part(1), effects)


def _begin(judge: Judge, piece: Piece, effects: Effects) -> None:
    if len(piece) == 1 or piece.word(1) in {"TRANSACTION", "WORK", "NAME"}:
        effects.add("begins a transaction", C.SESSION_CONTROL)
        return
    effects.add("runs a script", C.CODE_EXECUTION)
    judge.note(piece.part(1), effects)


def _end(judge: Judge, piece: Piece, effects: Effects) -> None:
    if len(piece) > 1:
        raise NotUnderstoodError("what follows a block is not understood")


_SCRIPT: Final = always("is of a script, which is not followed", C.CODE_EXECUTION, C.UNPARSABLE)

STATEMENTS: Final[dict[str, Handler]] = settle(
    {
        "COPY": _copy,
        "PUT": always("writes a file to a stage", C.FILE_ACCESS, C.EXPORT),
        "GET": always("fetches files from a stage", C.FILE_ACCESS, C.EXPORT),
        **named("LIST LS", always("lists files of a stage", C.FILE_ACCESS)),
        **named("REMOVE RM", always("removes files of a stage", C.FILE_ACCESS, C.DESTRUCTIVE_DDL)),
        "EXECUTE": _execute,
        "USE": _use,
        "SHOW": _show,
        **named("DESCRIBE DESC", _describe),
        "EXPLAIN": _explain,
        "SET": _set,
        "UNSET": always("unsets a variable of the session", C.SESSION_CONTROL),
        **named("BEGIN START", _begin),
        "COMMENT": always("comments", C.DDL),
        "UNDROP": always("takes back a drop", C.DDL),
        "END": _end,
        "DECLARE": always("runs a script", C.CODE_EXECUTION),
        **named("LET IF FOR WHILE LOOP RETURN CASE REPEAT", _SCRIPT),
    }
)
