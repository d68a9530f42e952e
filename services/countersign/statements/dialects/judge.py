"""One statement in, what it does out: by its first word, then by its tree or its words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from sqlglot import exp
from sqlglot.tokenizer_core import TokenType

from countersign.statements.dialects.calls import Nested, check_calls
from countersign.statements.dialects.changes import Changes
from countersign.statements.dialects.effects import Effects
from countersign.statements.dialects.errors import NotUnderstoodError
from countersign.statements.dialects.grammars import parse
from countersign.statements.dialects.piece import QUOTED, Piece
from countersign.statements.dialects.queries import Queries
from countersign.statements.dialects.relations import name_of
from countersign.statements.dialects.tables.functions import HARMLESS
from countersign.statements.dialects.tables.words import ALARMS, SOFT, TYPES
from countersign.statements.rows import Rows, bounded
from countersign.statements.verdict import StatementClass as C
from countersign.statements.verdict import Verdict, unparsable

_QUERIES: Final = (exp.Select, exp.SetOperation, exp.Subquery, exp.Values)
_CHANGES: Final = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE"})
_WORDS: Final = re.compile(r"[\w$]+")
_KNOWN: Final = SOFT | TYPES


class Judge:
    """Judges the statements of one text."""

    def __init__(self, statements: Mapping[str, Handler], nested: Nested) -> None:
        self._statements = statements
        self.nested = nested
        self.looked_at: set[str] = set()
        """The relations that were read by what is no statement of its own: a condition, the value of a variable."""

    def judge(self, piece: Piece) -> Verdict | None:
        """Return the verdict on one statement; None: it does nothing that counts beside others."""
        effects = Effects()
        try:
            self.note(piece, effects)
        except NotUnderstoodError as error:
            return unparsable(error.reason, {*error.classes, *hinted(piece)})
        verdict = effects.verdict()
        if verdict is None:
            self.looked_at |= effects.reads
        return (
            verdict
            if verdict is None or C.UNPARSABLE not in verdict.classes
            else unparsable(verdict.reason, verdict.classes)
        )

    def note(self, piece: Piece, effects: Effects) -> None:
        """Note what the statement does. Raises :class:`NotUnderstoodError`."""
        if piece.dialect == "snowflake" and "->>" in piece.words:
            raise NotUnderstoodError("a chain of statements is not followed", [C.CODE_EXECUTION])
        handler = self._statements.get(piece.head)
        if handler is None:
            raise NotUnderstoodError("no statement begins so")
        handler(self, piece, effects)

    def query(self, piece: Piece, effects: Effects) -> Rows:
        """Note what a query reads; return how many rows it gives. Raises :class:`NotUnderstoodError`."""
        tree = parse(piece.tokens, piece.grammar, piece.text)
        if not isinstance(tree, _QUERIES):
            raise NotUnderstoodError("what should be a query is none")
        into = _take_into(tree) if piece.dialect == "tsql" else None
        _check_alarms(piece, allowed=into is not None)
        queries = Queries(piece, effects)
        rows = queries.rows(tree, {})
        if piece.dialect == "bigquery" and _goes_on_after_limit(piece.words):
            rows = None
        if into is not None:
            queries.visit([into], {})
            effects.reads.discard(name_of(into.this))
            effects.writes.add(name_of(into.this))
            effects.add("creates a table of the rows", C.DDL, C.WRITE if bounded(rows) else C.MASS_WRITE)
        if into is None or effects.reads:
            effects.answer(rows)
        self._finish(piece, effects, queries)
        return rows

    def change(self, piece: Piece, effects: Effects, most: Rows = None) -> None:
        """Note what a change of rows does; ``most``: the bound of a ``TOP``. Raises :class:`NotUnderstoodError`."""
        tree = parse(piece.tokens, piece.grammar, piece.text)
        queries = Queries(piece, effects)
        Changes(queries, effects, most).judge(tree)
        self._finish(piece, effects, queries)

    def loose(self, piece: Piece, effects: Effects) -> None:
        """Note what expressions call and read that stand in a statement without a tree, such as ``SET x = (SELECT …)``.

        Nothing of what they read leaves.
        """
        for index, word in enumerate(piece.words):
            if word == "(" and piece.word(index + 1) in {"SELECT", "WITH"}:
                inner = Effects()
                self.query(piece.part(index + 1, piece.closing(index)), inner)
                effects.reads |= inner.reads
                for each, reason in inner.classes.items():
                    effects.add(reason, each)
        check_calls(piece, effects, self.nested)

    def _finish(self, piece: Piece, effects: Effects, queries: Queries) -> None:
        queries.finish()
        if piece.dialect in {"snowflake", "mysql"} and "NEXTVAL" in piece.words:
            effects.add("a sequence advances", C.WRITE)
        check_calls(piece, effects, self.nested, queries.declared)
        _check_dropped(piece, queries.names)


Handler: TypeAlias = Callable[[Judge, Piece, Effects], None]


def note_query(judge: Judge, piece: Piece, effects: Effects) -> None:
    """Handle ``SELECT``, ``VALUES`` and their like."""
    judge.query(piece, effects)


def note_change(judge: Judge, piece: Piece, effects: Effects) -> None:
    """Handle ``INSERT``, ``UPDATE``, ``DELETE`` and ``MERGE``."""
    judge.change(piece, effects)


def main_verb(piece: Piece) -> str:
    """Return the verb that follows the common table expressions of ``WITH``."""
    depth = 0
    for word in piece.words:
        if word == "(":
            depth += 1
        elif word == ")":
            depth -= 1
        elif depth == 0 and (word in _CHANGES or word in {"SELECT", "VALUES", "TABLE"}):
            return word
    return "SELECT"


def hinted(piece: Piece) -> frozenset[C]:
    """Return what the first word tells of a statement that was not understood."""
    return _HINTS.get(piece.head, frozenset())


_HINTS: Final = {
    word: frozenset(classes)
    for words, classes in (
        ("INSERT REPLACE UPDATE DELETE MERGE", (C.MASS_WRITE,)),
        ("DROP", (C.DESTRUCTIVE_DDL,)),
        ("TRUNCATE", (C.DESTRUCTIVE_DDL, C.MASS_WRITE)),
        ("CREATE ALTER RENAME", (C.DDL,)),
        ("GRANT REVOKE DENY", (C.PRIVILEGE,)),
        ("EXEC EXECUTE CALL DO PREPARE", (C.CODE_EXECUTION,)),
        ("SET USE KILL LOCK SHUTDOWN BEGIN COMMIT ROLLBACK", (C.SESSION_CONTROL,)),
        ("LOAD ATTACH RESTORE", (C.FILE_ACCESS,)),
        ("COPY EXPORT BACKUP PUT GET", (C.FILE_ACCESS, C.EXPORT)),
    )
    for word in words.split()
}


def _take_into(tree: exp.Expr) -> exp.Expr | None:
    node = tree
    while isinstance(node, exp.SetOperation):
        node = node.this
    into = node.args.get("into")
    if into is not None:
        node.set("into", None)
        return into if isinstance(into, exp.Into) else None
    return None


def _goes_on_after_limit(words: Sequence[str]) -> bool:
    """Whether a pipe adds to what a ``LIMIT`` let pass: the tree has both in one query, the limit last."""
    return "|>" in words and "LIMIT" in words and "|>" in words[words.index("LIMIT") :]


def _check_alarms(piece: Piece, *, allowed: bool) -> None:
    """Refuse a query with a word in it that belongs to a statement that does more, and that the tree does not show."""
    for index, word in enumerate(piece.words):
        if word not in ALARMS or piece.words[index - 1] == ".":
            continue
        explained = (
            (word == "UPDATE" and piece.words[index - 1] == "FOR")
            or (word == "INTO" and allowed)
            or (word in {"INSERT", "TRUNCATE"} and piece.word(index + 1) == "(" and word in HARMLESS[piece.dialect])
        )
        if not explained:
            found = (C.FILE_ACCESS, C.EXPORT) if word in {"OUTFILE", "DUMPFILE"} else ()
            raise NotUnderstoodError(f"{word} stands inside of a query", found)


def _check_dropped(piece: Piece, names: set[str]) -> None:
    """Refuse what has a name in the text that the tree does not have: the parser dropped it."""
    parts: set[str] | None = None
    for index, word in enumerate(piece.words):
        quoted = word.startswith(QUOTED)
        if not quoted and piece.tokens[index].token_type is not TokenType.VAR:
            continue
        name = word[1:].upper() if quoted else word
        if name in names or (not quoted and name in _KNOWN) or piece.word(index + 1) == "(":
            continue
        if parts is None:
            # Names with dots, paths and stages are one in the tree where they are several here, or the reverse.
            parts = {part for each in names for part in _WORDS.findall(each)}
        if piece.word(index + 1) != "=>" and not parts.issuperset(_WORDS.findall(name)):
            raise NotUnderstoodError("a name of the statement is not in its tree")
