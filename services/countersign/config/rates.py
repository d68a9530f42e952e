"""Rate limits: whom they hold back, and those that hold nobody back."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from countersign.config import coverage, selectors
from countersign.config.document import Node
from countersign.config.names import Names
from countersign.config.problem import Place, Problems
from countersign.config.shape_rules import RateLimitShape
from countersign.model.rule import RateLimit, Window


def check(
    limits: Iterable[tuple[int, RateLimitShape]], root: Node, targets: Collection[str], names: Names, out: Problems
) -> tuple[RateLimit, ...]:
    """The limits of the file by their positions, checked one by one and then against each other."""
    checked: list[tuple[Place, RateLimit]] = []
    for index, shape in limits:
        node = root.find(("rate_limits", index))
        names.take(shape.name, node, "limit", out)
        selector = selectors.read(shape, node, targets, out)
        if shape.per not in tuple(Window):
            what, known = f"calls are not counted per `{shape.per}`", ", ".join(Window)
            out.add(node.find(("per",)).place, what, f"use one of {known}")
            continue
        checked.append((node.place, RateLimit(shape.name, selector, shape.calls, Window(shape.per))))
    coverage.refuse_idle_limits(checked, targets, out)
    return tuple(limit for _, limit in checked)
