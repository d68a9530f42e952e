"""Whatever the text: an answer, in time, that says nothing of what is in it, and nothing in a log."""

from __future__ import annotations

import io
import logging
import re
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countersign.statements.dialects import DIALECTS, classify_dialect
from countersign.statements.verdict import READING
from tests.support.cost import cpu_s
from tests.unit.statements.dialects.test_statements import ALL

_WORDS: Final = [
    "SELECT",
    "FROM",
    "WHERE",
    "a",
    "b",
    "t",
    ".",
    ",",
    "(",
    ")",
    "*",
    "1",
    "0",
    "'x'",
    '"y"',
    "`z`",
    "[w]",
    "JOIN",
    "LEFT",
    "ON",
    "AS",
    "UNION",
    "ALL",
    "CASE",
    "WHEN",
    "THEN",
    "END",
    "IN",
    "EXISTS",
    "NOT",
    "AND",
    "OR",
    "=",
    "<",
    "LIKE",
    "IS",
    "NULL",
    "INSERT",
    "INTO",
    "VALUES",
    "UPDATE",
    "SET",
    "DELETE",
    "WITH",
    "LIMIT",
    "TOP",
    "ORDER",
    "BY",
    "GROUP",
    "OVER",
    "LATERAL",
    "{",
    "}",
    "@",
    ":",
    "?",
    ";",
    "--",
    "#",
    "/*",
    "*/",
    "/*!",
    "EXEC",
    "BEGIN",
    "DECLARE",
    "IF",
    "WHILE",
    "USING",
    "CROSS",
    "APPLY",
    "INTERVAL",
    "CAST",
    "STRUCT",
    "ARRAY",
    "=>",
    "->",
    "->>",
    "::",
    "$1",
    "$$",
    "PIVOT",
    "FOR",
    "TABLE",
    "QUALIFY",
    "COPY",
    "CREATE",
    "FUNCTION",
    "MERGE",
    "MATCHED",
    "DROP",
    "GRANT",
    "SHOW",
    "EXPLAIN",
    "PRAGMA",
    "GO",
    "\n",
]
DIALECT: Final = st.sampled_from(DIALECTS)
SOUP: Final = st.lists(st.sampled_from(_WORDS), max_size=40).map(" ".join)
# Not the bodies of routines, which may reach to the end of a text, nor what a comment or a quote hides the end of.
_CUTTABLE: Final = [
    (dialect, text)
    for dialect, classes, text in ALL
    if not re.search(r"--|#|//|/\*|\bPROC|TRIGGER|^SELECT 'open$|^$", text) and classes != "unparsable"
]
ONE: Final = st.sampled_from(_CUTTABLE)
SECONDS: Final = 0.5
"""Far above what a text takes (some 50 ms at most), as the machines that run this are shared."""


@settings(max_examples=300)
@given(text=st.text(max_size=200) | SOUP, dialect=DIALECT)
def test_no_text_raises(text: str, dialect: str) -> None:
    verdict = classify_dialect(text, dialect)
    assert verdict.classes


@settings(max_examples=200)
@given(first=ONE, data=st.data())
def test_two_statements_are_the_union(first: tuple[str, str], data: st.DataObject) -> None:
    dialect, one = first
    other = data.draw(st.sampled_from([text for each, text in _CUTTABLE if each == dialect]))
    parts = [classify_dialect(each, dialect).classes for each in (one, other)]
    both = classify_dialect(f"{one}\n;\n{other}", dialect).classes
    # What only sets up (DECLARE), and a loop's reading, are reading alone and nothing beside others.
    assert both - READING == frozenset().union(*parts) - READING


@settings(max_examples=200)
@given(case=ONE, cut=st.integers(0, 200))
def test_half_a_statement_that_does_more_is_no_error(case: tuple[str, str], cut: int) -> None:
    dialect, text = case
    assert classify_dialect(text[:cut], dialect).classes


