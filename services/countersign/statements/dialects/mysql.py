"""MySQL and MariaDB: the statements that the other dialects do not have, or have otherwise.

Source: the chapter "SQL Statements" of MySQL's manual, and MariaDB's knowledge base.
"""

from __future__ import annotations

from typing import Final

from countersign.statements.dialects.common import always, explained, named, second, settle, tells
from countersign.statements.dialects.definitions import name_at
from countersign.statements.dialects.effects import Effects
from countersign.statements.dialects.errors import NotUnderstoodError
from countersign.statements.dialects.judge import Handler, Judge, main_verb, note_change
from countersign.statements.dialects.piece import QUOTED, STRING, Piece
from countersign.statements.dialects.relations import is_secret
from countersign.statements.dialects.settings import mysql_setting
from countersign.statements.names import names
from countersign.statements.rows import MOST_ROWS
from countersign.statements.verdict import StatementClass as C

_SPEEDS: Final = names("LOW_PRIORITY DELAYED HIGH_PRIORITY QUICK IGNORE")
_AFTER_INTO: Final = ("FROM", "WHERE", "GROUP BY", "HAVING", "ORDER BY", "LIMIT", "FOR", "LOCK", "UNION")
_SCOPES: Final = names("GLOBAL PERSIST PERSIST_ONLY")
_SECRET_SHOWS: Final = names("PROCESSLIST BINLOG RELAYLOG MASTER SLAVE REPLICA REPLICAS BINARY ENGINE")


def _select(judge: Judge, piece: Piece, effects: Effects) -> None:
    start = piece.find("INTO")
    if start > 0:
        piece = _without_into(piece, start, effects)
    judge.query(piece, effects)


def _with(judge: Judge, piece: Piece, effects: Effects) -> None:
    (_select if main_verb(piece) in {"SELECT", "VALUES", "TABLE"} else note_change)(judge, piece, effects)


def _without_into(piece: Piece, start: int, effects: Effects) -> Piece:
    target = piece.word(start + 1)
    stops = [stop for stop in (piece.find(word, start) for word in _AFTER_INTO) if stop > 0]
    end = min(stops, default=len(piece))
    if target in {"OUTFILE", "DUMPFILE"} and piece.word(start + 2).startswith(STRING):
        effects.add("writes the rows to a file of the server", C.EXPORT, C.FILE_ACCESS)
        return piece.without(start, end)
    if target in {"@", ":"} or target.isidentifier():
        effects.add("sets a variable of the session", C.SESSION_CONTROL)
        return piece.without(start, end)
    raise NotUnderstoodError("INTO of a kind that is not known")


def _change(judge: Judge, piece: Piece, effects: Effects) -> None:
    while piece.word(1) in _SPEEDS:
        piece = piece.without(1, 2)
    if piece.head == "REPLACE":
        # The same statement but for the rows of the same key, which go.
        piece = piece.headed("INSERT")
    judge.change(piece, effects)


def _set(judge: Judge, piece: Piece, effects: Effects) -> None:
    after = piece.word(1)
    if after in {"PASSWORD", "DEFAULT"}:
        effects.add("changes an account", C.PRIVILEGE)
        return
    if after == "ROLE":
        effects.add("changes the role", C.PRIVILEGE, C.SESSION_CONTROL)
        return
    effects.add("sets how the session runs", C.SESSION_CONTROL)
    widely = any(word in _SCOPES for word in piece.words)
    for index, word in enumerate(piece.words):
        if piece.word(index + 1) in {"=", ":="}:
            effects.add_all(*mysql_setting(word.lstrip(QUOTED).lower(), widely=widely))
    judge.loose(piece, effects)


def _show(judge: Judge, piece: Piece, effects: Effects) -> None:
    words = set(piece.words)
    effects.answer(1)
    if words & _SECRET_SHOWS or ("CREATE" in words and "USER" in words):
        effects.add("shows what others run, or an account", C.PRIVILEGE, C.READ)
    judge.loose(piece, effects)


def _explain(judge: Judge, piece: Piece, effects: Effects) -> None:
    runs = piece.word(1) in {"ANALYZE", "ANALYSE"} or piece.head == "ANALYZE"
    index = 2 if piece.head != "ANALYZE" and runs else 1
    while piece.word(index) in {"EXTENDED", "PARTITIONS", "FORMAT", "=", "TRADITIONAL", "JSON", "TREE"}:
        index += 1
    if piece.word(index) in {"SELECT", "WITH", "TABLE", "VALUES", "(", "INSERT", "REPLACE", "UPDATE", "DELETE"}:
        explained(judge, piece.part(index), effects, runs=runs)
    elif piece.word(index) == "FOR" or runs:
        effects.add("shows what another session runs", C.PRIVILEGE, C.READ)
    elif len(piece) - index <= 4:
        effects.answer(1)
        effects.reads |= {name_at(piece, index)} - {""}
    else:
        raise NotUnderstoodError("EXPLAIN of a kind that is not known")


