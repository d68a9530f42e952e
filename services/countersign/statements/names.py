"""How the tables of names are written: words in a text."""

from __future__ import annotations


def names(text: str) -> frozenset[str]:
    """Return the words of a text that is wrapped as it fits."""
    return frozenset(text.split())
