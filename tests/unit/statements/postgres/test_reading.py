"""What bounds the rows that leave, and what only looks as if it did."""

from __future__ import annotations

import pytest

from countersign.statements import classify_sql
from tests.unit.statements.postgres.saying import classes, table


@table(
    ("read", "SELECT name FROM accounts WHERE account_no = 'A-17'"),
    ("read", "SELECT name FROM accounts WHERE account_no = $1"),
    ("read", "SELECT name FROM accounts WHERE 17 = account_no"),
    ("read", "SELECT name FROM accounts WHERE account_no IN (1, 2, 3)"),
    ("read", "SELECT name FROM accounts WHERE account_no = ANY($1)"),
    ("read", "SELECT name FROM accounts WHERE account_no = ANY('{1,2}'::int[])"),
    ("read", "SELECT name FROM accounts WHERE account_no IS NOT DISTINCT FROM 5"),
    ("read", "SELECT name FROM accounts WHERE account_no BETWEEN 10 AND 20"),
    ("read", "SELECT name FROM accounts WHERE (branch, account_no) = (4, 17)"),
    ("read", "SELECT name FROM accounts WHERE (branch, account_no) IN ((4, 17), (4, 18))"),
    ("read", "SELECT name FROM accounts WHERE lower(mail) = 'x@example.com'"),
    ("read", "SELECT name FROM accounts WHERE mail ILIKE 'x@example.com'"),
    ("read", "SELECT name FROM accounts WHERE profile ->> 'key' = 'v'"),
    ("read", "SELECT name FROM accounts WHERE account_no = 1 OR account_no = 2"),
    ("read", "SELECT name FROM accounts WHERE account_no = 1 AND balance > 0"),
    ("read", "SELECT name FROM accounts WHERE account_no = (SELECT max(account_no) FROM accounts)"),
    ("read", "SELECT name FROM accounts WHERE account_no IN (SELECT account_no FROM cards LIMIT 4)"),
    ("read", "SELECT name FROM accounts WHERE CURRENT_DATE = '2026-01-01' AND account_no = 9"),
    ("read", "SELECT * FROM accounts LIMIT 30"),
    ("read", "SELECT * FROM accounts LIMIT '30'"),
    ("read", "SELECT * FROM accounts LIMIT 30::bigint OFFSET 90"),
    ("read", "(SELECT * FROM accounts) LIMIT 30"),
    ("read", "SELECT * FROM accounts WHERE false"),
    ("read", "SELECT count(*), max(balance) FROM accounts"),
    ("read", "SELECT avg(balance) FILTER (WHERE balance > 0) FROM accounts"),
    ("read", "SELECT (SELECT count(*) FROM accounts), now()"),
    ("read", "VALUES (1), (2)"),
    ("read", "SELECT branch, count(*) FROM accounts GROUP BY branch LIMIT 10"),
    ("read", "SELECT array_agg(n) FROM (SELECT account_no AS n FROM accounts LIMIT 5) AS few"),
    ("read", "WITH few AS (SELECT * FROM accounts LIMIT 5) SELECT * FROM few"),
    ("read", "WITH few AS (SELECT * FROM accounts LIMIT 5) SELECT json_agg(few) FROM few"),
    ("read", "SELECT 1 UNION ALL SELECT account_no FROM accounts WHERE mail = 'a'"),
    ("read", "SELECT * FROM generate_series(1, 30)"),
    ("read", "SELECT generate_series(1, 30)"),
    ("read", "SELECT * FROM unnest(ARRAY[1, 2]) AS n"),
    ("read", "SELECT * FROM JSON_TABLE('[1]', '$[*]' COLUMNS (n int PATH '$')) AS t"),
    ("read", "SELECT * FROM XMLTABLE('/a' PASSING '<a/>' COLUMNS n int) AS t"),
    ("read", "SHOW work_mem"),
    ("read", "SELECT current_setting('work_mem'), version(), pg_backend_pid(), 'accounts'::regclass"),
    ("read", "SELECT similarity(name, 'x'), uuid_generate_v4() FROM accounts WHERE account_no = 1"),
)
def test_what_is_bounded_reads(text: str, expected: str) -> None:
    assert classes(text) == expected


