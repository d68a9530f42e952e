"""MySQL, T-SQL, SQLite, BigQuery and Snowflake, understood by sqlglot's grammars and by our own look at the words.

A text passes: ``readings`` (comments out), ``grammars`` (tokens), ``batches`` or ``piece`` (statements), ``judge`` (by
the first word), then ``queries``, ``changes`` or ``definitions``, and ``calls`` in each.
"""

from countersign.statements.dialects.classify import ALIASES, DIALECTS, classify_dialect

__all__ = ["ALIASES", "DIALECTS", "classify_dialect"]
