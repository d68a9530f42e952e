"""Names with a value beside or below them, in text that is not JSON: ``ssn=...``, ``ssn: ...``, YAML. Pure."""

from __future__ import annotations

from countersign.masking.pairs.marks import Mark
from countersign.masking.pairs.reading import values

__all__ = ["Mark", "values"]
