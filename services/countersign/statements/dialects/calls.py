"""The functions that a statement calls, from its words: no parser can hide a call by not knowing it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from countersign.statements.dialects.effects import Effects
from countersign.statements.dialects.piece import QUOTED, STRING, Piece
from countersign.statements.dialects.tables.functions import HARMLESS
from countersign.statements.dialects.tables.special import CARRIES_SQL, SPECIAL, TELLS_ALONE
from countersign.statements.dialects.tables.words import NOT_CALLED
from countersign.statements.verdict import READING, StatementClass, Verdict

Nested = Callable[[str], Verdict]
"""Classifies a text that a statement carries in a literal."""

_NUMBER: Final = re.compile(r"[\d.]+(E[+-]?\d+)?|0X[\dA-F]*")
_FIRST: Final = frozenset({"_", "$", QUOTED, STRING, *"0123456789"})
_QUOTES: Final = frozenset({QUOTED, STRING})
_TRANSPARENT: Final = frozenset({"SAFE"})
_OF_XML: Final = frozenset({"VALUE", "QUERY", "EXIST"})
_OWN_SCHEMAS: Final = frozenset({"SYS", "INFORMATION_SCHEMA", "MASTER"})


def calls(piece: Piece) -> Iterator[tuple[str, int, bool]]:
    """Yield the name of each function called, upper case, where its parenthesis opens, and whether it is quoted.

    A name with a schema comes with it (``DBO.F``).
    """
    words, not_called = piece.words, NOT_CALLED[piece.dialect]
    for index, word in enumerate(words):
        if word != "(" or index == 0:
            continue
        name = words[index - 1]
        first = name[:1]
        dotted = index > 1 and words[index - 2] == "."
        if not (first.isalpha() or first in _FIRST) or (first.isdigit() and _NUMBER.fullmatch(name)):
            continue
        if name in not_called and not dotted:
            continue
        # SQLite takes a text for a name where it expects one.
        quoted = first in _QUOTES
        start = index - 1
        while start > 1 and words[start - 1] == ".":
            start -= 2
        parts = [each.lstrip(QUOTED + STRING).upper() for each in words[start:index:2]]
        if len(parts) > 1 and parts[0] in _TRANSPARENT:
            parts = parts[1:]
        if piece.dialect == "tsql" and parts[0] == ")" and len(parts) == 2 and parts[1] in _OF_XML:
            # A method of a value: (SELECT … FOR XML PATH(''), TYPE).value('.', 'int')
            continue
        yield ".".join(parts), index, quoted


def check_calls(piece: Piece, effects: Effects, nested: Nested, declared: Sequence[str] = ()) -> None:
    """Note what the functions called do; ``declared`` are names that a list of columns follows, one for each time."""
    harmless, special = HARMLESS[piece.dialect], SPECIAL[piece.dialect]
    found = list(calls(piece))
    exempt: Counter[str] = Counter()
    if declared:
        exempt.update(declared)
        # A relation may have the name of a harmless function: then which of the two is called cannot be told.
        exempt.subtract(name for name, _, quoted in found if not quoted and name in harmless)
    for name, opening, quoted in found:
        bare = name.rpartition(".")[2]
        if not quoted and name in harmless and name.isascii():
            continue
        if exempt[bare] > 0 and bare not in CARRIES_SQL and _is_name(piece.word(opening + 1)):
            exempt[bare] -= 1
            continue
        if quoted and name in harmless and _is_built_in(piece, opening):
            continue
        if name in TELLS_ALONE and piece.word(opening + 1) == ")":
            continue
        classes = special.get(name)
        if classes is None and name.rpartition(".")[0].rpartition(".")[2] in _OWN_SCHEMAS:
            classes = special.get(bare)
        if classes is None:
            effects.add("a function is called that is not known to be harmless", StatementClass.CODE_EXECUTION)
            continue
        effects.add_all(f"calls {name}", classes)
        if name in CARRIES_SQL:
            _check_text(piece, opening, effects, nested)


def _is_name(word: str) -> bool:
    """Whether the word can be the first of a list of columns."""
    return word.startswith(QUOTED) or word.isidentifier()


def _is_built_in(piece: Piece, opening: int) -> bool:
    """Whether the quoted name before ``opening`` is that of the function of the system itself."""
    return piece.dialect in {"sqlite", "bigquery"} or (
        # In quotes the case of a name counts, and those of the system are in upper case.
        piece.dialect == "snowflake" and not any(map(str.islower, piece.words[opening - 1]))
    )


def check_special(piece: Piece, effects: Effects) -> None:
    """Note what the functions called do that are known to do more than compute; others are not judged."""
    special = SPECIAL[piece.dialect]
    for name, _, _ in calls(piece):
        effects.add_all(f"calls {name}", special.get(name, ()))


def _check_text(piece: Piece, opening: int, effects: Effects, nested: Nested) -> None:
    """Note what the SQL does that is the last text among the arguments."""
    texts = [word[1:] for word in piece.words[opening : piece.closing(opening)] if word.startswith(STRING)]
    if texts:
        effects.add_all("carries a statement in a text", dangerous(nested(texts[-1])))


def dangerous(verdict: Verdict) -> frozenset[StatementClass]:
    """Return what a statement that is carried in a text does, beside reading and not being understood."""
    return verdict.classes - READING - {StatementClass.UNPARSABLE}
