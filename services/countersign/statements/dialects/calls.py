"""The functions that a statement calls, from its words: no parser can hide a call by not knowing it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from countersign.statements.dialects.effects import Effects
from countersign.statements.dialects.piece import QUOTED, STRING, Piece
from countersign.statements.dialects.tables.functions import HARMLESS
from countersign.statements.dialects.tables.special import CARRIES_SQL, SPECIAL
from countersign.statements.dialects.tables.words import STRUCTURAL, TYPES
from countersign.statements.verdict import READING, StatementClass, Verdict

Nested = Callable[[str], Verdict]
"""Classifies a text that a statement carries in a literal."""

_NOT_A_CALL: Final = STRUCTURAL | TYPES
_TRANSPARENT: Final = frozenset({"SAFE"})
_OWN_SCHEMAS: Final = frozenset({"SYS", "INFORMATION_SCHEMA", "MASTER"})


def calls(piece: Piece) -> Iterator[tuple[str, int, bool]]:
    """Yield the name of each function called, upper case, where its parenthesis opens, and whether it is quoted.

    A name with a schema comes with it (``DBO.F``).
    """
    words = piece.words
    for index, word in enumerate(words):
        if word != "(" or index == 0:
            continue
        name = words[index - 1]
        first = name[:1]
        dotted = index > 1 and words[index - 2] == "."
        if first == STRING or not (first.isalpha() or first in {"_", QUOTED, "$"}):
            continue
        if name in _NOT_A_CALL and not dotted:
            continue
        quoted = first == QUOTED
        start = index - 1
        while start > 1 and words[start - 1] == ".":
            start -= 2
        parts = [each.lstrip(QUOTED).upper() for each in words[start:index:2]]
        if len(parts) > 1 and parts[0] in _TRANSPARENT:
            parts = parts[1:]
        yield ".".join(parts), index, quoted


def check_calls(piece: Piece, effects: Effects, nested: Nested, declared: Iterable[str] = ()) -> None:
    """Note what the functions called do; ``declared`` are names that a list of columns follows, one for each time."""
    harmless, special = HARMLESS[piece.dialect], SPECIAL[piece.dialect]
    exempt = Counter(declared)
    for name, opening, quoted in calls(piece):
        bare = name.rpartition(".")[2]
        if not quoted and name in harmless and name.isascii():
            continue
        if exempt[bare] > 0:
            exempt[bare] -= 1
            continue
        if quoted and name in harmless and piece.dialect in {"sqlite", "snowflake", "bigquery"}:
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
