"""Statements, understood: a text in SQL, shell, MongoDB's or Redis's language in, what it does out. Pure, and closed.

Whatever is not understood in full is ``unparsable``, never reading.
"""

from countersign.statements.verdict import READING, StatementClass, Verdict, unparsable

__all__ = ["READING", "StatementClass", "Verdict", "unparsable"]
