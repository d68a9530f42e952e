"""Each statement has exactly the classes that the system's documentation makes it."""

from __future__ import annotations

from typing import Final

import pytest

from countersign.statements.dialects import ALIASES, DIALECTS, classify_dialect
from countersign.statements.verdict import StatementClass
from tests.unit.statements.dialects import cases_bigquery, cases_mysql, cases_snowflake, cases_sqlite, cases_tsql

CASES: Final = {
    "mysql": cases_mysql.CASES,
    "tsql": cases_tsql.CASES,
    "sqlite": cases_sqlite.CASES,
    "bigquery": cases_bigquery.CASES,
    "snowflake": cases_snowflake.CASES,
}
ALL: Final = [(dialect, classes, text) for dialect, cases in CASES.items() for classes, text in cases]


def wanted(classes: str) -> frozenset[StatementClass]:
    return frozenset(map(StatementClass, classes.split()))


@pytest.mark.parametrize(("dialect", "classes", "text"), ALL)
def test_a_statement_has_exactly_its_classes(dialect: str, classes: str, text: str) -> None:
    verdict = classify_dialect(text, dialect)
    assert verdict.classes == wanted(classes), verdict.reason


def test_every_dialect_has_cases() -> None:
    assert set(CASES) == set(DIALECTS)


@pytest.mark.parametrize(("alias", "dialect"), ALIASES.items())
def test_an_alias_reads_as_its_dialect(alias: str, dialect: str) -> None:
    text = "SELECT `a` FROM t WHERE id = 1"
    assert classify_dialect(text, alias) == classify_dialect(text, dialect)


@pytest.mark.parametrize("dialect", ["oracle", "", "MySQL", "postgres"])
def test_a_dialect_that_is_not_known_is_an_error_of_the_caller(dialect: str) -> None:
    with pytest.raises(ValueError, match="no such dialect"):
        classify_dialect("SELECT 1", dialect)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_relations_are_told_as_written(dialect: str) -> None:
    verdict = classify_dialect("INSERT INTO Hr.Log (id) SELECT s.id FROM hr.Staff AS s WHERE s.id = 3", dialect)
    assert verdict.writes == {"hr.log"}
    assert verdict.reads == {"hr.staff"}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_common_table_expression_is_no_relation(dialect: str) -> None:
    verdict = classify_dialect("WITH x AS (SELECT id FROM staff WHERE id = 1) SELECT id FROM x", dialect)
    assert verdict.reads == {"staff"}


@pytest.mark.parametrize(
    ("text", "dialect", "bound"),
    [
        ("SELECT a FROM t LIMIT 7", "mysql", 7),
        ("SELECT TOP (7) a FROM t", "tsql", 7),
        ("SELECT a FROM t ORDER BY a OFFSET 3 ROWS FETCH NEXT 7 ROWS ONLY", "tsql", 7),
        ("SELECT COUNT(*) FROM t", "sqlite", 1),
        ("SELECT a FROM t LIMIT 2 OFFSET 3; SELECT a FROM t LIMIT 5", "bigquery", 7),
        ("SELECT a FROM t WHERE id = 1", "snowflake", None),
        ("SELECT a FROM t", "snowflake", None),
    ],
)
def test_the_row_bound_is_the_number_that_the_text_tells(text: str, dialect: str, bound: int | None) -> None:
    assert classify_dialect(text, dialect).row_bound == bound


@pytest.mark.parametrize(
    ("text", "dialect", "relations"),
    [
        ("IF EXISTS (SELECT 1 FROM staff WHERE id = 1) SELECT 'yes' ELSE SELECT 'no'", "tsql", "staff"),
        ("DECLARE @x INT = (SELECT MAX(pay) FROM staff); SELECT @x", "tsql", "staff"),
        ("DECLARE x INT64 DEFAULT (SELECT MAX(pay) FROM hr.staff); SELECT x", "bigquery", "hr.staff"),
        ("CREATE TABLE copy1 CLONE staff", "snowflake", "staff copy1"),
        ("CREATE TABLE copy1 LIKE staff", "mysql", "staff copy1"),
        ("CREATE INDEX ix ON staff (name)", "mysql", "staff ix"),
        ("DROP INDEX ix ON staff", "mysql", "staff ix"),
        ("CREATE VIRTUAL TABLE notes USING fts5(body)", "sqlite", "notes"),
        ("CREATE PROCEDURE tidy AS DELETE FROM staff", "tsql", "tidy"),
        ("LOAD DATA INTO hr.staff FROM FILES (format = 'CSV', uris = ['gs://b/x.csv'])", "bigquery", "hr.staff"),
        ("DESCRIBE staff", "mysql", "staff"),
        ("DESCRIBE TABLE staff", "snowflake", "staff"),
        ("EXPLAIN DELETE FROM staff", "mysql", "staff"),
    ],
)
def test_every_relation_that_a_statement_names_is_told(text: str, dialect: str, relations: str) -> None:
    assert classify_dialect(text, dialect).relations == set(relations.split())


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ("SELECT name FROM sys.[sql_logins ] WHERE id = 1", "tsql"),
        ("SELECT name FROM sys.\uff53\uff51\uff4c_logins WHERE id = 1", "tsql"),
        ("SELECT name FROM sys.[\uff53ql_logins] WHERE id = 1", "tsql"),
        ("SELECT info FROM information_schema.proc\u00e9sslist WHERE id = 1", "mysql"),
    ],
)
def test_a_secret_relation_is_known_by_whatever_name_the_server_knows_it(text: str, dialect: str) -> None:
    assert StatementClass.PRIVILEGE in classify_dialect(text, dialect).classes
