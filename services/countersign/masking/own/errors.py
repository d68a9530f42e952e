"""The one way in which a pattern of gateway.yaml is turned down."""

from __future__ import annotations


class PatternRefused(ValueError):
    """A pattern cannot be used: ``what`` is wrong with it, and the ``remedy``."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}: {remedy}")
        self.what = what
        self.remedy = remedy
