"""How far a MongoDB filter narrows what it selects."""

from __future__ import annotations

from enum import IntEnum

from countersign.statements.mongo.values import Document, Pattern, Value

ROWS_MAX = 1000
"""More rows than this at once are a bulk read."""


class Narrowing(IntEnum):
    """From every document to one."""

    NONE = 0
    """Could select the whole collection: no filter, tautologies, ranges, patterns, negations."""
    SOME = 1
    """Some field equals some value."""
    ONE = 2
    """``_id`` equals one value."""


def narrowing(conditions: Document) -> Narrowing:
    """Say how far a filter narrows (the conditions of a document all hold, so the strictest counts)."""
    return max((_condition(key, value) for key, value in conditions.items()), default=Narrowing.NONE)


def _condition(key: str, value: Value) -> Narrowing:
    if not key.startswith("$"):
        return _field(key, value)
    if key == "$expr":
        return Narrowing.SOME if _equates(value) else Narrowing.NONE
    if key not in ("$and", "$or") or not isinstance(value, list):
        return Narrowing.NONE
    parts = [narrowing(part) if isinstance(part, dict) else Narrowing.NONE for part in value]
    if key == "$and":
        return max(parts, default=Narrowing.NONE)
    return min(min(parts), Narrowing.SOME) if parts else Narrowing.NONE


def _field(key: str, value: Value) -> Narrowing:
    if value is None or isinstance(value, Pattern):
        return Narrowing.NONE
    exact = Narrowing.ONE if key == "_id" else Narrowing.SOME
    if not isinstance(value, dict) or not any(inner.startswith("$") for inner in value):
        return exact
    if value.get("$eq") is not None and not isinstance(value["$eq"], Pattern):
        return exact
    for operator in ("$in", "$all"):
        if _listed(value.get(operator)):
            return Narrowing.SOME
    inner = value.get("$elemMatch")
    if isinstance(inner, dict) and not any(each.startswith("$") for each in inner):
        return min(narrowing(inner), Narrowing.SOME)
    return Narrowing.NONE


def _listed(value: Value) -> bool:
    if not isinstance(value, list) or not 0 < len(value) <= ROWS_MAX:
        return False
    return not any(each is None or isinstance(each, (Pattern, dict)) for each in value)


def _equates(expression: Value) -> bool:
    """Say whether an expression compares a field with something that is no field of the same document."""
    if not isinstance(expression, dict) or len(expression) != 1:
        return False
    (operator, sides), *_ = expression.items()
    if operator == "$and" and isinstance(sides, list):
        return any(_equates(side) for side in sides)
    if operator != "$eq" or not isinstance(sides, list) or len(sides) != 2:
        return False
    fields = [_is_field(side) for side in sides]
    return fields in ([True, False], [False, True]) and not any(isinstance(side, (dict, list)) for side in sides)


def _is_field(side: Value) -> bool:
    return isinstance(side, str) and side.startswith("$") and (not side.startswith("$$") or side[2:3].isupper())
