"""What is wrong with a rule, said to whoever wrote it."""

from __future__ import annotations


class BadRule(ValueError):
    """A rule that cannot be enforced as it is written; ``what`` is wrong, and ``remedy`` says what to do."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}; {remedy}" if remedy else what)
        self.what = what
        self.remedy = remedy


class BadCondition(BadRule):
    """A ``when`` that does not compile; ``line`` and ``column`` count from 1 within its text, in code points."""

    def __init__(self, line: int, column: int, what: str, remedy: str) -> None:
        super().__init__(what, remedy)
        self.line = line
        self.column = column


class BadConstraint(BadRule):
    """A constraint on an argument that contradicts itself or can judge nothing; ``path`` is that of the constraint."""

    def __init__(self, path: str, what: str, remedy: str) -> None:
        super().__init__(what, remedy)
        self.path = path


class CannotJudge(Exception):
    """A rule that cannot be evaluated for a call, which is therefore denied.

    ``reason`` is in general terms, without any value of the call, and may be recorded; ``detail`` may hold values of
    the call and is for the desk of an operator only.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail or reason
