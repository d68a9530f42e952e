"""Tables in text: which columns a mask covers, and where the cells of those columns stand. Pure."""

from __future__ import annotations

from countersign.masking.tables.columns import Column, Columns
from countersign.masking.tables.reading import find

__all__ = ["Column", "Columns", "find"]
