"""SQL Server: the statements that the other dialects do not have, or have otherwise.

Source: the Transact-SQL reference.
"""

from __future__ import annotations

from typing import Final

from countersign.statements.dialects.calls import check_special, dangerous
from countersign.statements.dialects.common import always, named, settle
from countersign.statements.dialects.effects import Effects
from countersign.statements.dialects.errors import NotUnderstoodError
from countersign.statements.dialects.judge import Handler, Judge
from countersign.statements.dialects.piece import QUOTED, STRING, Piece
from countersign.statements.dialects.tables.procedures import HARMLESS_PROCEDURES, PROCEDURES
from countersign.statements.rows import FEW, MOST_ROWS, Rows
from countersign.statements.verdict import StatementClass as C

_AFTER_OUTPUT: Final = ("FROM", "WHERE", "VALUES", "SELECT", "DEFAULT", "OPTION", "EXEC", "EXECUTE", ";")


def _change(judge: Judge, piece: Piece, effects: Effects) -> None:
    if piece.head == "UPDATE" and piece.word(1) == "STATISTICS":
        effects.add("maintains statistics", C.DDL)
        return
    piece, most = _without_top(piece)
    piece, leaves = _without_output(piece, effects)
    source = next((index for index, word in enumerate(piece.words) if word in {"EXEC", "EXECUTE"}), 0)
    if piece.head == "INSERT" and source:
        effects.add("inserts what a procedure gives", C.MASS_WRITE)
        _execute(judge, piece.part(source), effects)
        return
    if piece.head == "INSERT" and piece.word(1) != "INTO":
        piece = piece.headed("INSERT INTO")
    if piece.head == "DELETE" and piece.word(1) != "FROM":
        piece = _with_from(piece)
    judge.change(piece, effects, most)
    if leaves:
        effects.reads |= effects.writes
        effects.answer(FEW if C.MASS_WRITE not in effects.classes else None)


def _with_from(piece: Piece) -> Piece:
    """Return ``DELETE t WHERE …`` as ``DELETE FROM t WHERE …``; with a second ``FROM`` it needs none."""
    return piece if piece.find("FROM") > 0 else piece.headed("DELETE FROM")


def _without_top(piece: Piece) -> tuple[Piece, Rows]:
    """Return the statement without ``TOP (n)``, and n; None where it is no bound."""
    if piece.word(1) != "TOP":
        return piece, None
    end = piece.closing(2) + 1 if piece.word(2) == "(" else 3
    count = piece.words[2:end]
    digits = count[1] if len(count) == 3 else count[0]
    percent = piece.word(end) == "PERCENT"
    most = int(digits) if digits.isdigit() and len(digits) < 9 and not percent else None
    piece = piece.without(1, end + percent)
    return piece, most if most is not None and most <= MOST_ROWS else None


def _without_output(piece: Piece, effects: Effects) -> tuple[Piece, bool]:
    """Return the statement without its ``OUTPUT`` clause, and whether rows leave by it."""
    start = piece.find("OUTPUT")
    if start <= 1:
        return piece, False
    end = min((stop for stop in (piece.find(word, start) for word in _AFTER_OUTPUT) if stop > 0), default=len(piece))
    clause = piece.part(start, end)
    check_special(clause, effects)
    into = clause.find("INTO")
    if "SELECT" in clause.words:
        raise NotUnderstoodError("OUTPUT of a kind that is not known")
    if into > 0 and clause.word(into + 1) != "@":
        effects.writes.add(clause.word(into + 1).lstrip(QUOTED).lower())
    return piece.without(start, end), into < 0


def _execute(judge: Judge, piece: Piece, effects: Effects) -> None:
    after = piece.word(1)
    if after == "AS":
        effects.add("takes on another identity", C.PRIVILEGE, C.SESSION_CONTROL)
        return
    index = 1
    if after == "@" and piece.word(3) == "=":
        # EXEC @result = procedure
        index = 4
    if piece.word(index) in {"(", "@"}:
        effects.add("runs a text", C.CODE_EXECUTION)
        _check_text(judge, piece, index, effects)
        if "AT" in piece.words:
            effects.add("runs on another server", C.EXPORT)
        return
    name, parts, end = _procedure(piece, index)
    if parts > 3:
        effects.add("runs on another server", C.EXPORT)
    if name in HARMLESS_PROCEDURES and parts <= 3:
        effects.answer(1)
        judge.loose(piece.part(end), effects)
        return
    effects.add_all(
        f"runs {name}" if name in PROCEDURES else "runs a procedure that is not known",
        PROCEDURES.get(name, (C.CODE_EXECUTION,)),
    )
    if C.CODE_EXECUTION in effects.classes:
        _check_text(judge, piece, end, effects)


def _procedure(piece: Piece, index: int) -> tuple[str, int, int]:
    """Return the bare name of the procedure, lower case, the number of parts of its name, and where the name ends."""
    parts, name = 1, piece.word(index)
    while piece.word(index + 1) == ".":
        index += 1
        parts += 1
        while piece.word(index + 1) == ".":
            index += 1
            parts += 1
        index += 1
        name = piece.word(index)
    return name.lstrip(QUOTED + STRING).lower(), parts, index + 1


