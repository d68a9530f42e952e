"""Where tools describe their arguments and results (JSON Schema in ``inputSchema`` and ``outputSchema``).

There a key is the name of what is described: to mask all below it would leave a tool that nobody can call.
"""

from __future__ import annotations

from collections.abc import Sequence

SAMPLES = frozenset({"default", "example", "examples"})
"""Keywords that hold values of what is described."""

# Below these stand no schemas either, but what may be at all is a description of its own: answers are checked by it.
_VALUES = SAMPLES | {"const", "enum"}
_SCHEMAS = frozenset({"inputSchema", "outputSchema"})
_NAMES = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})


def names_schema(above: Sequence[str]) -> bool:
    """Whether a key below these keys names something that is described."""
    return bool(above) and above[-1] in _NAMES and not _SCHEMAS.isdisjoint(above) and _VALUES.isdisjoint(above)


def holds_samples(above: Sequence[str], key: str) -> bool:
    """Whether this key, below these keys, holds samples of what the last of them names."""
    return key in SAMPLES and names_schema(above[:-1])
