"""Statements that define, change or drop what holds data, runs, or has rights: nearly the same in all dialects."""

from __future__ import annotations

from collections.abc import Callable

from countersign.statements.dialects.calls import check_special
from countersign.statements.dialects.effects import Effects
from countersign.statements.dialects.errors import NotUnderstoodError
from countersign.statements.dialects.piece import QUOTED, STRING, Piece
from countersign.statements.dialects.tables.kinds import (
    LOOSENS,
    MODIFIERS,
    NOT_OF_DATA,
    PLAIN,
    REACHES,
    RIGHTS,
    RUNS,
)
from countersign.statements.rows import bounded
from countersign.statements.verdict import StatementClass as C

JudgeQuery = Callable[[Piece, Effects], None]
"""Notes what a query does that the statement carries."""

_SKIPPED = (QUOTED, STRING)


def create(piece: Piece, effects: Effects, query: JudgeQuery) -> None:
    """Note what ``CREATE …`` does."""
    index, kind = _kind(piece)
    name = _name(piece, index)
    if kind in RUNS:
        effects.add(f"creates a {kind}: plants code", C.DDL, C.CODE_EXECUTION)
        if "SONAME" in piece.words or (kind == "ASSEMBLY" and any(word.startswith(STRING) for word in piece.words)):
            effects.add("loads a library", C.FILE_ACCESS)
    elif kind in RIGHTS:
        effects.add(f"creates a {kind}", C.PRIVILEGE)
    elif kind in REACHES:
        effects.add(f"creates a {kind}: a way out", C.DDL, C.EXPORT)
    elif kind in PLAIN:
        effects.add(f"creates a {kind}", C.DDL)
        _create_plain(piece, index, kind, effects, query)
    else:
        effects.add("creates what is not known", C.DDL, C.UNPARSABLE)
    if name and kind in PLAIN | RUNS:
        effects.writes.add(name)
    effects.writes |= _indexed(piece, kind)
    for word in ("CLONE", "LIKE", "COPY"):
        place = piece.find(word, index)
        if place > 0 and kind in PLAIN and (name := name_at(piece, place + 1)):
            effects.reads.add(name)
    check_special(piece, effects)


def _create_plain(piece: Piece, index: int, kind: str, effects: Effects, query: JudgeQuery) -> None:
    if "CLONE" in piece.words[index:] or "COPY" in piece.words[index : index + 3]:
        effects.add("copies a table", C.MASS_WRITE, C.BULK_READ)
    if kind == "VIRTUAL":
        _create_virtual(piece, effects)
    if piece.dialect == "mysql" and {"DIRECTORY", "DATAFILE", "FILE_NAME"} & set(piece.words):
        effects.add("names a directory of the server", C.FILE_ACCESS)
    if "CONNECTION" in piece.words and piece.dialect in {"mysql", "bigquery"}:
        effects.add("reaches another server", C.EXPORT)
    start = _query_start(piece, index)
    if start < 0:
        return
    inner = Effects()
    query(piece.part(start), inner)
    effects.reads |= inner.reads
    if kind != "TABLE":
        # A view, a materialized view, a dynamic table: it runs when it is read.
        effects.add_all("is defined by a query that does more than read", set(inner.classes) - {C.BULK_READ})
        return
    for each, reason in inner.classes.items():
        effects.add(reason, each)
    effects.add("copies rows", C.WRITE if bounded(inner.rows) else C.MASS_WRITE)
    if inner.reads:
        effects.answer(inner.rows)


def _create_virtual(piece: Piece, effects: Effects) -> None:
    using = piece.find("USING")
    module = piece.word(using + 1).lstrip(QUOTED).upper() if using >= 0 else ""
    if module in {"CSV", "ZIPFILE", "FSDIR", "VSV"}:
        effects.add("reads a file as a table", C.FILE_ACCESS)
    elif module not in {"FTS3", "FTS4", "FTS5", "RTREE", "RTREE_I32", "GEOPOLY", "FTS5VOCAB", "FTS4AUX"}:
        effects.add("runs a module that is not known", C.CODE_EXECUTION)


def _query_start(piece: Piece, index: int) -> int:
    """Return where the query stands that the relation is defined by, or -1."""
    depth = 0
    for place in range(index, len(piece)):
        word = piece.words[place]
        if word == "(":
            depth += 1
        elif word == ")":
            depth -= 1
        elif word in {"SELECT", "WITH", "VALUES", "TABLE"} and place > index:
            before = piece.words[place - 1]
            opened = before == "(" and piece.word(place - 2) == "AS"
            if word == "SELECT" and (depth == 0 or opened):
                return place - 1 if opened else place
            if before == "AS" or opened:
                return place - 1 if opened else place
    return -1