HEAVY: Final = {
    "parentheses": "SELECT " + "(" * 30_000 + "1" + ")" * 30_000,
    "parentheses that fit": "SELECT " + "(" * 39 + "1" + ")" * 39,
    "functions": "SELECT " + "ABS(" * 39 + "1" + ")" * 39,
    "sub-selects": "SELECT * FROM " + "(SELECT * FROM " * 39 + "a" + ") x" * 39,
    "sub-selects in conditions": "SELECT * FROM a WHERE " + "b IN (SELECT c FROM d WHERE " * 30 + "1=1" + ")" * 30,
    "joins": "SELECT * FROM a" + " JOIN b" * 5000,
    "joins without conditions": "SELECT * FROM a" + " LEFT JOIN b" * 5,
    "joins in parentheses": "SELECT * FROM " + "(a JOIN " * 5 + "b" + ")" * 5,
    "cross joins": "SELECT * FROM a" + " CROSS JOIN b" * 1000,
    "relations": "SELECT * FROM a" + ", b" * 1000,
    "a long list": "SELECT * FROM t WHERE id IN (" + ",".join(map(str, range(900))) + ")",
    "a longer list": "SELECT * FROM t WHERE id IN (" + ",".join(map(str, range(9000))) + ")",
    "alternatives": "SELECT * FROM a WHERE 1=0" + " OR a=1" * 500,
    "unions": "SELECT 1" + " UNION SELECT 1" * 700,
    "negations": "SELECT " + "NOT " * 2000 + "1",
    "minuses": "SELECT " + "- " * 2000 + "1",
    "cases": "SELECT " + "CASE WHEN 1 THEN " * 2000 + "1" + " END" * 2000,
    "semicolons": ";" * 65_000,
    "statements": "SELECT 1;" * 5000,
    "quotes": "'" * 65_001,
    "comments": "/**/" * 16_000,
    "open comments": "/*" * 32_000,
    "executable comments": "SELECT " + "/*!50000 1*/" * 5000,
    "words": "a " * 32_000,
    # The grammars read these in two ways, one within the other.
    "types that may be functions": "SELECT " + "DATE(" * 38 + "a" + ")" * 38,
    "types of parts": "SELECT " + "STRUCT(a, " * 38 + "1" + ")" * 38,
    "types in brackets": "SELECT " + "JSON[" * 38 + "1" + "]" * 38,
    "casts without a name": "SELECT " + "BINARY(a, " * 38 + "1" + ")" * 38,
    "divisions": "SELECT " + "DIV0NULL(a, " * 38 + "b" + ")" * 38,
    "limits": "SELECT " + "a LIMIT (SELECT " * 38 + "1" + ")" * 38,
    "pipes": "FROM t " + "|> SELECT a " * 200,
    "arrays": "SELECT " + "SORT_ARRAY(a, " * 38 + "1" + ")" * 38,
    "expressions of expressions": "WITH c0 AS (SELECT * FROM t)"
    + "".join(f", c{i + 1} AS (SELECT *, 1 AS k{i} FROM c{i})" for i in range(100))
    + " SELECT * FROM c100 WHERE k1 = 1",
    "too long": "SELECT '" + "a" * 70_000 + "'",
    "long text": "SELECT '" + "a b, (c); " * 5000 + "'",
}


@pytest.mark.parametrize("name", HEAVY)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_text_takes_long(name: str, dialect: str) -> None:
    assert cpu_s(lambda: classify_dialect(HEAVY[name], dialect)) < SECONDS


def test_a_list_of_nine_hundred_is_understood() -> None:
    assert classify_dialect(HEAVY["a long list"], "mysql").only_reads


def test_functions_of_functions_are_understood_as_deep_as_people_write_them() -> None:
    text = "SELECT ARRAY(SELECT AS STRUCT STRUCT(DATE(TIMESTAMP(a)) AS d, STRUCT(1 AS b) AS c) FROM UNNEST(x) LIMIT 5)"
    assert classify_dialect(text, "bigquery").only_reads
    assert classify_dialect("SELECT DATE(TIMESTAMP(DATE(NOW()))), BINARY(CHAR(DATE(NOW())))", "mysql").only_reads


def test_nothing_of_a_statement_reaches_a_log_or_a_reason(capfd: pytest.CaptureFixture[str]) -> None:
    word = "hunter" + "2"
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root, own = logging.getLogger(), logging.getLogger("sqlglot")
    root.addHandler(handler)
    own.addHandler(handler)
    own.setLevel(logging.DEBUG)
    try:
        for dialect in DIALECTS:
            for text in (
                f"SELECT '{word}'",
                f"SELECT '{word}",
                f"GARBLE '{word}'",
                f"ALTER USER x IDENTIFIED BY '{word}'",
                f"SELECT f('{word}') FROM t WHERE p = '{word}' )",
                f"CREATE PROCEDURE p AS '{word}' (",
                f"EXPLAIN '{word}'",
                f"SET x = '{word}' y",
                f"CALL p('{word}')",
            ):
                assert word not in classify_dialect(text, dialect).reason
    finally:
        root.removeHandler(handler)
        own.removeHandler(handler)
        own.setLevel(logging.NOTSET)
    assert stream.getvalue() == ""
    assert capfd.readouterr() == ("", "")
