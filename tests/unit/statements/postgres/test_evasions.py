"""The same statement, written otherwise: its classes must not get milder."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.statements import READING, classify_sql
from countersign.statements.names import names
from tests.support.cost import cpu_s
from tests.unit.statements.postgres.saying import classes

DANGEROUS = (
    "DELETE FROM accounts",
    "UPDATE accounts SET balance = 0 WHERE account_no = account_no",
    "DROP TABLE accounts",
    "SELECT pg_read_file ( 'x' )",
    "COPY accounts TO PROGRAM 'x'",
    "WITH g AS ( DELETE FROM accounts RETURNING name ) SELECT count ( name ) FROM g",
    "SELECT name FROM pg_authid LIMIT 1",
    "GRANT admin TO someone",
    "DO 'BEGIN NULL ; END'",
    "EXPLAIN ANALYZE DELETE FROM accounts",
    "SELECT close_month ( )",
    "INSERT INTO archive SELECT name FROM accounts",
)
GAPS = st.sampled_from(
    [" ", "\n", "\t", "\r\n", "\f", "/**/", " /* x /* nested */ ; */ ", "-- SELECT 1\n", " -- '\n", "/*!50000 x*/"]
)


def _recased(text: str, upper: list[bool]) -> str:
    """Change the case of letters outside of literals: it means nothing there."""
    literals = re.split(r"('[^']*')", text)
    flips = iter(upper * (1 + len(text) // max(1, len(upper))))
    return "".join(
        part
        if part.startswith("'")
        else "".join(letter.upper() if next(flips, False) else letter.lower() for letter in part)
        for part in literals
    )


@given(
    text=st.sampled_from(DANGEROUS),
    gaps=st.lists(GAPS, min_size=1, max_size=6),
    upper=st.lists(st.booleans(), min_size=3),
)
def test_case_white_space_and_comments_change_nothing(text: str, gaps: list[str], upper: list[bool]) -> None:
    words = re.split(r" (?=(?:[^']*'[^']*')*[^']*$)", text)
    written = words[0] + "".join(gaps[at % len(gaps)] + word for at, word in enumerate(words[1:]))
    assert classes(_recased(written, upper)) == classes(text)


@given(
    text=st.sampled_from(DANGEROUS),
    before=st.sampled_from(["", "SELECT 1;", ";;", "-- x\n", "/* SELECT 1 */", "SELECT $$;$$;", "SELECT E'\\'';"]),
    after=st.sampled_from(["", ";", "; SELECT 1", " -- ", " /* */ ;;", ";\nSELECT ';'"]),
)
def test_company_does_not_make_a_statement_milder(text: str, before: str, after: str) -> None:
    assert set(classes(text).split()) <= set(classes(before + text + after).split())


@pytest.mark.parametrize(
    ("plain", "written"),
    [
        ("SELECT pg_sleep(1)", 'SELECT "pg_sleep"(1)'),
        ("SELECT pg_sleep(1)", r'SELECT U&"\0070g_sleep"(1)'),
        ("SELECT pg_sleep(1)", "SELECT U&\"!0070g_sleep\" UESCAPE '!' (1)"),
        ("SELECT pg_sleep(1)", "SELECT pg_catalog . pg_sleep (1)"),
        ("SELECT pg_sleep(1)", "SELECT ALL (pg_sleep(1))"),
        ("SELECT pg_sleep(1)", "SELECT (SELECT pg_sleep(1))"),
        ("SELECT pg_sleep(1)", "SELECT FROM pg_sleep(1)"),
        ("SELECT pg_sleep(1)", "SELECT * FROM ROWS FROM (pg_sleep(1)) AS s"),
        ("SELECT pg_sleep(1)", "SELECT 1 LIMIT (SELECT 1 FROM pg_sleep(1))"),
        ("SELECT pg_sleep(1)", "SELECT count(*) FILTER (WHERE pg_sleep(1) IS NULL)"),
        ("SELECT pg_sleep(1)", "SELECT 1 WINDOW w AS (ORDER BY pg_sleep(1))"),
        ("SELECT pg_sleep(1)", "SELECT xmlelement(name x, pg_sleep(1))"),
        ("SELECT pg_sleep(1)", "SELECT JSON_OBJECT('a': pg_sleep(1))"),
        ("SELECT pg_sleep(1)", "SELECT 1 GROUP BY ROLLUP (pg_sleep(1))"),
        ("SELECT pg_sleep(1)", 'SELECT pg_sleep(1)::text COLLATE "C"'),
        ("DELETE FROM accounts", 'DELETE FROM "accounts"'),
        ("DELETE FROM accounts", r'DELETE FROM U&"acc\006Funts"'),
        ("DO 'BEGIN NULL; END'", "DO $x$BEGIN NULL; END$x$"),
        ("DO 'BEGIN NULL; END'", r"DO E'BEGIN \x4eULL; END'"),
    ],
)
def test_quoting_and_nesting_change_nothing(plain: str, written: str) -> None:
    assert set(classes(plain).split()) <= set(classes(written).split())


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t",
        ";;;",
        "-- nothing",
        "/* nothing */",
        "/* open",
        "SELECT 'open",
        'SELECT "open',
        "SELECT $$open",
        "remove every account",
        "SELECT 1 FROM",
        "\\! id",
        "\\copy accounts to 'x'",
        "SELECT 1\0; DROP TABLE accounts",
        "SELECT '\ud800'",
        "\ufeffSELECT 1",
        "SELECT\u00a01",
        "\uff33ELECT 1",
        "SELECT 1; nonsense",
        "SELECT * FROM `accounts`",
        "SELECT * FROM [accounts]",
        "SELECT TOP 5 name FROM accounts",
        "SELECT " + "1 + " * 400 + "1",
        "SELECT " + "NOT " * 3000 + "true",
        "SELECT " + "(SELECT " * 300 + "1" + ")" * 300,
        "SELECT 1 WHERE 1 IN (" + "1, " * 9000 + "1)",
        "SELECT 1;" * 3000,
        "SELECT '" + "x" * 40_000 + "'",
    ],
)
def test_what_is_not_understood_in_full_is_never_reading(text: str) -> None:
    assert "unparsable" in classes(text).split()
    assert not classify_sql(text, "postgres").only_reads


@pytest.mark.parametrize(
    "text",
    [
        "SELECT " + "1+" * 16_000 + "1",
        "SELECT 1" + "::a" * 10_000,
        "SELECT * FROM a WHERE a.id IN (" + "SELECT id FROM a WHERE id IN (" * 90 + "1" + ")" * 91,
        "WITH a AS (" * 60 + "SELECT 1" + ") SELECT * FROM a" * 60,
        "SELECT * FROM " + ",".join(f"a{at}" for at in range(2_000)) + " WHERE x = 1",
        "SELECT * FROM a" + " JOIN a b ON a.x = b.x" * 90 + " WHERE x = 1",
        "SELECT string_agg(x, '') FROM (" * 60 + "SELECT 1 AS x" + ") t" * 60,
        "DO $$ BEGIN " + "PERFORM 1;" * 2_500 + " END $$",
        "DO $$ BEGIN PERFORM " + "1+" * 15_000 + "1; END $$",
        "SELECT " + ",".join(["query_to_xml('SELECT 1', true, true, '')"] * 300),
        "INSERT INTO t VALUES " + ",".join(["(1, 2)"] * 3_000),
    ],
    ids=range(11),
)
def test_no_text_takes_long(text: str) -> None:
    # Measured: at most 30 ms. The rest is for slow machines.
    assert cpu_s(lambda: classify_sql(text, "postgres")) < 0.5


def test_what_came_before_the_part_that_is_not_understood_still_counts() -> None:
    assert "unparsable" in classes("DROP TABLE accounts; EXPLAIN (UNHEARD_OF) SELECT 1")
    assert "destructive_ddl" in classes("DROP TABLE accounts; EXPLAIN (UNHEARD_OF) SELECT 1")


FRAGMENTS = st.sampled_from(
    sorted(
        names(
            """
            SELECT FROM WHERE accounts a . , ( ) * = 1 'x' "q" $1 $$ ; -- /* */ AND OR NOT IN ANY ARRAY [ ] WITH AS
            DELETE UPDATE SET INSERT INTO VALUES LIMIT NULL JOIN ON UNION ALL COPY TO PROGRAM DO EXPLAIN ANALYZE CREATE
            TABLE VIEW DROP GRANT pg_sleep count string_agg LATERAL RECURSIVE :: int RETURNING CASE WHEN THEN END EXISTS
            MERGE USING
            """
        )
    )
)


@given(st.one_of(st.text(max_size=60), st.lists(FRAGMENTS, max_size=25).map(" ".join)))
def test_no_text_whatever_makes_it_fail(text: str) -> None:
    verdict = classify_sql(text, "postgres")
    assert verdict.classes
    assert verdict.reason


STATEMENTS = st.sampled_from(
    [
        "SELECT 1",
        "SELECT * FROM accounts",
        "SELECT * FROM accounts LIMIT 3",
        "DELETE FROM accounts WHERE account_no = 1",
        "TRUNCATE accounts",
        "SELECT pg_sleep(1)",
        "GRANT a TO b",
        "COPY accounts TO STDOUT",
        "CREATE TABLE t ()",
        "SET ROLE x",
        "CALL p()",
    ]
)


@given(st.lists(STATEMENTS, min_size=1, max_size=6))
def test_several_statements_are_the_union_of_each(texts: list[str]) -> None:
    together = classify_sql(";\n".join(texts), "postgres")
    each = [classify_sql(text, "postgres") for text in texts]
    union = frozenset[str]().union(*(one.classes for one in each))
    assert together.classes == (union - {"read"} if "bulk_read" in union else union)
    assert together.relations == frozenset[str]().union(*(one.relations for one in each))
    assert together.only_reads == all(one.classes <= READING for one in each)