def _kind(piece: Piece) -> tuple[int, str]:
    """Return where the word stands that says what is defined, and that word."""
    for index in range(1, min(len(piece), 16)):
        word = piece.words[index]
        if word in {"EXTERNAL", "FOREIGN", "STORAGE"}:
            return index, "EXTERNAL"
        if word in {"DATABASE", "SERVER", "RESOURCE"} and piece.word(index + 1) in (RIGHTS | {"SCOPED", "ENCRYPTION"}):
            return index + 1, "ROLE"
        if word in RUNS or word in RIGHTS or word in REACHES or word in PLAIN:
            return index, word
        if word not in MODIFIERS and piece.words[index - 1] not in {"=", "@"} and not word.startswith(_SKIPPED):
            break
    return 1, piece.word(1) if piece.word(1).isidentifier() else ""


def _name(piece: Piece, index: int) -> str:
    """Return the name that follows the kind, in lower case, or nothing."""
    index += 1
    while piece.word(index) in {"IF", "NOT", "EXISTS", "CONCURRENTLY", "TABLE"}:
        index += 1
    return name_at(piece, index)


def name_at(piece: Piece, index: int) -> str:
    """Return the name, with its dots, that begins at ``index``, in lower case, or nothing."""
    parts: list[str] = []
    while index < len(piece):
        word = piece.words[index]
        if word != ".":
            if word.startswith(STRING) or not (word.startswith(QUOTED) or word.isidentifier()):
                break
            parts.append(word.lstrip(QUOTED).lower())
            if piece.word(index + 1) != ".":
                break
        index += 1
    return ".".join(parts)


def drop(piece: Piece, effects: Effects) -> None:
    """Note what ``DROP …`` does."""
    index, kind = _kind(piece)
    effects.add(f"drops a {kind}" if kind else "drops what is not known", C.DESTRUCTIVE_DDL)
    if kind in RIGHTS:
        effects.classes.pop(C.DESTRUCTIVE_DDL)
        effects.add(f"drops a {kind}", C.PRIVILEGE)
    elif kind in PLAIN | RUNS and (name := _name(piece, index)):
        effects.writes.add(name)
    effects.writes |= _indexed(piece, kind)


def _indexed(piece: Piece, kind: str) -> set[str]:
    """Return the relation that an index is of."""
    place = piece.find("ON") if kind not in RIGHTS | RUNS else -1
    return {name_at(piece, place + 1)} - {""} if place > 0 else set()


def alter(piece: Piece, effects: Effects) -> None:
    """Note what ``ALTER …`` does."""
    index, kind = _kind(piece)
    words = set(piece.words)
    if kind in RIGHTS:
        effects.add(f"alters a {kind}", C.PRIVILEGE)
    elif kind in RUNS:
        effects.add(f"alters a {kind}", C.DDL, C.CODE_EXECUTION)
    elif kind in REACHES:
        effects.add(f"alters a {kind}: a way out", C.DDL, C.EXPORT)
    elif kind in {"SESSION", "WAREHOUSE", "INSTANCE", "RESOURCE"} or piece.word(1) in {"SESSION", "INSTANCE"}:
        effects.add("alters how sessions run", C.SESSION_CONTROL)
    elif kind in PLAIN:
        _alter_plain(piece, index, effects)
    else:
        effects.add("alters what is not known", C.DDL, C.UNPARSABLE)
    if words & {"TRUSTWORTHY", "DB_CHAINING", "POLICY", "MASKED"} or _loosens(piece):
        effects.add("loosens what guards the data", C.PRIVILEGE)
    check_special(piece, effects)


def _loosens(piece: Piece) -> bool:
    return any(
        word in LOOSENS and piece.word(index + 1) in {"TRIGGER", "CONSTRAINT", "ROW", "CHANGE_TRACKING"}
        for index, word in enumerate(piece.words)
    )


def _alter_plain(piece: Piece, index: int, effects: Effects) -> None:
    if name := _name(piece, index):
        effects.writes.add(name)
    loses = False
    for place in range(index + 1, len(piece)):
        word, after = piece.words[place], piece.word(place + 1)
        if word == "DROP" and piece.words[place - 1] != "COLUMN":
            loses |= after not in NOT_OF_DATA
        elif word in {"TRUNCATE", "DISCARD", "PURGE"} or (word == "SWITCH" and piece.dialect == "tsql"):
            loses = True
            if word != "DISCARD":
                effects.add("empties a part of the table", C.MASS_WRITE)
    if loses:
        effects.add("loses data", C.DESTRUCTIVE_DDL)
    else:
        effects.add("alters a definition", C.DDL)


def truncate(piece: Piece, effects: Effects) -> None:
    """Note what ``TRUNCATE [TABLE] t`` does."""
    if len(piece) < 2:
        raise NotUnderstoodError("TRUNCATE of nothing", [C.DESTRUCTIVE_DDL])
    effects.add("empties a table", C.DESTRUCTIVE_DDL, C.MASS_WRITE)
    if name := _name(piece, 1 if piece.word(1) == "TABLE" else 0):
        effects.writes.add(name)
