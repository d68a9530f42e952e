"""Statements, understood: a text in SQL, shell, MongoDB's or Redis's language in, what it does out. Pure, and closed.

Whatever is not understood in full is ``unparsable``, never reading.
"""

from countersign.statements.classify import (
    LANGUAGES,
    canonical,
    classify,
    classify_mongo,
    classify_redis,
    classify_shell,
    classify_sql,
)
from countersign.statements.verdict import READING, StatementClass, Verdict, unparsable

__all__ = [
    "LANGUAGES",
    "READING",
    "StatementClass",
    "Verdict",
    "canonical",
    "classify",
    "classify_mongo",
    "classify_redis",
    "classify_shell",
    "classify_sql",
    "unparsable",
]
