"""No other name, expression or detour lets a masked column of PostgreSQL pass for a clear one."""

from __future__ import annotations

import pytest

from countersign.statements.lineage import lineage
from tests.support.cost import cpu_s
from tests.unit.statements.lineage.saying import MASKED, said

RENAMED = [
    ("SELECT ssn FROM users", "ssn<ssn"),
    ("SELECT ssn AS x, id FROM users", "x<ssn"),
    ("SELECT u.ssn x FROM users u", "x<ssn"),
    ('SELECT "SSN" AS "Y z" FROM users', "y z<ssn"),
    ('SELECT U&"\\0073sn" AS x FROM users', "x<ssn"),
    ('SELECT public.users."ssn" AS x FROM public.users', "x<ssn"),
    ("SELECT (u).ssn AS x FROM users u", "x<ssn"),
    ("SELECT (u.person).ssn FROM users u", "ssn<ssn"),
    ("SELECT ssn(u) AS x FROM users u", "x<*+ssn"),
    ("SELECT a FROM users AS u (a, b)", "a<*"),
    ("SELECT j.x FROM (orders JOIN users ON true) AS j (x)", "x<*"),
    ("SELECT b FROM (SELECT ssn FROM users) AS t (b)", "b<ssn"),
    ("SELECT * FROM (SELECT id, ssn AS a FROM users) t", "a<ssn"),
    ("SELECT * FROM (SELECT id, ssn FROM users) AS t (a, b)", "b<ssn"),
    ("SELECT * FROM (SELECT * FROM users) AS t (a, b)", "a<* b<*"),
    ("SELECT t.a, o.total FROM orders o JOIN (SELECT ssn AS a FROM users) t USING (id)", "a<ssn"),
    ("WITH t (a) AS (SELECT ssn FROM users) SELECT a FROM t", "a<ssn"),
    ("WITH t AS (SELECT ssn AS a FROM users), v AS (SELECT a AS b FROM t) SELECT v.b AS c FROM v", "c<ssn"),
    ("WITH users AS (SELECT ssn AS a FROM users) SELECT * FROM users", "a<ssn"),
    ("SELECT x.v FROM users u, LATERAL (SELECT u.ssn AS v) x", "v<ssn"),
    ("SELECT x FROM users u, unnest(ARRAY[u.ssn]) AS x", "x<ssn"),
    ("SELECT * FROM json_to_record((SELECT to_json(u) FROM users u)) AS t (name text)", "name<*"),
    ("SELECT f FROM users u, regexp_split_to_table(u.ssn, '-') f", "f<ssn"),
    ("TABLE users", "clear"),
    ("SELECT * FROM users", "clear"),
    ("SELECT u.* FROM users u", "clear"),
]
COMPUTED = [
    ("SELECT upper(ssn) FROM users", "upper<ssn"),
    ("SELECT max(ssn), count(*) FROM users", "max<ssn"),
    ("SELECT string_agg(ssn, ',') FROM users", "string_agg<ssn"),
    ("SELECT count(DISTINCT ssn) FROM users", "count<ssn"),
    ("SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY ssn) FROM users", "percentile_disc<ssn"),
    ("SELECT lag(ssn) OVER (ORDER BY id) FROM users", "lag<ssn"),
    ("SELECT ssn || '' FROM users", "?column?<ssn"),
    ("SELECT ssn::text FROM users", "ssn<ssn"),
    ("SELECT substr(ssn, 1, 3)::int FROM users", "substr<ssn"),
    ("SELECT CAST('1' || ssn AS text) FROM users", "text<ssn"),
    ("SELECT CASE WHEN id > 1 THEN ssn END FROM users", "case<ssn"),
    ("SELECT CASE WHEN ssn > '5' THEN 1 ELSE id END FROM users", "id<ssn"),
    ("SELECT coalesce(card, ssn) FROM users", "coalesce<card+ssn"),
    ("SELECT nullif(ssn, ''), greatest(ssn, '') FROM users", "nullif<ssn greatest<ssn"),
    ("SELECT ARRAY[ssn], ROW(ssn), ssn IS NULL FROM users", "array<ssn row<ssn ?column?<ssn"),
    ("SELECT array(SELECT ssn FROM users)", "array<ssn"),
    ("SELECT (SELECT ssn FROM users LIMIT 1)", "ssn<ssn"),
    ("SELECT (SELECT max(ssn) AS m FROM users)", "m<ssn"),
    ("SELECT id IN (SELECT ssn FROM users) FROM orders", "?column?<ssn"),
    ("SELECT xmlforest(ssn) FROM users", "xmlforest<ssn"),
    ("SELECT json_build_object('k', ssn) FROM users", "json_build_object<ssn"),
    ("SELECT JSON_OBJECT('k': ssn), JSON_ARRAYAGG(ssn) FROM users", "json_object<ssn json_arrayagg<ssn"),
    ("VALUES (1, (SELECT ssn FROM users LIMIT 1))", "column2<ssn"),
]
UNITED = [
    ("SELECT name FROM users UNION SELECT ssn FROM users", "name<ssn"),
    ("SELECT id, name FROM users INTERSECT SELECT id, ssn FROM users", "name<ssn"),
    ("SELECT id, name FROM staff UNION ALL SELECT * FROM users", "id<* name<*"),
    ("SELECT * FROM staff UNION ALL SELECT * FROM users", "everything"),
    ("SELECT * FROM users WHERE id = 1 UNION ALL SELECT * FROM users WHERE id = 2", "clear"),
    ("SELECT * FROM staff UNION ALL SELECT id, ssn FROM users", "everything"),
    (
        "WITH RECURSIVE t (n, a) AS (SELECT 1, name FROM users UNION ALL SELECT 2, ssn FROM t, users) SELECT a FROM t",
        "a<ssn",
    ),
    (
        "WITH RECURSIVE t (a, b, c) AS (SELECT 1, 2, ssn FROM users UNION ALL SELECT b, c, 3 FROM t) SELECT a FROM t",
        "a<ssn",
    ),
]
ROWS = [
    ("SELECT u FROM users u", "u<*"),
    ("SELECT users FROM users", "users<*"),
    ("SELECT u::text FROM users u", "u<*"),
    ("SELECT array_agg(u) FROM users u", "array_agg<*"),
    ("SELECT ROW(u.*) FROM users u", "row<*"),
    ("SELECT md5(to_jsonb(u)::text) FROM users u", "md5<*"),
    ("SELECT to_jsonb(u) ->> 'ssn' AS x FROM users u", "x<*+ssn"),
    ("SELECT to_jsonb(u) ->> 'name' AS x FROM users u", "x<*"),
    ("SELECT v FROM users u, jsonb_each_text(to_jsonb(u)) AS e (k, v)", "v<*"),
    ("SELECT value FROM users u, jsonb_each_text(u.profile)", "value<*"),
    ("SELECT profile ->> 'ssn' AS x FROM users", "x<ssn"),
    ("SELECT profile #>> '{a,ssn}' AS x FROM users", "x<ssn"),
    ("SELECT profile ->> ('s' || 'sn') AS x FROM users", "x<*"),
    ("SELECT jsonb_path_query(profile, '$.*') AS x FROM users", "x<*"),
    ("SELECT jsonb_path_query(profile, '$.\"\\u0073sn\"') AS x FROM users", "x<*"),
    ("SELECT jsonb_path_query(profile, '$.keyvalue()') AS x FROM users", "x<*"),
    ("SELECT JSON_VALUE(profile, ('$.s' || 'sn')::jsonpath) AS x FROM users", "x<*"),
    ("SELECT JSON_VALUE(profile, '$.city') AS x FROM users", "clear"),
    ("SELECT v FROM users, JSON_TABLE(profile, '$.*' COLUMNS (v text PATH '$')) t", "v<*"),
    ("SELECT row_to_json(t) FROM (SELECT ssn AS x FROM users) t", "row_to_json<ssn"),
    ("SELECT json_agg(row_to_json(u)) FROM users u", "clear"),
    ("SELECT json_agg(t) FROM (SELECT id, name FROM users) t", "clear"),
    ("SELECT profile ->> 'city' AS x FROM users", "clear"),
    ("SELECT (f(u)).* FROM users u", "everything"),
]
CHANGED = [
    ("INSERT INTO t (a) SELECT ssn FROM users RETURNING a, b", "a<ssn"),
    ("INSERT INTO t SELECT id, ssn FROM users RETURNING *", "everything"),
    ("INSERT INTO users (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET nick = users.ssn RETURNING nick", "nick<ssn"),
    ("UPDATE users SET nick = ssn RETURNING nick, id", "nick<ssn"),
    ("UPDATE users SET (a, b) = (SELECT id, ssn FROM users LIMIT 1) RETURNING new.b AS x", "x<ssn"),
    ("DELETE FROM users RETURNING upper(ssn)", "upper<ssn"),
    ("DELETE FROM users RETURNING *", "clear"),
    ("WITH d AS (DELETE FROM users RETURNING ssn AS a) SELECT a AS b FROM d", "b<ssn"),
    (
        "MERGE INTO t USING users u ON t.id = u.id WHEN MATCHED THEN UPDATE SET a = u.ssn RETURNING t.a",
        "a<ssn",
    ),
    ("CREATE TEMP TABLE t AS SELECT ssn AS a FROM users; SELECT a FROM t", "a<ssn"),
    ("SELECT ssn AS a INTO TEMP t FROM users; SELECT upper(a) FROM t", "upper<ssn"),
    ("CREATE VIEW v (a) AS SELECT ssn FROM users; SELECT a FROM v", "a<ssn"),
    ("INSERT INTO t SELECT ssn FROM users; SELECT a FROM t", "a<ssn"),
    ("SELECT name FROM users; SELECT ssn AS x FROM users", "x<ssn"),
]
UNFOLLOWED = [
    "SELEC ssn",
    "",
    "SELECT name FROM users; SELEC",
    "EXECUTE p",
    "FETCH ALL FROM c",
    "CALL f()",
    "DO $$ BEGIN RAISE NOTICE 'x'; END $$",
    "EXPLAIN SELECT ssn FROM users",
    "COPY users TO STDOUT",
    "COPY (SELECT id FROM users WHERE ssn = '1') TO STDOUT",
    "SELECT * FROM pg_stats",
    "ALTER TABLE users RENAME COLUMN ssn TO x; SELECT x FROM users; ROLLBACK",
    "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT ssn FROM users'; SELECT f()",
    "CREATE TABLE t (x text) INHERITS (users); SELECT x FROM t",
    "SELECT " + "(" * 20_000 + "ssn" + ")" * 20_000 + " FROM users",
    "SELECT name FROM users WHERE id IN (" + ", ".join(["1"] * 20_000) + ")",
]
TEXT_RUN = [
    "SELECT query_to_xml('select s' || 'sn from users', true, true, '') AS x",
    "SELECT table_to_xml('users', true, true, '') AS x",
    "SELECT a FROM dblink('', 'select s' || 'sn from users') AS t (a text)",
    "SELECT most_common_vals AS x FROM pg_stats",
]
CLEAR = [
    "SELECT name FROM users WHERE ssn LIKE '1%'",
    "SELECT id FROM users ORDER BY ssn",
    "SELECT count(*) FROM users GROUP BY ssn",
    "SELECT id, row_number() OVER (ORDER BY ssn) FROM users",
    "SELECT count(*) FILTER (WHERE ssn IS NULL) FROM users",
    "SELECT EXISTS (SELECT ssn FROM users)",
    "SELECT 'ssn' AS label",
    "SELECT s.x FROM (VALUES ('a')) s (x)",
    "WITH t AS (SELECT ssn AS a, id FROM users) SELECT id FROM t",
    "SELECT now(), 1 + 1, o.total FROM orders o",
    "EXPLAIN SELECT name FROM users",
    "SHOW work_mem",
    "BEGIN",
    "CREATE TABLE t AS SELECT ssn AS a FROM users",
    "CREATE TEMP TABLE t (a int); INSERT INTO t VALUES (1); SELECT a FROM t",
]


