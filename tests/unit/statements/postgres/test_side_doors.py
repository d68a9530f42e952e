"""Ways around that look like reading: operators in clauses, settings, options, comments that cost."""

from __future__ import annotations

import pytest

from tests.support.cost import cpu_s
from tests.unit.statements.postgres.saying import classes, table


@table(
    ("code_execution read", "SELECT owner FROM accounts ORDER BY owner USING === LIMIT 1"),
    ("code_execution read", "SELECT owner FROM accounts ORDER BY owner USING OPERATOR(mine.<) LIMIT 1"),
    ("code_execution read", "SELECT string_agg(owner, ',' ORDER BY no USING ===) FROM accounts WHERE no = 1"),
    ("read", "SELECT owner FROM accounts ORDER BY owner USING > LIMIT 1"),
)
def test_an_operator_that_sorts_is_an_operator(text: str, expected: str) -> None:
    assert classes(text) == expected


@table(
    ("bulk_read", "SELECT JSON_ARRAY(SELECT owner FROM accounts)"),
    ("read", "SELECT JSON_ARRAY(SELECT owner FROM accounts LIMIT 3)"),
    ("bulk_read", "SELECT owner FROM accounts WHERE tableoid = 'accounts'::regclass"),
    ("bulk_read", "SELECT owner FROM accounts WHERE xmax = '0'"),
    ("mass_write", "DELETE FROM accounts WHERE accounts.tableoid = 16400"),
    ("bulk_read", "SELECT owner FROM accounts LIMIT -1"),
)
def test_what_holds_for_every_row_bounds_nothing(text: str, expected: str) -> None:
    assert classes(text) == expected


@table(
    ("privilege", "SHOW primary_conninfo"),
    ("privilege", "SHOW app.jwt_secret"),
    ("privilege", "SELECT current_setting('app.settings.api_key')"),
    ("privilege", "SELECT current_setting('app.' || 'x', true)"),
    ("read", "SELECT current_setting('server_version')"),
    ("read", "SHOW search_path"),
    ("privilege read", "SELECT setconfig FROM pg_db_role_setting LIMIT 5"),
    ("privilege read", "SELECT most_common_vals FROM pg_stats WHERE tablename = 'accounts'"),
)
def test_settings_and_statistics_can_hold_secrets(text: str, expected: str) -> None:
    assert classes(text) == expected


@table(
    ("ddl privilege", "ALTER VIEW v SET (security_invoker = false)"),
    ("ddl", "ALTER TABLE accounts SET (fillfactor = 70)"),
    ("code_execution ddl export", "ALTER FOREIGN TABLE f OPTIONS (SET program 'id')"),
    ("ddl export file_access", "ALTER FOREIGN TABLE f OPTIONS (ADD filename 'x')"),
    ("code_execution ddl", "CREATE TYPE r AS RANGE (subtype = int, canonical = f)"),
    ("ddl", "CREATE TYPE r AS RANGE (subtype = int)"),
)
def test_an_option_may_be_the_grave_part_of_a_definition(text: str, expected: str) -> None:
    assert classes(text) == expected


@table(
    ("session_control", "SELECT count(*) FROM generate_series(1, 1e12)"),
    ("session_control", "SELECT rpad('a', 1000000000)"),
    ("read", "SELECT rpad(owner, 20) FROM accounts LIMIT 5"),
)
def test_a_number_may_be_there_to_keep_the_server_busy(text: str, expected: str) -> None:
    assert classes(text) == expected


@table(
    ("privilege read", "SELECT * FROM (WITH pg_authid AS (SELECT 1) TABLE pg_authid) x, pg_authid LIMIT 1"),
    ("privilege read", "(WITH pg_authid AS (SELECT 1) SELECT 'a') UNION (SELECT rolname FROM pg_authid LIMIT 1)"),
    ("privilege read", "WITH a AS (WITH pg_authid AS (SELECT 1) SELECT 1) SELECT * FROM pg_authid LIMIT 1"),
    ("read", "WITH pg_authid AS (SELECT 1) SELECT * FROM pg_authid"),
)
def test_a_name_hides_a_relation_only_where_it_is_in_sight(text: str, expected: str) -> None:
    assert classes(text) == expected


def test_comments_that_open_one_another_take_no_time() -> None:
    text = "/*" * 8_000 + "*/" * 8_000 + "SELECT 1"
    assert classes(text) == "unparsable"
    assert cpu_s(lambda: classes(text)) < 0.2
    assert classes("/* /* */ */ SELECT 1") == "read"


@pytest.mark.parametrize("option", ["#option dump", "#OPTION /* x */ Dump", "/* x */ # -- y\n option dump"])
def test_a_body_cannot_have_the_parser_print_it(option: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert classes(f"DO $$ {option}\nBEGIN RAISE 'x'; END $$") == "code_execution unparsable"
    assert classes(f"CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ {option}\nBEGIN RETURN 1; END $$")
    assert capfd.readouterr() == ("", "")
