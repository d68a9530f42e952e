"""What goes wrong in this room; no message holds anything of a statement but its keywords."""

from __future__ import annotations

from collections.abc import Iterable

from countersign.statements.verdict import StatementClass


class NotUnderstoodError(Exception):
    """A text, or a part of it, that was not understood in full; ``classes`` is what was, beside."""

    def __init__(self, reason: str, classes: Iterable[StatementClass] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.classes = frozenset(classes)
