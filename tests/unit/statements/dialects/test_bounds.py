"""A condition bounds rows by stored columns only, and only as long as nothing is added after."""

from __future__ import annotations

import pytest

from countersign.statements.dialects import DIALECTS, classify_dialect
from countersign.statements.verdict import StatementClass


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM (SELECT 1 AS k, name FROM staff) s WHERE k = 1",
        "SELECT * FROM (SELECT 1 AS k, name FROM staff) s WHERE s.k IN (1, 2)",
        "SELECT * FROM (SELECT 1 AS k, s.* FROM staff s) x WHERE k = 1",
        "SELECT * FROM (SELECT staff_no - staff_no + 5 AS k, name FROM staff) s WHERE k = 5",
        "SELECT * FROM (SELECT CASE WHEN 1 = 1 THEN 7 END AS k, name FROM staff) s WHERE k = 7",
        "SELECT * FROM (SELECT k, name FROM (SELECT 3 AS k, name FROM staff) a) b WHERE k = 3",
        "SELECT * FROM (SELECT * FROM (SELECT 3 AS k, name FROM staff) a) b WHERE b.k = 3",
        "WITH s AS (SELECT 1 AS k, name FROM staff) SELECT * FROM s WHERE k = 1",
        "WITH s (k, n) AS (SELECT 1, name FROM staff) SELECT * FROM s WHERE k = 1",
        "WITH s AS (SELECT 1 AS k, name FROM staff), u AS (SELECT k AS z, name FROM s) SELECT * FROM u WHERE z = 1",
        "SELECT * FROM (SELECT 1 AS k, name FROM staff UNION ALL SELECT id, name FROM boss) s WHERE k = 1",
        "SELECT * FROM (SELECT id AS k, name FROM staff UNION ALL SELECT 1, name FROM boss) s WHERE k = 1",
        "SELECT a.* FROM (SELECT 1 AS k, name FROM staff) a JOIN (SELECT 1 AS k) b ON a.k = b.k",
        "SELECT a.* FROM (SELECT 1 AS k, name FROM staff) a JOIN (SELECT 1 AS k) b USING (k)",
        "SELECT a.* FROM (SELECT 1 AS k, name FROM staff) a NATURAL JOIN (SELECT 1 AS k) b",
        "SELECT * FROM (SELECT ROW_NUMBER() OVER (PARTITION BY dept ORDER BY id) AS n, name FROM staff) s WHERE n = 1",
        "SELECT * FROM staff WHERE id = ANY (SELECT id FROM boss)",
        "SELECT * FROM staff WHERE id = SOME (SELECT id FROM boss)",
    ],
)
def test_what_a_query_computes_bounds_nothing(dialect: str, text: str) -> None:
    assert StatementClass.READ not in classify_dialect(text, dialect).classes


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM (SELECT id AS k, name FROM staff) s WHERE k = 1",
        "SELECT * FROM (SELECT * FROM staff) s WHERE id = 1",
        "SELECT * FROM (SELECT s.* FROM staff s) x WHERE x.id = 1",
        "SELECT * FROM (SELECT LOWER(name) AS name, id FROM staff) s WHERE name = 'mary'",
        "WITH s (k, n) AS (SELECT id, name FROM staff) SELECT * FROM s WHERE k = 1",
        "WITH s AS (SELECT id, name FROM staff), u AS (SELECT id AS z, name FROM s) SELECT * FROM u WHERE z = 1",
        "SELECT * FROM (SELECT id AS k, name FROM staff UNION ALL SELECT id, name FROM boss) s WHERE k = 1",
        "SELECT s.* FROM staff s JOIN (SELECT MAX(id) AS id FROM boss) m ON s.id = m.id",
        "SELECT s.* FROM staff s JOIN (SELECT MAX(id) AS id FROM boss) m USING (id)",
        "SELECT * FROM (SELECT dept, COUNT(*) AS n FROM staff GROUP BY dept) s WHERE dept = 5",
        "SELECT UPPER(name) AS name FROM staff WHERE name = 'mary'",
        "SELECT name AS n, 5 AS five FROM staff WHERE id = 4",
    ],
)
def test_what_a_query_passes_on_bounds_as_the_column_does(dialect: str, text: str) -> None:
    assert classify_dialect(text, dialect).classes == {StatementClass.READ}


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        # These let a condition name what the query itself computes.
        ("snowflake", "SELECT 1 AS k, name FROM staff WHERE k = 1"),
        ("snowflake", "SELECT 1 AS k, k AS j, name FROM staff WHERE j = 1"),
        ("sqlite", "SELECT 1 AS k, name FROM staff WHERE k = 1"),
        ("bigquery", "FROM hr.staff |> EXTEND 1 AS k |> WHERE k = 1"),
        # A column by its place, a column of a column, a part of a table.
        ("snowflake", "SELECT * FROM staff WHERE id = $1"),
        ("bigquery", "SELECT * FROM hr.staff WHERE id = info.id"),
        ("bigquery", "SELECT * FROM `hr.log_*` WHERE _TABLE_SUFFIX = '2020'"),
        ("bigquery", "SELECT * FROM hr.staff WHERE _PARTITIONDATE = '2020-01-01'"),
        # The limit is not the last of the pipe.
        ("bigquery", "FROM hr.staff |> LIMIT 5 |> JOIN hr.boss ON TRUE"),
        ("bigquery", "SELECT * FROM (FROM hr.staff |> LIMIT 5 |> CROSS JOIN hr.boss)"),
        # Names in quotes are others than names in none.
        ("snowflake", 'WITH "x" AS (SELECT 1 AS a) SELECT * FROM x'),
        ("tsql", "WITH x AS (SELECT 1 AS a) SELECT * FROM X"),
    ],
)
def test_what_only_one_dialect_reads_so_bounds_nothing(dialect: str, text: str) -> None:
    assert classify_dialect(text, dialect).classes == {StatementClass.BULK_READ}


def test_a_relation_is_told_though_an_expression_has_nearly_its_name() -> None:
    assert classify_dialect('WITH "x" AS (SELECT 1 AS a) SELECT * FROM x', "snowflake").reads == {"x"}
    assert classify_dialect('WITH "X" AS (SELECT 1 AS a) SELECT * FROM x', "snowflake").reads == set()
    assert classify_dialect("WITH x AS (SELECT 1 AS a) SELECT * FROM X", "sqlite").reads == set()
