"""Every pattern that is ours can be compiled: it is only when a text asks for it that it is."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import countersign.masking
from countersign.masking.detectors.base import Pattern


def within(value: object, depth: int = 0) -> Iterator[Pattern]:
    """The patterns of a value, of what it holds, and of what those hold."""
    if isinstance(value, Pattern):
        yield value
    elif depth < 6:
        held: list[object] = [*value.values()] if isinstance(value, dict) else []
        held += value if isinstance(value, (list, tuple, set, frozenset)) else []
        ours = type(value).__module__.startswith("countersign.masking")
        held += vars(value).values() if ours and hasattr(value, "__dict__") else []
        for one in held:
            yield from within(one, depth + 1)


def test_every_pattern_can_be_compiled() -> None:
    names = [module.name for module in pkgutil.walk_packages(countersign.masking.__path__, "countersign.masking.")]
    found = {
        id(pattern): pattern
        for name in names
        for value in vars(importlib.import_module(name)).values()
        for pattern in within(value)
    }
    assert len(found) > 200
    for pattern in found.values():
        pattern.compiled()