@pytest.mark.parametrize(("text", "expected"), [*RENAMED, *COMPUTED, *UNITED, *ROWS, *CHANGED])
def test_a_masked_column_is_followed_wherever_it_goes(text: str, expected: str) -> None:
    assert said(text) == expected


@pytest.mark.parametrize("text", UNFOLLOWED, ids=lambda text: text[:40])
def test_what_cannot_be_followed_is_masked_whole(text: str) -> None:
    assert said(text) == "everything"


@pytest.mark.parametrize("text", TEXT_RUN)
def test_a_query_in_a_text_may_give_any_column(text: str) -> None:
    assert said(text).endswith("<*")


@pytest.mark.parametrize("text", CLEAR)
def test_what_shows_no_masked_column_stays_clear(text: str) -> None:
    assert said(text) == "clear"


@pytest.mark.parametrize(
    "text",
    [
        "SELECT *, upper(ssn) AS name FROM users",
        "SELECT name AS x, ssn AS x FROM users",
        "SELECT to_jsonb(u) FROM users u",
    ],
)
def test_a_name_that_may_stand_for_several_columns_is_said_to(text: str) -> None:
    assert lineage(text, "postgres", MASKED).loose


@pytest.mark.parametrize(("text", "stored"), [("SELECT * FROM users", True), ("SELECT id FROM users", False)])
def test_columns_that_the_statement_does_not_name_are_told(text: str, stored: bool) -> None:
    assert lineage(text, "postgres", MASKED).stored is stored


