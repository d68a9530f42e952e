"""Tables in text: which columns a mask covers, and where the cells of those columns stand. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from countersign.masking.result import Span
from countersign.masking.tables import lines, markup, tuples
from countersign.masking.tables.columns import Column, Columns
from countersign.masking.tables.positions import by_position


def find(text: str, columns: Columns, places: Sequence[int]) -> Iterator[Span]:
    """Yield what to mask in the tables of a text; the spans may overlap.

    ``places`` are where names stand that may head a column, in ascending order (code points): without any, there is no
    table. The time grows with the text only.
    """
    if places:
        if "\n" in text or "\r" in text:
            yield from lines.find(text, columns, places)
        if "(" in text or "[" in text:
            yield from tuples.find(text, columns)
        if "</" in text:
            yield from markup.find(text, columns)


__all__ = ["Column", "Columns", "by_position", "find"]