def _check_text(judge: Judge, piece: Piece, start: int, effects: Effects) -> None:
    """Note what the statement does that is the first text from ``start``, if nothing is joined to it."""
    for index in range(start, len(piece)):
        word = piece.words[index]
        if word.startswith(STRING):
            if piece.word(index + 1) != "+" and piece.word(index - 1) != "+":
                inner = judge.nested(word[1:])
                carried = dangerous(inner) | (inner.classes & {C.BULK_READ})
                effects.add_all("runs a text", carried)
                effects.reads |= inner.reads
                effects.writes |= inner.writes
            return


def _condition(judge: Judge, piece: Piece, effects: Effects) -> None:
    judge.loose(piece.part(1), effects)


def _while(judge: Judge, piece: Piece, effects: Effects) -> None:
    effects.add("repeats a statement", C.SESSION_CONTROL)
    judge.loose(piece.part(1), effects)


def _set(judge: Judge, piece: Piece, effects: Effects) -> None:
    if piece.word(1) != "@" or "CURSOR" in piece.words:
        effects.add("sets how the session runs", C.SESSION_CONTROL)
    judge.loose(piece.part(1), effects)


def _declare(judge: Judge, piece: Piece, effects: Effects) -> None:
    select = piece.find("FOR")
    if "CURSOR" in piece.words and select > 0:
        effects.add("opens a cursor", C.SESSION_CONTROL)
        query = piece.part(select + 1)
        end = query.find("FOR")
        judge.query(query if end < 0 else query.part(0, end), effects)
    elif piece.word(1) == "@" and "TABLE" in piece.words[:6]:
        check_special(piece, effects)
    else:
        judge.loose(piece.part(1), effects)


def _begin(judge: Judge, piece: Piece, effects: Effects) -> None:
    if piece.word(1) in {"TRAN", "TRANSACTION", "DISTRIBUTED"}:
        effects.add("begins a transaction", C.SESSION_CONTROL)


def _block(judge: Judge, piece: Piece, effects: Effects) -> None:
    if len(piece) > 2:
        raise NotUnderstoodError("what follows a block is not understood")


def _fetch(judge: Judge, piece: Piece, effects: Effects) -> None:
    effects.answer(1)


def _bulk(judge: Judge, piece: Piece, effects: Effects) -> None:
    effects.add("reads a file into a table", C.FILE_ACCESS, C.MASS_WRITE)
    effects.writes.add(piece.word(2).lstrip(QUOTED).lower())


def _dbcc(judge: Judge, piece: Piece, effects: Effects) -> None:
    effects.add("runs a command of the server", C.SESSION_CONTROL)
    if piece.word(1) in {"PAGE", "LOG", "IND", "INPUTBUFFER", "OUTPUTBUFFER", "MEMORYSTATUS", "WRITEPAGE"}:
        effects.add("shows raw data, or what others run", C.PRIVILEGE)
    if piece.word(1) in {"WRITEPAGE", "CLONEDATABASE", "SHRINKDATABASE", "SHRINKFILE", "CHECKIDENT"}:
        effects.add("changes the database", C.DDL)
    if piece.word(1) == "ADDEXTENDEDPROC":
        effects.add("loads a library", C.CODE_EXECUTION)


def _print(judge: Judge, piece: Piece, effects: Effects) -> None:
    judge.loose(piece.part(1), effects)


_SESSION: Final = always("controls sessions or the server", C.SESSION_CONTROL)

STATEMENTS: Final[dict[str, Handler]] = settle(
    {
        **named("INSERT UPDATE DELETE MERGE", _change),
        **named("EXEC EXECUTE", _execute),
        "IF": _condition,
        "WHILE": _while,
        "SET": _set,
        "DECLARE": _declare,
        "BEGIN": _begin,
        **named("END ELSE BREAK CONTINUE RETURN", _block),
        **named("FETCH", _fetch),
        **named("OPEN CLOSE DEALLOCATE SAVE WAITFOR USE KILL SHUTDOWN CHECKPOINT GOTO THROW RAISERROR", _SESSION),
        "RECONFIGURE": always("applies settings of the server", C.SESSION_CONTROL, C.PRIVILEGE),
        "PRINT": _print,
        "BULK": _bulk,
        "DBCC": _dbcc,
        "DENY": always("changes who may do what", C.PRIVILEGE),
        "REVERT": always("takes back an identity", C.SESSION_CONTROL, C.PRIVILEGE),
        "SETUSER": always("takes on another identity", C.SESSION_CONTROL, C.PRIVILEGE),
        **named("BACKUP DUMP", always("writes the database to a file", C.EXPORT, C.FILE_ACCESS, C.BULK_READ)),
        **named(
            "RESTORE LOAD", always("replaces a database by a file", C.FILE_ACCESS, C.DESTRUCTIVE_DDL, C.MASS_WRITE)
        ),
        "ENABLE": always("enables a trigger", C.DDL, C.PRIVILEGE),
        "DISABLE": always("disables a trigger", C.DDL, C.PRIVILEGE),
        **named("WRITETEXT UPDATETEXT", always("changes a large value", C.WRITE)),
        "READTEXT": _fetch,
        "SEND": always("sends a message", C.EXPORT, C.WRITE),
        "RECEIVE": always("takes messages off a queue", C.MASS_WRITE, C.BULK_READ),
        "CALL": always("is not of this dialect", C.UNPARSABLE, C.CODE_EXECUTION),
    }
)
