"""No other name, expression or detour lets a masked column of the other dialects pass for a clear one."""

from __future__ import annotations

import pytest

from countersign.statements.lineage import lineage
from tests.support.cost import cpu_s
from tests.unit.statements.lineage.saying import MASKED, said

EVERY = ("mysql", "tsql", "sqlite", "bigquery", "snowflake")
ALIKE = [
    ("SELECT ssn AS x, id FROM users", "x<ssn"),
    ("SELECT u.SSN FROM users u", "ssn<ssn"),
    ("SELECT upper(ssn) AS x FROM users", "x<ssn"),
    ("SELECT CASE WHEN id > 1 THEN ssn ELSE '' END AS x FROM users", "x<ssn"),
    ("SELECT max(ssn) AS m, count(*) AS n FROM users", "m<ssn"),
    ("SELECT CAST(ssn AS CHAR(9)) AS x FROM users", "x<ssn"),
    ("SELECT max(ssn) OVER (ORDER BY id) AS m FROM users", "m<ssn"),
    ("SELECT (SELECT max(ssn) FROM users) AS x", "x<ssn"),
    ("SELECT * FROM (SELECT id, ssn AS a FROM users) t", "a<ssn"),
    ("SELECT t.b AS c FROM (SELECT a AS b FROM (SELECT ssn AS a FROM users) s) t", "c<ssn"),
    ("WITH t AS (SELECT ssn AS a FROM users), v AS (SELECT a AS b FROM t) SELECT b AS c FROM v", "c<ssn"),
    ("WITH users AS (SELECT ssn AS a FROM users) SELECT * FROM users", "a<ssn"),
    ("SELECT name FROM users UNION ALL SELECT ssn FROM users", "name<ssn"),
    ("SELECT id, name FROM staff UNION ALL SELECT * FROM users", "id<* name<*"),
    ("SELECT * FROM staff UNION ALL SELECT * FROM users", "everything"),
    ("SELECT * FROM users", "clear"),
    ("SELECT count(*) AS n FROM users", "clear"),
    ("SELECT name FROM users WHERE ssn LIKE '1%'", "clear"),
    ("SELECT id, row_number() OVER (ORDER BY ssn) AS n FROM users", "clear"),
    ("SELEC ssn", "everything"),
    ("", "everything"),
]
OWN = [
    ("mysql", "SELECT upper(`ssn`), name FROM users", "upper(`ssn`)<ssn"),
    ("mysql", "SELECT profile ->> '$.ssn' AS x FROM users", "x<ssn"),
    ("mysql", "SELECT profile ->> '$.*' AS x FROM users", "x<*"),
    ("mysql", "SELECT profile ->> '$.city' AS x FROM users", "clear"),
    ("mysql", "SELECT /*!50000 ssn AS */ name FROM users", "name<ssn"),
    ("mysql", "SELECT @x AS y", "y<*"),
    ("mysql", "SELECT group_concat(ssn SEPARATOR ',') AS g FROM users", "g<ssn"),
    ("mysql", "SELECT * FROM (SELECT upper(ssn) FROM users) t", "everything"),
    (
        "mysql",
        "WITH RECURSIVE t (a) AS (SELECT name FROM users UNION ALL SELECT ssn FROM t JOIN users ON 1) SELECT a FROM t",
        "a<ssn",
    ),
    ("mysql", "EXECUTE p", "everything"),
    ("mysql", "EXPLAIN SELECT ssn FROM users", "everything"),
    ("mysql", "SHOW TABLES", "clear"),
    ("tsql", "SELECT x = ssn FROM users", "x<ssn"),
    ("tsql", "SELECT TOP 5 [ssn] AS [my x] FROM users", "my x<ssn"),
    ("tsql", "SELECT max(ssn) FROM users", "everything"),
    ("tsql", "SELECT ssn AS x FROM users FOR JSON PATH", "everything"),
    ("tsql", "SELECT ssn AS a INTO #t FROM users; SELECT a FROM #t", "a<ssn"),
    ("tsql", "UPDATE users SET nick = ssn OUTPUT inserted.nick AS y WHERE id = 1", "y<ssn"),
    ("tsql", "SELECT w.q FROM orders CROSS APPLY (SELECT ssn AS q FROM users) w", "q<ssn"),
    ("tsql", "DECLARE @x int; SET @x = (SELECT ssn FROM users WHERE id = 1); SELECT @x AS y", "everything"),
    ("tsql", "EXEC sp_executesql N'select 1'", "everything"),
    ("sqlite", "SELECT ssn || '' FROM users", "ssn || ''<ssn"),
    ("sqlite", "SELECT value FROM users, json_each(users.profile)", "value<*"),
    ("sqlite", "INSERT INTO t (a) SELECT ssn FROM users RETURNING a, b", "a<ssn"),
    (
        "sqlite",
        "INSERT INTO t (a, b) VALUES (1, (SELECT ssn FROM u)) ON CONFLICT DO UPDATE SET a = excluded.b RETURNING a",
        "a<ssn",
    ),
    ("sqlite", "INSERT INTO t SELECT ssn, 1 FROM users RETURNING *", "everything"),
    ("sqlite", "CREATE TABLE t AS SELECT ssn AS a FROM users; SELECT a FROM t", "a<ssn"),
    ("sqlite", "WITH t (a) AS (SELECT ssn FROM users) SELECT a FROM t", "a<ssn"),
    ("sqlite", "VALUES (1, (SELECT ssn FROM users))", "everything"),
    ("sqlite", "PRAGMA table_info(users)", "clear"),
    ("sqlite", "SELECT name FROM pragma_table_info('users')", "clear"),
    ("sqlite", "SELECT sample FROM sqlite_stat4", "sample<*"),
    ("sqlite", "ALTER TABLE users RENAME COLUMN ssn TO x; SELECT x FROM users", "everything"),
    ("bigquery", "SELECT u FROM users u", "u<*"),
    ("bigquery", "SELECT TO_JSON_STRING(u) AS j FROM users u", "j<*"),
    ("bigquery", "SELECT * REPLACE (ssn AS name) FROM users", "name<ssn"),
    ("bigquery", "SELECT u.person.ssn AS a, u.person.zip AS b FROM users u", "a<ssn"),
    ("bigquery", "SELECT x FROM users u, UNNEST([u.ssn]) AS x", "x<ssn"),
    ("bigquery", "SELECT MAX(id), MAX(ssn) FROM users", "f1_<ssn"),
    ("snowflake", "SELECT t.$2 AS c FROM users t", "c<*"),
    ("snowflake", "SELECT * RENAME (ssn AS x) FROM users", "x<ssn"),
    ("snowflake", "SELECT profile:a.ssn::string AS x FROM users", "x<ssn"),
    ("snowflake", "SELECT GET(profile, 's' || 'sn') AS x, GET(profile, 'city') AS y FROM users", "x<*"),
    ("mysql", "SELECT JSON_EXTRACT(profile, '$.a', CONCAT('$.s', 'sn')) AS x FROM users", "x<*"),
    ("mysql", "SELECT JSON_VALUE(profile, '$.ssn') AS x, JSON_VALUE(profile, '$.a') AS y FROM users", "x<ssn"),
    ("snowflake", "SELECT f.value AS v FROM users, LATERAL FLATTEN(input => profile) f", "v<*"),
    ("snowflake", "SELECT object_construct(*) AS o FROM users", "o<*"),
    ("snowflake", "SELECT ssn AS a, upper(a) AS b FROM users", "a<ssn b<ssn"),
    ("snowflake", "SELECT * FROM users UNPIVOT(v FOR k IN (ssn, name))", "everything"),
    ("snowflake", "SELECT * FROM TABLE(RESULT_SCAN(LAST_QUERY_ID()))", "everything"),
]


@pytest.mark.parametrize("dialect", EVERY)
@pytest.mark.parametrize(("text", "expected"), ALIKE)
def test_a_masked_column_is_followed_in_every_dialect(text: str, expected: str, dialect: str) -> None:
    assert said(text, dialect) == expected


@pytest.mark.parametrize(("dialect", "text", "expected"), OWN)
def test_a_masked_column_is_followed_through_what_a_dialect_has_of_its_own(
    dialect: str, text: str, expected: str
) -> None:
    assert said(text, dialect) == expected


def test_ordinary_statements_are_followed_in_little_time() -> None:
    text = "SELECT u.id, upper(u.ssn) AS x FROM users u JOIN orders o ON o.user_id = u.id WHERE u.region = 'x'"
    assert cpu_s(lambda: [lineage(text, "mysql", MASKED) for _ in range(100)]) < 0.5
