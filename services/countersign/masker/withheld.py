"""Why something of a target is not released."""

from __future__ import annotations

from collections.abc import Sequence

from countersign.model.event import Finding

SHOWN = "the answer holds the credential that its target was shown"


class Withheld(Exception):
    """An answer that must not reach the caller; ``str()`` says why and never quotes it.

    ``findings`` are what was found in it that is the reason.
    """

    def __init__(self, reason: str, findings: Sequence[Finding] = ()) -> None:
        super().__init__(reason)
        self.findings = tuple(findings)
