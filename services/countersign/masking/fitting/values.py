"""Another value in place of a masked one that its schema does not accept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import chain

from countersign.jsontext import JsonValue, Number
from countersign.masking.fitting.formats import stand_in
from countersign.masking.fitting.schema import Applied, Node, OutputSchema, number_of
from countersign.masking.shapes import is_separator

_LONGEST = 4_096


def fitting(schema: OutputSchema, applied: Sequence[Applied], value: JsonValue, masked: JsonValue) -> JsonValue:
    """Return what to put in place of ``value``: ``masked`` if the schema accepts it, else a value that it does accept.

    What the schema did not accept of ``value`` itself does not matter. If nothing is accepted, it stays ``masked``.
    Nothing that is returned depends on more than the shape of ``value``: which of several choices it was must not show.
    Raises ``TooMuch``.
    """
    fixed = [one.node for one in applied if not (one.optional or one.chosen) and schema.accepts(one.node, value)]
    optional = [one.node for one in applied if one.optional and not one.chosen and schema.has_form(one.node, value)]
    parts = [one.node for one in applied if schema.has_form(one.node, value)]
    # Several that are chosen elsewhere may exclude each other; then the first does, whichever the value was for.
    for demanded in ([*fixed, *optional], *([*fixed, node] for node in optional)):
        made = _numbers(parts) if isinstance(value, Number) else _texts(parts, str(value), masked)
        for candidate in chain((masked,), made):
            if all(schema.accepts(node, candidate) for node in demanded):
                return candidate
    return masked


def _texts(parts: Sequence[Node], value: str, masked: JsonValue) -> Iterator[JsonValue]:
    shown = str(masked) if isinstance(masked, str) and not isinstance(masked, Number) else ""
    for part in parts:
        form = part.get("format")
        if isinstance(form, str) and (made := stand_in(form)) is not None:
            yield made
    yield from _listed(parts)
    for digit in "019":
        yield "".join(_like(char, digit) for char in value[:_LONGEST])
    for part in parts:
        longest, shortest = number_of(part.get("maxLength")), number_of(part.get("minLength"))
        if longest is not None:
            yield shown[: max(0, int(longest))]
        if shortest is not None and shortest <= _LONGEST:
            yield shown.ljust(int(shortest), "*")
    yield "x" * min(len(value), _LONGEST)
    yield ""
    yield None


def _like(char: str, digit: str) -> str:
    if is_separator(char):
        return char
    if char.isdecimal():
        return digit
    # Letters of hexadecimal numbers, so that those stay such.
    return "A" if char.isupper() else "a"


def _numbers(parts: Sequence[Node]) -> Iterator[JsonValue]:
    yield from _listed(parts)
    for part in parts:
        low, high = _bound(part, "inimum"), _bound(part, "aximum")
        step = number_of(part.get("multipleOf")) or Decimal(1)
        for edge, rounding in ((low, ROUND_CEILING), (high, ROUND_FLOOR)):
            if edge is None or step <= 0:
                continue
            even = (edge / step).to_integral_value(rounding) * step
            yield from map(_written, (even, even + step, even - step, edge))
        if low is not None and high is not None:
            yield _written((low + high) / 2)
    yield None


def _bound(part: Node, word: str) -> Decimal | None:
    found = number_of(part.get("m" + word))
    return number_of(part.get("exclusiveM" + word)) if found is None else found


def _written(number: Decimal) -> Number:
    return Number(format(number, "f") if abs(number.adjusted()) < 64 else str(number))


def _listed(parts: Sequence[Node]) -> Iterator[JsonValue]:
    """What may stand there by name. Always the first that fits, so that it tells nothing."""
    for part in parts:
        listed = part.get("enum")
        for one in (*(listed if isinstance(listed, list) else ()), *([part["const"]] if "const" in part else ())):
            number = number_of(one)
            # A schema's numbers may be written as no program would write them.
            yield one if number is None else _written(number)