def _analyze(judge: Judge, piece: Piece, effects: Effects) -> None:
    if piece.word(1) in {"TABLE", "LOCAL", "NO_WRITE_TO_BINLOG"}:
        effects.add("maintains tables", C.DDL)
    else:
        _explain(judge, piece, effects)


def _prepare(judge: Judge, piece: Piece, effects: Effects) -> None:
    effects.add("prepares a statement", C.SESSION_CONTROL)
    text = piece.word(3)
    if text.startswith(STRING) and len(piece) == 4:
        inner = judge.nested(text[1:])
        effects.add_all("prepares a statement", inner.classes)
        effects.reads |= inner.reads
        effects.writes |= inner.writes
    else:
        effects.add("prepares a text that is not seen", C.CODE_EXECUTION)


def _handler(judge: Judge, piece: Piece, effects: Effects) -> None:
    if "READ" not in piece.words:
        effects.add("opens or closes a handler", C.SESSION_CONTROL)
        return
    limit = piece.find("LIMIT")
    count = piece.word(len(piece) - 1) if limit > 0 else "1"
    name = name_at(piece, 1)
    effects.reads.add(name)
    if is_secret(name, "mysql"):
        effects.add("a relation shows credentials", C.PRIVILEGE)
    effects.answer(int(count) if count.isdigit() and len(count) < 9 and int(count) <= MOST_ROWS else None)
    judge.loose(piece, effects)


def _load(judge: Judge, piece: Piece, effects: Effects) -> None:
    if piece.word(1) in {"DATA", "XML"}:
        effects.add("reads a file into a table", C.FILE_ACCESS, C.MASS_WRITE)
        into = piece.find("TABLE")
        if into > 0:
            effects.writes.add(piece.word(into + 1).lstrip(QUOTED).lower())
    else:
        effects.add("loads", C.FILE_ACCESS, C.SESSION_CONTROL)


def _do(judge: Judge, piece: Piece, effects: Effects) -> None:
    judge.loose(piece, effects)
    if not effects.classes:
        effects.answer(0)


def _flush(judge: Judge, piece: Piece, effects: Effects) -> None:
    effects.add("flushes", C.SESSION_CONTROL)
    if "PRIVILEGES" in piece.words:
        effects.add("reloads the accounts", C.PRIVILEGE)


_SESSION: Final = always("controls sessions or the server", C.SESSION_CONTROL)
_REPLICATES: Final = always("changes replication", C.SESSION_CONTROL, C.PRIVILEGE, C.EXPORT)

STATEMENTS: Final[dict[str, Handler]] = settle(
    {
        **named("SELECT ( TABLE VALUES", _select),
        "WITH": _with,
        **named("INSERT REPLACE UPDATE DELETE", _change),
        "SET": _set,
        "SHOW": _show,
        **named("DESCRIBE DESC EXPLAIN", _explain),
        "ANALYZE": _analyze,
        "HELP": tells,
        "PREPARE": _prepare,
        "DEALLOCATE": _SESSION,
        "HANDLER": _handler,
        "LOAD": _load,
        "DO": _do,
        **named("USE KILL LOCK UNLOCK START BEGIN XA CACHE RESTART SHUTDOWN", _SESSION),
        "FLUSH": _flush,
        "RESET": always("resets", C.SESSION_CONTROL, C.DESTRUCTIVE_DDL),
        "PURGE": always("drops logs", C.SESSION_CONTROL, C.DESTRUCTIVE_DDL),
        "CHANGE": _REPLICATES,
        "STOP": _SESSION,
        "BINLOG": always("replays events", C.CODE_EXECUTION, C.MASS_WRITE),
        "CLONE": always("copies the server's data", C.FILE_ACCESS, C.EXPORT, C.DESTRUCTIVE_DDL),
        "IMPORT": always("imports files", C.FILE_ACCESS, C.DDL),
        "INSTALL": always("loads native code", C.CODE_EXECUTION),
        "UNINSTALL": always("unloads native code", C.CODE_EXECUTION),
        "RENAME": second(
            {
                "TABLE": always("renames a table", C.DDL),
                "TABLES": always("renames tables", C.DDL),
                "USER": always("renames an account", C.PRIVILEGE),
            }
        ),
        **named("OPTIMIZE REPAIR", always("maintains tables", C.DDL)),
        **named("CHECK CHECKSUM", tells),
        **named("SIGNAL RESIGNAL GET", _SESSION),
        "DECLARE": always("is of a procedure only", C.UNPARSABLE),
    }
)
