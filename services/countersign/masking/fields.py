"""Which values a mask's ``fields`` select: by their key, or by the end of their path of keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from countersign.masking.replacements import Replacement

_ANY = "*"
_NOT_FOR_LABELS = re.compile(r"[^A-Z0-9]+")


@dataclass(frozen=True, slots=True)
class Field:
    """One entry of ``fields`` (see :class:`countersign.model.rule.Mask`) with its label and replacement.

    Keys are compared without regard to case: to mask ``SSN`` when told to mask ``ssn`` can surprise, not to mask it
    can harm.
    """

    steps: tuple[str, ...]
    label: str
    replacement: Replacement

    @classmethod
    def of(cls, path: str, replaced_by: Callable[[str], Replacement]) -> Field:
        """Read a path such as ``ssn``, ``*.card`` or ``customer.*.card``; ``replaced_by`` is asked with its label."""
        steps = tuple(path.casefold().split("."))
        last = steps[-1] if steps[-1] != _ANY else "field"
        label = _NOT_FOR_LABELS.sub("_", last.upper()).strip("_") or "FIELD"
        return cls(steps, label, replaced_by(label))

    @property
    def last(self) -> str:
        """The key that the value itself has; ``*`` for any."""
        return self.steps[-1]

    @property
    def by_name(self) -> bool:
        """Whether a name alone, without a path, can select."""
        return self.last != _ANY or len(self.steps) == 1

    def ends_with(self, key: str) -> bool:
        """Whether a value with this key can be selected."""
        return self.last in (_ANY, key.casefold())

    def selects(self, keys: Sequence[str]) -> bool:
        """Whether a value at this path of keys (no array positions) is selected."""
        steps = self.steps
        if len(keys) < len(steps):
            return False
        tail = keys[len(keys) - len(steps) :]
        return all(step in (_ANY, key.casefold()) for step, key in zip(steps, tail, strict=True))


def named(fields: Iterable[Field]) -> dict[str, Field]:
    """The fields by their last key, for text that has names but no paths; the first of each name wins."""
    found: dict[str, Field] = {}
    for field in fields:
        if field.last != _ANY:
            found.setdefault(field.last, field)
    return found
