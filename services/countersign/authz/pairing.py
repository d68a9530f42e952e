"""A statement paired with its answer: which columns of the answer to a call derive from masked fields. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from countersign.config import Target
from countersign.jsontext import JsonRefused, JsonValue, parse
from countersign.model.call import Call, NameKind
from countersign.model.handoff import HandedColumns
from countersign.model.rule import Mask
from countersign.statements.lineage import UNKNOWN, Lineage, lineage, together

MOST_BYTES: Final = 2 * 1024
"""Of the columns of a request: the handoff goes along with every message about its answer."""

MOST_CHARACTERS: Final = 32 * 1024
"""Of the statements in one argument; no single one is followed that is longer."""

_ANY_KEY: Final = "*"
_ANSWERS_OTHERS: Final = frozenset({"GET", "tasks/get", "tasks/result"})
"""Methods by which the answer to an earlier call comes, of which nothing is known any more."""


@dataclass(frozen=True, slots=True)
class _Names:
    """The names of masked columns, and those of columns in which a masked field stands (``customer.*.card``)."""

    masked: frozenset[str]
    holding: frozenset[str]

    @classmethod
    def of(cls, masks: Iterable[Mask]) -> _Names:
        masked: set[str] = set()
        holding: set[str] = set()
        for path in (path for mask in masks for path in mask.fields):
            steps = [step for step in path.casefold().split(".") if step != _ANY_KEY]
            masked.update(steps[-1:])
            holding.update(steps[:-1])
        return cls(frozenset(masked), frozenset(holding - masked))


def paired_all(
    target: Target, masks: Mapping[str, Mask], calls: Iterable[Call], *, as_sent: bool = True
) -> list[HandedColumns | None]:
    """Say of each call of a request what :func:`paired` says, or that too much would have to be said."""
    found = [paired(target, masks, call, as_sent=as_sent) for call in calls]
    if sum(len(json.dumps((each.columns, each.plain))) for each in found if each is not None) <= MOST_BYTES:
        return found
    return [each and _EVERYTHING for each in found]


def paired(target: Target, masks: Mapping[str, Mask], call: Call, *, as_sent: bool = True) -> HandedColumns | None:
    """Say what the answer to a call of ``target`` holds of the fields of ``masks``; ``None``: only its names tell.

    ``as_sent`` says that the target gets the arguments as they stand in the call. Whatever is not understood, an
    argument that is missing or no text among it, is :data:`HandedColumns.everything`.
    """
    if not target.statements:
        return None
    names = _Names.of(masks.values())
    if not names.masked:
        return None
    if call.method in _ANSWERS_OTHERS:
        return HandedColumns(everything=True)
    stated = target.statements.get(call.name) if call.name_kind is NameKind.TOOL else None
    if stated is None:
        return None
    texts = _texts(call.params_json, stated.argument) if as_sent else ()
    if not texts or sum(map(len, texts)) > MOST_CHARACTERS:
        return _handed(UNKNOWN, names)
    return _handed(together([lineage(text, stated.dialect, names.masked | names.holding) for text in texts]), names)


def _texts(params_json: str, argument: str) -> tuple[str, ...]:
    """Return the statements in an argument, which is a text or a list of them; nothing, if it is anything else."""
    try:
        params = parse(params_json, max_depth=_DEEPEST).root
    except JsonRefused:
        return ()
    arguments = params.get("arguments") if isinstance(params, dict) else None
    value = arguments.get(argument) if isinstance(arguments, dict) else None
    values: list[JsonValue] = value if isinstance(value, list) else [value]
    # Numbers are texts, too, of another type.
    texts = tuple(each for each in values if type(each) is str)
    return texts if len(texts) == len(values) else ()


_DEEPEST: Final = 256
"""What is deeper was refused before."""

_EVERYTHING: Final = HandedColumns(everything=True, touched=True)


def _handed(found: Lineage, names: _Names) -> HandedColumns:
    columns: list[tuple[str, tuple[str, ...]]] = []
    for column in found.columns:
        # What such a column holds has its keys still, as long as the column has its name.
        sources = column.sources - ({column.name} & names.holding)
        if sources:
            columns.append((column.name, tuple(sorted(sources))))
    plain = tuple(column.name for column in found.columns if column.plain)
    return HandedColumns(tuple(columns), found.everything, found.loose, found.stored, found.touched, plain)