@pytest.mark.parametrize(
    "condition",
    [
        "true",
        "NOT false",
        "2 > 1",
        "'x' = 'x'",
        "account_no = account_no",
        "a.account_no = account_no",
        "a = a",
        "a.* IS NOT NULL",
        "account_no + 0 = account_no",
        "account_no - account_no = 0",
        "account_no = 7 OR 1 = 1",
        "account_no = 7 OR mail LIKE '%'",
        "account_no = 7 OR NOT account_no = 7",
        "account_no > 0",
        "account_no >= -1",
        "account_no <> -1",
        "account_no IS NOT NULL",
        "mail IS NULL OR mail IS NOT NULL",
        "mail LIKE '%@%'",
        "mail ILIKE '%'",
        "mail ~ '.*'",
        "mail SIMILAR TO '%'",
        "mail LIKE mail",
        "account_no NOT IN (0)",
        "account_no = ANY(ARRAY[account_no])",
        "account_no IN (account_no)",
        "account_no = ANY(ARRAY(SELECT account_no FROM accounts))",
        "account_no = ANY((SELECT array_agg(account_no) FROM accounts)::int[])",
        "account_no IN (SELECT account_no FROM accounts)",
        "account_no IN (SELECT a.account_no FROM branches LIMIT 1)",
        "account_no = (SELECT account_no)",
        "account_no = (SELECT a.account_no FROM branches LIMIT 1)",
        "account_no = (SELECT a.account_no FROM branches WHERE EXISTS (SELECT 1 FROM accounts AS a) LIMIT 1)",
        "account_no = (SELECT account_no FROM (VALUES (1)) AS v)",
        "account_no = COALESCE(NULL, account_no)",
        "account_no = CASE WHEN true THEN account_no END",
        "account_no BETWEEN 0 AND 2000000000",
        "account_no BETWEEN account_no AND account_no",
        "mail BETWEEN '' AND 'zzzz'",
        "EXISTS (SELECT 1)",
        "account_no::bool = true",
        "(account_no IS NOT NULL) = true",
        "length(mail) * 0 = 0",
        "random() < 2",
        "account_no = 7 IS NOT NULL",
        "(account_no = 7) IN (true, false)",
        "account_no OPERATOR(pg_catalog.>=) 0",
    ],
)
def test_a_condition_that_may_hold_for_every_row_is_no_bound(condition: str) -> None:
    assert "bulk_read" in classes(f"SELECT * FROM accounts AS a WHERE {condition}")
    assert "mass_write" in classes(f"DELETE FROM accounts AS a WHERE {condition}")
    assert "mass_write" in classes(f"UPDATE accounts AS a SET balance = 0 WHERE {condition}")


@table(
    ("bulk_read", "SELECT name FROM accounts"),
    ("bulk_read", "TABLE accounts"),
    ("bulk_read", "SELECT * FROM ONLY accounts"),
    ("bulk_read", "SELECT * FROM accounts TABLESAMPLE bernoulli(50)"),
    ("bulk_read", "SELECT * FROM accounts LIMIT 1000000"),
    ("bulk_read", "SELECT * FROM accounts LIMIT $1"),
    ("bulk_read", "SELECT * FROM accounts LIMIT 2 + 3"),
    ("bulk_read", "SELECT * FROM accounts LIMIT NULL::int"),
    ("bulk_read", "SELECT * FROM accounts LIMIT (SELECT count(*) FROM accounts)"),
    ("bulk_read", "SELECT * FROM accounts ORDER BY true FETCH FIRST 1 ROW WITH TIES"),
    ("bulk_read", "SELECT * FROM accounts OFFSET 5"),
    ("bulk_read", "SELECT DISTINCT mail FROM accounts"),
    ("bulk_read", "SELECT branch, count(*) FROM accounts GROUP BY branch"),
    ("bulk_read", "SELECT count(*) OVER () FROM accounts"),
    ("bulk_read", "SELECT name FROM accounts WHERE account_no = 1 UNION SELECT name FROM accounts"),
    ("bulk_read", "SELECT * FROM (SELECT * FROM accounts) AS a"),
    ("bulk_read", "WITH a AS (SELECT * FROM accounts) SELECT * FROM a"),
    ("bulk_read", "SELECT jsonb_agg(a) FROM accounts AS a"),
    ("bulk_read", "SELECT xmlagg(xmlelement(name n, mail)) FROM accounts LIMIT 1"),
    ("bulk_read", "SELECT JSON_ARRAYAGG(mail) FROM accounts"),
    ("bulk_read", "SELECT JSON_OBJECTAGG(account_no: mail) FROM accounts"),
    ("bulk_read", "SELECT pg_catalog.string_agg(mail, ',') FROM accounts LIMIT 1"),
    ("bulk_read", "SELECT string_agg(mail, ',') OVER () FROM accounts LIMIT 1"),
    ("bulk_read", "SELECT ARRAY(SELECT mail FROM accounts)"),
    ("bulk_read", "SELECT (SELECT string_agg(mail, ',') FROM accounts)"),
    ("bulk_read", "SELECT 1 ORDER BY (SELECT string_agg(mail, ',') FROM accounts)"),
    ("bulk_read", "SELECT * FROM unnest((SELECT array_agg(mail) FROM accounts)) AS m LIMIT 9"),
    ("bulk_read", "SELECT branch, string_agg(mail, ',') FROM accounts GROUP BY branch LIMIT 3"),
    ("bulk_read", "SELECT * FROM generate_series(1, 100000)"),
    ("bulk_read", "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT * FROM n"),
)
def test_what_has_no_bound_is_a_bulk_read(text: str, expected: str) -> None:
    assert classes(text) == expected


