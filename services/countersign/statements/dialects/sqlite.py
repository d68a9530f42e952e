"""SQLite: the statements that the other dialects do not have, or have otherwise.

Source: "SQL As Understood By SQLite" and "PRAGMA Statements". Commands of the shell (``.read``) are no statements.
"""

from __future__ import annotations

from typing import Final

from countersign.statements.dialects.common import always, explained, named, settle
from countersign.statements.dialects.effects import Effects
from countersign.statements.dialects.errors import NotUnderstoodError
from countersign.statements.dialects.judge import Handler, Judge
from countersign.statements.dialects.piece import QUOTED, Piece
from countersign.statements.names import names
from countersign.statements.verdict import StatementClass as C

_TELLS: Final = names("""
    TABLE_INFO TABLE_XINFO TABLE_LIST INDEX_INFO INDEX_XINFO INDEX_LIST FOREIGN_KEY_LIST FOREIGN_KEY_CHECK DATABASE_LIST
    COLLATION_LIST COMPILE_OPTIONS FUNCTION_LIST MODULE_LIST PRAGMA_LIST FREELIST_COUNT PAGE_COUNT DATA_VERSION STATS
    INTEGRITY_CHECK QUICK_CHECK
""")
_MAY_TELL: Final = names("""
    USER_VERSION SCHEMA_VERSION APPLICATION_ID JOURNAL_MODE FOREIGN_KEYS ENCODING CACHE_SIZE PAGE_SIZE SYNCHRONOUS
    AUTO_VACUUM BUSY_TIMEOUT LOCKING_MODE MMAP_SIZE QUERY_ONLY READ_UNCOMMITTED RECURSIVE_TRIGGERS SECURE_DELETE
    TEMP_STORE WAL_AUTOCHECKPOINT THREADS TRUSTED_SCHEMA DEFER_FOREIGN_KEYS MAX_PAGE_COUNT JOURNAL_SIZE_LIMIT
    LEGACY_ALTER_TABLE AUTOMATIC_INDEX CASE_SENSITIVE_LIKE CELL_SIZE_CHECK IGNORE_CHECK_CONSTRAINTS WRITABLE_SCHEMA
""")
_FILES: Final = names("TEMP_STORE_DIRECTORY DATA_STORE_DIRECTORY")
_WEAKENS: Final = names("WRITABLE_SCHEMA TRUSTED_SCHEMA KEY REKEY HEXKEY HEXREKEY ACTIVATE_EXTENSIONS")


def _change(judge: Judge, piece: Piece, effects: Effects) -> None:
    if piece.head == "REPLACE":
        piece = piece.headed("INSERT")
    if piece.head == "UPDATE" and piece.word(1) == "OR":
        piece = piece.without(1, 3)
    judge.change(piece, effects)


def _pragma(judge: Judge, piece: Piece, effects: Effects) -> None:
    index = 3 if piece.word(2) == "." else 1
    name, after = piece.word(index).lstrip(QUOTED).upper(), piece.word(index + 1)
    if name in _TELLS or (name in _MAY_TELL and not after):
        effects.answer(1)
        return
    effects.add("sets how the database is used", C.SESSION_CONTROL)
    if name in _FILES:
        effects.add("names a directory", C.FILE_ACCESS)
    if name in _WEAKENS:
        effects.add("loosens what guards the data", C.PRIVILEGE)
    if name == "WRITABLE_SCHEMA":
        effects.add("opens the schema for writing", C.DDL)


def _vacuum(judge: Judge, piece: Piece, effects: Effects) -> None:
    effects.add("rewrites the database", C.DDL)
    if "INTO" in piece.words:
        effects.add("writes the database to a file", C.FILE_ACCESS, C.EXPORT, C.BULK_READ)
        judge.loose(piece, effects)


def _explain(judge: Judge, piece: Piece, effects: Effects) -> None:
    start = 3 if piece.begins("EXPLAIN", "QUERY", "PLAN") else 1
    if piece.word(start) in {"EXPLAIN", ""}:
        raise NotUnderstoodError("EXPLAIN of nothing that is known")
    explained(judge, piece.part(start), effects, runs=False)


STATEMENTS: Final[dict[str, Handler]] = settle(
    {
        **named("INSERT REPLACE UPDATE DELETE", _change),
        "PRAGMA": _pragma,
        "ATTACH": always("opens a file as a database", C.FILE_ACCESS, C.SESSION_CONTROL),
        "DETACH": always("closes a database", C.SESSION_CONTROL),
        "VACUUM": _vacuum,
        "EXPLAIN": _explain,
        **named("ANALYZE REINDEX", always("maintains tables", C.DDL)),
    }
)
