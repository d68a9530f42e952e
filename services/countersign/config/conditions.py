"""The conditions of rules, compiled as they will be when calls are judged, so that a mistake shows before."""

from __future__ import annotations

from collections.abc import Collection

from countersign.config.demands import refuse_contradictions
from countersign.config.document import Node
from countersign.config.problem import Problems
from countersign.config.scalars import place_inside
from countersign.model.rule import Selector
from countersign.policy import BadCondition, compile_condition


def check(text: str, node: Node, selector: Selector, targets: Collection[str], title: str, out: Problems) -> None:
    """Refuse a condition that does not compile, at the character that is wrong, or never depends on the call."""
    try:
        always = compile_condition(text).always
        if always is None:
            refuse_contradictions(text, selector, targets)
    except BadCondition as error:
        place = place_inside(node, _position(text, error.line, error.column))
        out.add(place, f"in the condition: {error.what}", error.remedy)
        return
    if always is False:
        what = f"the condition is never true, so {title} can never match"
        out.add(node.place, what, "mend the condition, or remove the rule")
    elif always is True:
        out.add(node.place, "the condition is always true", "remove `when`, or say what it was to depend on")


def _position(text: str, line: int, column: int) -> int:
    """Where a line and a column, counted from 1, stand in a text whose lines end by line feeds."""
    before = text.split("\n")[: line - 1]
    return min(sum(len(each) + 1 for each in before) + column - 1, len(text))