@pytest.mark.parametrize(
    ("text", "touched"),
    [
        ("SELECT 1 FROM users WHERE ssn::int = 1", True),
        ("SELECT 1 FROM users u WHERE (to_jsonb(u) ->> ('s' || 'sn'))::int = 1", True),
        ("SELECT 1 FROM users WHERE (profile ->> E'\\x73sn')::int = 1", True),
        ("SELECT 1 FROM users u WHERE u.id = 1", False),
    ],
)
def test_a_statement_whose_errors_may_quote_a_masked_value_is_told(text: str, touched: bool) -> None:
    assert lineage(text, "postgres", MASKED).touched is touched


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("SELECT ssn AS x FROM users", True),
        ("SELECT t.x FROM (SELECT u.ssn AS x FROM users u) t", True),
        ("WITH t (x) AS (SELECT ssn FROM users) SELECT * FROM t", True),
        ("SELECT ssn AS x FROM users UNION SELECT card FROM users", True),
        ("SELECT reverse(ssn) AS x FROM users", False),
        ("SELECT x FROM (SELECT reverse(ssn) AS x FROM users) t", False),
        ("SELECT ssn AS x FROM users UNION SELECT reverse(ssn) FROM users", False),
        ("SELECT ssn AS x FROM users UNION SELECT '1'", False),
        ("SELECT ssn AS x FROM users; SELECT reverse(ssn) AS x FROM users", False),
        ("SELECT reverse(ssn) AS x, ssn AS x FROM users", False),
        ("SELECT max(ssn) AS x FROM users", False),
    ],
)
@pytest.mark.parametrize("dialect", ["postgres", "sqlite"])
def test_values_that_something_was_made_of_are_told_from_stored_ones(text: str, plain: bool, dialect: str) -> None:
    (column,) = lineage(text, dialect, MASKED).columns
    assert (column.name, column.plain) == ("x", plain)


def test_without_masked_columns_nothing_is_said() -> None:
    assert not lineage("nonsense", "postgres", ()).everything


@pytest.mark.parametrize("language", ["shell", "mongodb", "redis"])
def test_no_result_of_another_language_is_followed(language: str) -> None:
    assert lineage("ls", language, MASKED).everything


def test_ordinary_statements_are_followed_in_little_time() -> None:
    text = (
        "SELECT u.id, upper(u.ssn) AS x, o.total FROM users u JOIN orders o ON o.user_id = u.id"
        " WHERE u.region = 'x' ORDER BY 1 LIMIT 10"
    )
    assert cpu_s(lambda: [lineage(text, "postgres", MASKED) for _ in range(100)]) < 0.2


def test_a_statement_as_large_as_is_read_is_followed_in_bounded_time() -> None:
    tables = ", ".join(f"t{n} AS (SELECT a FROM t{n - 1} UNION SELECT a FROM t{n // 2})" for n in range(1, 120))
    text = f"WITH RECURSIVE t0 AS (SELECT ssn AS a FROM users), {tables} SELECT a FROM t119"
    assert said(text) in {"a<ssn", "everything"}
    assert cpu_s(lambda: lineage(text, "postgres", MASKED)) < 1.0
