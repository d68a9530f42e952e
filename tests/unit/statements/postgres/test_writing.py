"""Changes of rows: bounded or not, on the outside or hidden inside."""

from __future__ import annotations

from tests.unit.statements.postgres.saying import classes, table


@table(
    ("write", "INSERT INTO accounts (name) VALUES ('a'), ('b')"),
    ("write", "INSERT INTO accounts DEFAULT VALUES RETURNING account_no"),
    ("write", "INSERT INTO accounts VALUES (1) ON CONFLICT (account_no) DO UPDATE SET name = excluded.name"),
    ("write", "INSERT INTO accounts SELECT 1, 'a'"),
    ("read write", "INSERT INTO archive SELECT * FROM accounts WHERE account_no = 4"),
    ("bulk_read mass_write", "INSERT INTO archive SELECT * FROM accounts"),
    ("bulk_read mass_write", "INSERT INTO archive TABLE accounts"),
    ("mass_write", "INSERT INTO numbers SELECT generate_series(1, 1000000)"),
    ("bulk_read write", "INSERT INTO notes VALUES ((SELECT string_agg(mail, ',') FROM accounts))"),
    ("bulk_read write", "INSERT INTO notes VALUES (1) RETURNING (SELECT json_agg(a) FROM accounts a)"),
)
def test_an_insert_is_as_large_as_its_source(text: str, expected: str) -> None:
    assert classes(text) == expected


@table(
    ("write", "UPDATE accounts SET balance = 0 WHERE account_no = 4"),
    ("write", "UPDATE accounts a SET balance = v.b FROM (VALUES (1, 2)) AS v(n, b) WHERE a.account_no = v.n"),
    ("read write", "UPDATE accounts SET balance = 0 WHERE account_no = 4 RETURNING *"),
    ("mass_write", "UPDATE accounts SET balance = 0"),
    ("mass_write", "UPDATE accounts a SET balance = c.b FROM cards c WHERE c.account_no = a.account_no"),
    ("mass_write", "UPDATE accounts a SET balance = c.b FROM cards c WHERE c.card_no = 4"),
    ("write", "DELETE FROM accounts USING cards c WHERE c.account_no = accounts.account_no AND c.card_no = 4"),
    ("write", "DELETE FROM accounts WHERE CURRENT OF cur"),
    ("write", "DELETE FROM accounts WHERE account_no IN (SELECT account_no FROM accounts WHERE x > 5 LIMIT 10)"),
    ("write", "DELETE FROM accounts WHERE ctid = '(0,1)'"),
    ("mass_write", "DELETE FROM ONLY accounts"),
    ("bulk_read mass_write", "DELETE FROM accounts RETURNING *"),
    ("bulk_read write", "UPDATE notes SET t = (SELECT string_agg(mail, ',') FROM accounts) WHERE id = 1"),
)
def test_an_update_or_delete_is_as_large_as_its_condition_lets_it(text: str, expected: str) -> None:
    assert classes(text) == expected


@table(
    ("write", "MERGE INTO t USING (VALUES (1)) AS s(id) ON t.id = s.id WHEN MATCHED THEN DELETE"),
    ("write", "MERGE INTO t USING (SELECT 1 AS id) s ON t.k = 1 WHEN NOT MATCHED THEN INSERT VALUES (s.id)"),
    ("mass_write", "MERGE INTO t USING (VALUES (1)) AS s(id) ON true WHEN MATCHED THEN DELETE"),
    ("mass_write", "MERGE INTO t USING s ON t.id = s.id WHEN NOT MATCHED THEN INSERT VALUES (1)"),
    (
        "mass_write",
        "MERGE INTO t USING (VALUES (1)) AS s(id) ON t.id = s.id WHEN NOT MATCHED BY SOURCE THEN DELETE",
    ),
)
def test_a_merge_is_as_large_as_its_source_and_what_it_matches(text: str, expected: str) -> None:
    assert classes(text) == expected


@table(
    ("mass_write read", "WITH gone AS (DELETE FROM accounts RETURNING *) SELECT count(*) FROM gone"),
    ("read write", "WITH new AS (INSERT INTO accounts VALUES (1) RETURNING *) SELECT * FROM new"),
    ("bulk_read mass_write", "WITH gone AS (DELETE FROM accounts RETURNING *) SELECT * FROM gone"),
    ("bulk_read mass_write", "WITH gone AS (DELETE FROM accounts RETURNING *) INSERT INTO archive SELECT * FROM gone"),
    ("mass_write", "WITH a AS (WITH b AS (UPDATE accounts SET x = 1) SELECT 1) SELECT * FROM a"),
    ("mass_write", "EXPLAIN (ANALYZE, COSTS off) WITH a AS (DELETE FROM accounts) SELECT 1"),
    ("mass_write session_control", "PREPARE p AS DELETE FROM accounts"),
)
def test_a_change_inside_of_a_query_is_seen(text: str, expected: str) -> None:
    assert classes(text) == expected


@table(
    ("privilege write", "UPDATE pg_authid SET rolsuper = true WHERE rolname = 'me'"),
    ("privilege write", "INSERT INTO pg_catalog.pg_proc VALUES (1)"),
    ("mass_write privilege", "DELETE FROM pg_catalog.pg_rewrite"),
    ("mass_write privilege", "UPDATE pg_settings SET setting = 'off'"),
)
def test_a_change_of_the_catalogs_is_a_matter_of_privilege(text: str, expected: str) -> None:
    assert classes(text) == expected
