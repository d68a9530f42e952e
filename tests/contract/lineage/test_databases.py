"""Whatever a real database answers differently when only the masked columns differ, lineage says to mask.

The names of the columns are those that the database shows. Keys of JSON are masked by their own name.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings

from countersign.statements.lineage import lineage
from tests.contract.lineage.conftest import Database
from tests.contract.lineage.statements import Query, queries

MASKED = frozenset({"ssn", "card"})
FOR_POSTGRES = [
    "SELECT u FROM users u",
    "SELECT u::text AS x FROM users u",
    "SELECT array_agg(u) FROM users u",
    "SELECT to_jsonb(u) FROM users u",
    "SELECT to_jsonb(u) ->> 'ssn' FROM users u",
    "SELECT to_jsonb(u) - 'ssn' FROM users u",
    "SELECT json_agg(row_to_json(u)) FROM users u",
    "SELECT json_agg(t) FROM (SELECT id, ssn AS x FROM users) t",
    "SELECT (u).ssn FROM users u",
    "SELECT ssn(u) FROM users u",
    "SELECT key, value FROM users u, jsonb_each_text(u.profile)",
    "SELECT e.v FROM users u, jsonb_each_text(to_jsonb(u)) AS e (k, v)",
    "SELECT profile ->> 'ssn' FROM users",
    "SELECT profile ->> ('s' || 'sn') FROM users",
    "SELECT profile -> 'city', profile FROM users",
    "SELECT jsonb_path_query(profile, '$.*') FROM users",
    "SELECT JSON_QUERY(profile, '$.*' WITH WRAPPER), jsonb_path_query_array(profile, '$.keyvalue()') FROM users",
    "SELECT jt.v FROM users, JSON_TABLE(profile, '$' COLUMNS (v text PATH '$.ssn')) jt",
    "SELECT JSON_VALUE(profile, '$.ssn') FROM users",
    "SELECT JSON_OBJECT('k': ssn), JSON_ARRAY(ssn), JSON_ARRAYAGG(ssn) FROM users GROUP BY ssn",
    "SELECT x.v FROM users u, LATERAL (SELECT u.ssn AS v) x",
    "SELECT v FROM users u, unnest(ARRAY[u.ssn, u.name]) AS v",
    "SELECT * FROM users u, regexp_split_to_table(u.ssn, '2')",
    "SELECT string_agg(ssn, ',' ORDER BY id), array_agg(ssn), max(ssn) FROM users",
    "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY ssn), mode() WITHIN GROUP (ORDER BY ssn) FROM users",
    "SELECT ssn, count(*) FROM users GROUP BY ssn",
    "SELECT ssn::bigint + 1, -(ssn::bigint), ssn::bigint::text FROM users",
    "SELECT md5(ssn), sha256(ssn::bytea), encode(ssn::bytea, 'hex'), format('%s', ssn) FROM users",
    "SELECT greatest(ssn, '0'), nullif(ssn, ''), ssn COLLATE \"C\", ARRAY[ssn], ROW(ssn, 1) FROM users",
    "SELECT * FROM users AS t (a, b, c)",
    "SELECT a FROM users AS t (z, y, a)",
    "SELECT j.a FROM (users JOIN orders ON users.id = user_id) AS j (z, y, a)",
    "SELECT * FROM users JOIN orders USING (id)",
    "SELECT * FROM (SELECT id, ssn AS q FROM users) s NATURAL JOIN orders UNION ALL SELECT 1, '2', 3, 4",
    "TABLE users",
    "SELECT id, name, nick, nick, profile FROM users UNION ALL SELECT * FROM staff",
    "SELECT name AS ok FROM users UNION SELECT ssn FROM staff",
    "SELECT name FROM users EXCEPT SELECT 'x' UNION ALL (SELECT ssn FROM staff ORDER BY 1 LIMIT 1)",
    "VALUES ((SELECT ssn FROM users LIMIT 1), 2)",
    "WITH RECURSIVE t(a, n) AS (SELECT ssn, 1 FROM users UNION ALL SELECT a, n + 1 FROM t WHERE n < 3) SELECT a FROM t",
    "WITH RECURSIVE t (a, b) AS (SELECT '', ssn FROM users UNION SELECT b, a FROM t) SELECT a FROM t",
    "WITH RECURSIVE s AS (SELECT ssn FROM users), t (p) AS (TABLE s UNION TABLE t) CYCLE p SET f USING o TABLE t",
    "UPDATE users SET nick = ssn RETURNING nick, id",
    "UPDATE users SET nick = s.ssn FROM staff s RETURNING old.nick, new.nick AS n",
    "INSERT INTO orders (id) SELECT ssn::bigint % 100000 FROM users RETURNING id AS i, *",
    "INSERT INTO users SELECT id, ssn FROM staff RETURNING *",
    "DELETE FROM users RETURNING ssn || '', name",
    "WITH d AS (DELETE FROM users RETURNING ssn AS a) SELECT upper(a) AS b, count(*) OVER () FROM d",
    "MERGE INTO users t USING staff s ON t.id = s.id WHEN MATCHED THEN UPDATE SET nick = s.ssn RETURNING t.nick AS n",
    "SELECT count(*) FILTER (WHERE ssn IS NULL), first_value(ssn) OVER w FROM users GROUP BY ssn WINDOW w AS ()",
    "SELECT EXISTS (SELECT ssn FROM users), (SELECT array_agg(ssn) FROM users), ARRAY(SELECT ssn FROM users)",
    "SELECT CASE WHEN id = 1 THEN ssn ELSE name END, CASE id WHEN 1 THEN ssn END FROM users",
    'SELECT U&"\\0073sn" AS x, "ssn" AS "SSN y" FROM users',
]
FOR_SQLITE = [
    "SELECT upper( ssn ) , id FROM users",
    "SELECT ssn || '' , group_concat(ssn), max(ssn), json_object('a', ssn) FROM users",
    "SELECT value, key, atom FROM users, json_each(users.profile)",
    "SELECT profile ->> 'ssn', json_extract(profile, '$.ssn') AS e, profile ->> ('s' || 'sn') AS k FROM users",
    "SELECT * FROM users",
    "SELECT u.*, u.ssn AS q FROM users u JOIN orders o ON o.user_id = u.id",
    "SELECT name FROM users UNION SELECT ssn FROM staff",
    "SELECT id, name, nick, nick, profile FROM users UNION ALL SELECT * FROM staff",
    "WITH RECURSIVE t(a, n) AS (SELECT ssn, 1 FROM users UNION ALL SELECT a, n + 1 FROM t WHERE n < 3) SELECT a FROM t",
    "VALUES (1, (SELECT ssn FROM users))",
    "INSERT INTO orders (id) SELECT ssn FROM users RETURNING id AS i",
    "UPDATE users SET nick = ssn RETURNING nick",
    "DELETE FROM users RETURNING ssn || 'x' AS y",
    "SELECT (SELECT ssn FROM users LIMIT 1), EXISTS (SELECT ssn FROM users), typeof(ssn), length(ssn) FROM users",
    'SELECT "ssn", [ssn], `ssn`, users.ssn, (ssn), +ssn, CAST(ssn AS int) FROM users',
    "SELECT iif(id = 1, ssn, name), CASE WHEN id = 1 THEN ssn END, printf('%s', ssn), hex(ssn) FROM users",
    "SELECT lag(ssn) OVER (ORDER BY id) l, row_number() OVER (ORDER BY ssn) n FROM users",
]


def unmasked(text: str, dialect: str, pair: tuple[Database, Database]) -> list[str]:
    """Name the columns in which the two databases differ and that lineage leaves as they are."""
    found = lineage(text, dialect, MASKED)
    if found.everything:
        return []
    known = {column.name for column in found.columns} | MASKED
    one, other = (database.ask(text) for database in pair)
    assert one.names == other.names
    return [
        name
        for place, name in enumerate(one.names)
        if name.casefold() not in known
        and [_by_key(row[place]) for row in one.rows] != [_by_key(row[place]) for row in other.rows]
    ]


def _by_key(value: object) -> object:
    """Return a value as it is once keys of JSON were masked."""
    if isinstance(value, dict):
        return {key: None if key.casefold() in MASKED else _by_key(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_by_key(each) for each in value]
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return _by_key(json.loads(value))
        except ValueError:
            return value
    return value


@pytest.mark.parametrize("text", FOR_POSTGRES, ids=lambda text: text[:60])
def test_postgresql_shows_no_masked_value_under_a_name_that_is_not_told(
    text: str, postgres_pair: tuple[Database, Database]
) -> None:
    assert unmasked(text, "postgres", postgres_pair) == []


@pytest.mark.parametrize("text", FOR_SQLITE, ids=lambda text: text[:60])
def test_sqlite_shows_no_masked_value_under_a_name_that_is_not_told(
    text: str, sqlite_pair: tuple[Database, Database]
) -> None:
    assert unmasked(text, "sqlite", sqlite_pair) == []


_MADE_UP = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@_MADE_UP
@given(query=queries())
def test_nothing_made_up_hides_a_masked_value_from_postgresql(
    query: Query, postgres_pair: tuple[Database, Database]
) -> None:
    assert unmasked(query.text, "postgres", postgres_pair) == []


@_MADE_UP
@given(query=queries())
def test_nothing_made_up_hides_a_masked_value_from_sqlite(query: Query, sqlite_pair: tuple[Database, Database]) -> None:
    assert unmasked(query.text, "sqlite", sqlite_pair) == []


def test_the_comparison_would_see_a_value_that_is_not_masked(postgres_pair: tuple[Database, Database]) -> None:
    one, other = (database.ask("SELECT ssn AS x FROM users") for database in postgres_pair)
    assert one.rows != other.rows
