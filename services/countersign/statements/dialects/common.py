"""Statements that are alike in the five dialects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from countersign.statements.dialects import definitions
from countersign.statements.dialects.effects import Effects
from countersign.statements.dialects.errors import NotUnderstoodError
from countersign.statements.dialects.judge import Handler, Judge, main_verb, note_change, note_query
from countersign.statements.dialects.piece import Piece
from countersign.statements.verdict import READING
from countersign.statements.verdict import StatementClass as C

_OF_STATEMENT: Final = READING | {C.WRITE, C.MASS_WRITE, C.DDL, C.DESTRUCTIVE_DDL}


def always(reason: str, *classes: C) -> Handler:
    """Return a handler for statements that do the same whatever follows, beside what they call."""

    def note(judge: Judge, piece: Piece, effects: Effects) -> None:
        effects.add(reason, *classes)

    return note


def tells(judge: Judge, piece: Piece, effects: Effects) -> None:
    """Handle what tells of the schema or of the session, in few rows."""
    effects.answer(1)


def with_(judge: Judge, piece: Piece, effects: Effects) -> None:
    """Handle ``WITH … SELECT`` and ``WITH … UPDATE``."""
    if main_verb(piece) in {"SELECT", "VALUES", "TABLE"}:
        judge.query(piece, effects)
    else:
        judge.change(piece, effects)


def create(judge: Judge, piece: Piece, effects: Effects) -> None:
    """Handle ``CREATE``."""

    def query(inner: Piece, found: Effects) -> None:
        judge.query(unwrapped(inner), found)

    definitions.create(piece, effects, query)


def drop(judge: Judge, piece: Piece, effects: Effects) -> None:
    """Handle ``DROP``."""
    definitions.drop(piece, effects)


def alter(judge: Judge, piece: Piece, effects: Effects) -> None:
    """Handle ``ALTER``."""
    definitions.alter(piece, effects)


def truncate(judge: Judge, piece: Piece, effects: Effects) -> None:
    """Handle ``TRUNCATE``."""
    definitions.truncate(piece, effects)


def unwrapped(piece: Piece) -> Piece:
    """Return the query without what follows its closing parenthesis, if it is in one."""
    return piece.part(0, piece.closing(0) + 1) if piece.head == "(" else piece


def explained(judge: Judge, piece: Piece, effects: Effects, *, runs: bool) -> None:
    """Note what ``EXPLAIN`` of the statement ``piece`` does: it tells the plan; only some run the statement, too."""
    inner = Effects()
    judge.note(piece, inner)
    effects.reads |= inner.reads
    if runs:
        effects.writes |= inner.writes
        effects.answers, effects.rows = inner.answers, inner.rows
    else:
        effects.reads |= inner.writes
        effects.answer(1)
    for each, reason in inner.classes.items():
        if runs or each not in _OF_STATEMENT:
            effects.add(reason, each)


def settle(table: dict[str, Handler]) -> dict[str, Handler]:
    """Return the statements of a dialect: those of all, and its own."""
    return {**COMMON, **table}


def named(words: str, handler: Handler) -> dict[str, Handler]:
    """Return the handler under each of the words."""
    return dict.fromkeys(words.split(), handler)


def second(choices: dict[str, Handler], otherwise: Handler | None = None) -> Handler:
    """Return a handler that chooses by the second word."""

    def note(judge: Judge, piece: Piece, effects: Effects) -> None:
        handler = choices.get(piece.word(1), otherwise)
        if handler is None:
            raise NotUnderstoodError(f"{piece.head} of a kind that is not known")
        handler(judge, piece, effects)

    return note


def when(condition: Callable[[Piece], bool], yes: Handler, no: Handler) -> Handler:
    """Return a handler that chooses by a condition on the statement."""

    def note(judge: Judge, piece: Piece, effects: Effects) -> None:
        (yes if condition(piece) else no)(judge, piece, effects)

    return note


COMMON: Final[dict[str, Handler]] = {
    **named("SELECT VALUES (", note_query),
    **named("INSERT UPDATE DELETE MERGE", note_change),
    "WITH": with_,
    "CREATE": create,
    "DROP": drop,
    "ALTER": alter,
    "TRUNCATE": truncate,
    **named("GRANT REVOKE", always("changes who may do what", C.PRIVILEGE)),
    **named("COMMIT ROLLBACK SAVEPOINT RELEASE END", always("controls a transaction", C.SESSION_CONTROL)),
    "BEGIN": always("begins a transaction", C.SESSION_CONTROL),
    "CALL": always("runs a procedure that is not known", C.CODE_EXECUTION),
    "EXECUTE": always("runs a statement that is not seen", C.CODE_EXECUTION),
}