@table(
    ("read", "SELECT * FROM accounts a JOIN cards c ON c.account_no = a.account_no WHERE a.account_no = 4"),
    ("read", "SELECT * FROM accounts a, cards c WHERE c.account_no = a.account_no AND c.card_no = 4"),
    ("read", "SELECT * FROM accounts a LEFT JOIN cards c ON c.account_no = a.account_no WHERE a.account_no = 4"),
    ("read", "SELECT * FROM accounts JOIN cards USING (account_no) WHERE account_no = 4"),
    ("read", "SELECT * FROM (VALUES (1), (2)) AS v(n) JOIN accounts a ON a.account_no = v.n"),
    ("read", "SELECT * FROM accounts a, LATERAL (SELECT * FROM cards c WHERE c.account_no = a.account_no) x LIMIT 5"),
    ("bulk_read", "SELECT * FROM accounts a JOIN cards c ON c.account_no = a.account_no"),
    ("bulk_read", "SELECT * FROM accounts a, cards c WHERE a.account_no = 4"),
    ("bulk_read", "SELECT * FROM accounts a JOIN cards c ON true WHERE a.account_no = 4"),
    ("bulk_read", "SELECT * FROM accounts a LEFT JOIN cards c ON a.account_no = 4"),
    ("bulk_read", "SELECT * FROM accounts a LEFT JOIN (VALUES (1)) AS v(n) ON a.account_no = v.n"),
    ("bulk_read", "SELECT * FROM accounts a FULL JOIN cards c ON c.account_no = a.account_no AND a.account_no = 4"),
    ("bulk_read", "SELECT * FROM accounts a, cards c WHERE mail = 'x'"),
)
def test_a_join_is_bounded_when_each_of_its_relations_is(text: str, expected: str) -> None:
    assert classes(text) == expected


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("SELECT * FROM accounts LIMIT 7", 7),
        ("SELECT * FROM accounts LIMIT 0", 0),
        ("SELECT * FROM accounts LIMIT 5000", 5000),
        ("SELECT count(*) FROM accounts", 1),
        ("VALUES (1), (2), (3)", 3),
        ("SELECT 1 UNION ALL (SELECT n FROM accounts LIMIT 4)", 5),
        ("SELECT * FROM (SELECT * FROM accounts LIMIT 4) a CROSS JOIN (VALUES (1), (2)) b", 8),
        ("SELECT * FROM accounts LIMIT 2; SELECT * FROM cards LIMIT 3", 5),
        ("SELECT * FROM accounts LIMIT 2; SELECT * FROM cards", None),
        ("SELECT * FROM accounts WHERE account_no = 1", None),
        ("SELECT string_agg(mail, ',') FROM accounts LIMIT 1", None),
        ("DELETE FROM accounts", None),
    ],
)
def test_the_row_bound_is_the_number_that_the_statement_tells(text: str, bound: int | None) -> None:
    assert classify_sql(text, "postgres").row_bound == bound


@pytest.mark.parametrize(
    ("text", "reads", "writes"),
    [
        ('SELECT * FROM Bank.Accounts, "Odd Name"', {"bank.accounts", "Odd Name"}, set()),
        ("WITH c AS (SELECT * FROM cards) SELECT * FROM c, accounts", {"cards", "accounts"}, set()),
        ("WITH cards AS (SELECT * FROM cards) SELECT * FROM cards", {"cards"}, set()),
        ("WITH RECURSIVE t AS (SELECT * FROM t) SELECT * FROM t", set(), set()),
        ("WITH c AS (SELECT 1) SELECT * FROM bank.c", {"bank.c"}, set()),
        ("SELECT (SELECT x FROM cards WHERE id IN (SELECT id FROM limits LIMIT 1))", {"cards", "limits"}, set()),
        ("INSERT INTO archive SELECT * FROM accounts", {"accounts"}, {"archive"}),
        ("UPDATE accounts SET a = c.a FROM cards c WHERE c.id = accounts.id", {"cards"}, {"accounts"}),
        ("DELETE FROM accounts RETURNING *", {"accounts"}, {"accounts"}),
        ("MERGE INTO accounts USING cards ON true WHEN MATCHED THEN DELETE", {"cards"}, {"accounts"}),
        ("CREATE VIEW v AS SELECT * FROM cards", {"cards"}, {"v"}),
        ("DROP TABLE bank.accounts, cards", set(), {"bank.accounts", "cards"}),
        ("VACUUM accounts, cards", set(), {"accounts", "cards"}),
        ("TRUNCATE accounts, cards", set(), {"accounts", "cards"}),
        ("GRANT SELECT ON accounts TO someone", set(), {"accounts"}),
        ("COPY accounts (name) FROM STDIN", set(), {"accounts"}),
        ("CREATE TABLE copied AS SELECT * FROM accounts", {"accounts"}, {"copied"}),
        ("ALTER TABLE accounts ADD COLUMN n int", set(), {"accounts"}),
    ],
)
def test_relations_are_named_as_read_or_written(text: str, reads: set[str], writes: set[str]) -> None:
    verdict = classify_sql(text, "postgres")
    assert verdict.reads == reads
    assert verdict.writes == writes
