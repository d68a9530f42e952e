"""A column that is made up in a query names no rows: it can be the same for all of them."""

from __future__ import annotations

from tests.unit.statements.postgres.saying import classes, table


@table(
    ("bulk_read", "SELECT * FROM (SELECT 1 AS one, * FROM accounts) x WHERE one = 1"),
    ("bulk_read", "SELECT * FROM (SELECT *, 1 AS one FROM accounts) x WHERE x.one IN (1, 2)"),
    ("bulk_read", "SELECT * FROM (SELECT 1::int, * FROM accounts) x WHERE int4 = 1"),
    ("bulk_read", 'SELECT * FROM (SELECT CASE WHEN true THEN 1 END, * FROM accounts) x WHERE "case" = 1'),
    ("bulk_read", "WITH x AS (SELECT 1 AS one, a.* FROM accounts a) SELECT * FROM x WHERE one = 1"),
    ("bulk_read", "WITH x(one, a) AS (SELECT 1, no FROM accounts) SELECT * FROM x WHERE one = 1"),
    ("bulk_read", "WITH x AS (SELECT 1 one, * FROM accounts), y AS (SELECT one two, * FROM x) TABLE y"),
    ("bulk_read", "WITH x AS (SELECT 1 a, * FROM cards), y AS (SELECT a b, no FROM x) SELECT * FROM y WHERE b = 1"),
    ("bulk_read", "SELECT * FROM (SELECT * FROM (SELECT 1 one, * FROM accounts) x) y WHERE one = 1"),
    ("bulk_read", "SELECT * FROM (SELECT x.one AS two, no FROM (SELECT 1 one, * FROM cards) x) y WHERE two = 1"),
    ("bulk_read", "SELECT * FROM (SELECT no, row_number() OVER (PARTITION BY no) r FROM cards) x WHERE r = 1"),
    ("bulk_read", "SELECT * FROM (SELECT owner, count(*) FROM accounts GROUP BY 1) x WHERE count = 1"),
    ("bulk_read", "SELECT * FROM (SELECT no FROM cards UNION ALL SELECT 1 FROM accounts) x WHERE no = 1"),
    ("bulk_read", "SELECT * FROM (SELECT 1 one, * FROM accounts) x JOIN cards c ON c.no = x.one WHERE c.no = 1"),
    ("bulk_read", "SELECT * FROM (SELECT generate_series(1, 3) g, * FROM accounts) x WHERE g = 1"),
    ("mass_write", "DELETE FROM cards USING (SELECT 1 one, * FROM accounts) x WHERE cards.no = x.no AND x.one = 1"),
)
def test_an_equality_with_a_made_up_column_bounds_nothing(text: str, expected: str) -> None:
    assert classes(text) == expected


@table(
    ("read", "SELECT * FROM (SELECT * FROM accounts) x WHERE no = 1"),
    ("read", "SELECT * FROM (SELECT no AS a, owner AS b FROM accounts) x WHERE a = 1"),
    ("read", "SELECT * FROM (SELECT lower(owner) AS o, 1 AS one FROM accounts) x WHERE o = 'a'"),
    ("read", "WITH x AS (SELECT owner, sum(total)::int FROM accounts GROUP BY 1) SELECT * FROM x WHERE owner = 'a'"),
    ("read", "WITH x(a) AS (SELECT no FROM accounts) SELECT * FROM x WHERE a = 3"),
    ("read", "SELECT * FROM (SELECT no FROM accounts UNION ALL SELECT no FROM cards) x WHERE no = 1"),
    ("read", "SELECT * FROM accounts JOIN (VALUES (1), (2)) v(no) ON accounts.no = v.no"),
    ("read", "SELECT * FROM (SELECT *, row_number() OVER (ORDER BY no) r FROM accounts) x WHERE no = 1"),
)
def test_an_equality_with_a_stored_column_bounds_also_from_outside(text: str, expected: str) -> None:
    assert classes(text) == expected


@table(
    ("bulk_read", "SELECT generate_series(1, 2000), owner FROM accounts WHERE no = 1"),
    ("bulk_read", "(SELECT owner FROM accounts WHERE no = 1) UNION ALL SELECT g::text FROM generate_series(1, 2000) g"),
    ("bulk_read", "SELECT * FROM (SELECT 1 WHERE false) x RIGHT JOIN accounts ON true"),
    ("read", "SELECT generate_series(1, 3), owner FROM accounts WHERE no = 1"),
    ("read", "SELECT owner, count(*) FROM accounts WHERE no = 1 GROUP BY ROLLUP (owner)"),
)
def test_rows_are_counted_as_the_server_gives_them(text: str, expected: str) -> None:
    assert classes(text) == expected
