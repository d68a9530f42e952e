"""Function calls: an allowlist decides, however the name is written."""

from __future__ import annotations

import pytest

from countersign.statements import classify_sql
from tests.unit.statements.postgres.saying import classes, table


@pytest.mark.parametrize(
    "expression",
    [
        "trim(name), trim(both 'x' from name), ltrim(name), substring(name from 1 for 2), position('a' in name)",
        "overlay(name placing 'x' from 1), normalize(name), name COLLATE \"C\", starts_with(name, 'a')",
        "extract(epoch from at), at AT TIME ZONE 'UTC', date_trunc('day', at), age(at), (at, at) OVERLAPS (at, at)",
        "jsonb_extract_path_text(doc, 'a'), doc -> 'a' ->> 'b', doc @> '{}', jsonb_set(doc, '{a}', '1'), doc ? 'a'",
        "JSON_VALUE(doc, '$.a'), JSON_QUERY(doc, '$'), JSON_EXISTS(doc, '$'), doc IS JSON, JSON_SERIALIZE('{}')",
        "array_append(tags, 'x'), tags || 'x', tags && tags, tags[1:2], cardinality(tags), array_to_string(tags, ',')",
        "xmlconcat(x, x), xmlparse(content '<a/>'), xpath('/a', x), xmlserialize(content x as text), x IS DOCUMENT",
        "GREATEST(1, 2), LEAST(1, 2), COALESCE(name, ''), NULLIF(name, ''), num_nulls(name), width_bucket(1, 2, 3, 4)",
        "lag(name) OVER w, ntile(4) OVER w, row_number() OVER (PARTITION BY at ORDER BY name), rank() OVER w",
        "to_tsvector('english', name) @@ plainto_tsquery('x'), ts_headline(name, to_tsquery('x')), embedding <=> '[1]'",
        "encode(sha256(name::bytea), 'hex'), md5(name), hashtext(name), digest(name, 'sha256'), gen_random_uuid()",
        "CURRENT_TIMESTAMP, LOCALTIME, SESSION_USER, current_database(), inet_client_addr(), random(), now()",
        "pg_size_pretty(pg_total_relation_size('accounts')), obj_description('accounts'::regclass), currval('s')",
        "(owner).city, (ROW(1, 2)).f1, 'open'::order_status, name::varchar(10), CAST(name AS bank.short_name)",
        "has_table_privilege('accounts', 'SELECT'), pg_get_viewdef('v'::regclass), format_type(23, NULL)",
        "st_distance(place, st_setsrid(st_makepoint(1, 2), 4326)), similarity(name, 'x'), unaccent(name)",
    ],
)
def test_what_only_computes_is_not_blocked(expression: str) -> None:
    text = f"SELECT {expression} FROM accounts WHERE account_no = 4 WINDOW w AS (ORDER BY at)"
    assert classes(text) == "read"


@table(
    ("code_execution", "SELECT close_month()"),
    ("code_execution", "SELECT bank.close_month(5)"),
    ("code_execution", "SELECT public.upper('x')"),
    ("code_execution", "SELECT * FROM close_month() LIMIT 1"),
    ("code_execution read", "SELECT name FROM accounts WHERE account_no = 1 ORDER BY close_month(name)"),
    ("code_execution read", "SELECT name FROM accounts WHERE account_no = 1 AND close_month(name)"),
    ("code_execution read", "SELECT total(DISTINCT balance) FROM accounts"),
    ("code_execution", "SELECT 1 OPERATOR(bank.+) 2"),
    ("code_execution", "SELECT 1 +*+ 2"),
    ("code_execution", "SELECT 1 OPERATOR(bank.=) ANY (SELECT 1)"),
    ("code_execution", "SELECT ('x'::text).close_month"),
    ("code_execution bulk_read", "SELECT * FROM accounts TABLESAMPLE own_method(1)"),
    ("code_execution write", "INSERT INTO accounts VALUES (close_month())"),
    ("code_execution mass_write", "DELETE FROM accounts WHERE close_month()"),
    ("code_execution ddl", "CREATE TABLE t (n int DEFAULT close_month())"),
    ("code_execution ddl", "CREATE INDEX ON accounts (close_month(name))"),
    ("code_execution ddl", "CREATE VIEW v AS SELECT close_month()"),
    ("code_execution", "EXPLAIN SELECT close_month()"),
)
def test_a_function_or_operator_that_is_not_known_may_do_anything(text: str, expected: str) -> None:
    assert classes(text) == expected


@table(
    ("session_control", "SELECT pg_sleep_for('1 hour')"),
    ("session_control", "SELECT PG_CATALOG.PG_SLEEP(9)"),
    ("session_control", 'SELECT "pg_sleep"(9)'),
    ("session_control", r"""SELECT U&"pg\005fsleep"(9)"""),
    ("session_control", "SELECT pg_sleep/**/\n(9)"),
    ("read session_control", "SELECT name FROM accounts WHERE account_no = 1 AND pg_sleep(9) IS NULL"),
    ("session_control", "SELECT CASE WHEN true THEN pg_sleep(9) END"),
    ("session_control", "WITH w AS (SELECT pg_sleep(9)) SELECT * FROM w"),
    ("session_control", "VALUES (pg_sleep(9))"),
    ("session_control", "SELECT pg_terminate_backend(7)"),
    ("session_control", "SELECT pg_advisory_xact_lock(1)"),
    ("session_control", "SELECT pg_reload_conf()"),
    ("session_control", "SELECT repeat('x', 900000000)"),
    ("session_control", "SELECT count(*) FROM generate_series(1, 900000000)"),
    ("session_control", "WITH RECURSIVE n AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT count(*) FROM n"),
    ("file_access", "SELECT pg_read_binary_file('/etc/shadow')"),
    ("file_access", "SELECT ('/etc/shadow'::text).pg_read_file"),
    ("file_access", "SELECT f.pg_read_file FROM unnest(ARRAY['/etc/shadow']) AS f"),
    ("file_access", "SELECT * FROM pg_ls_waldir()"),
    ("export file_access", "SELECT lo_export(1, '/tmp/x')"),
    ("write", "SELECT nextval('accounts_seq')"),
    ("write", "SELECT lo_put(1, 0, 'x')"),
    ("export", "SELECT pg_notify('c', 'x')"),
    ("export read", "SELECT pg_notify('c', name) FROM accounts WHERE account_no = 1"),
    ("export session_control", "SELECT * FROM pg_logical_slot_get_changes('s', NULL, NULL)"),
    ("export", "SELECT http_get('http://example.com/')"),
    ("privilege", "SELECT * FROM pg_stat_get_activity(NULL)"),
    ("bulk_read", "SELECT table_to_xml('accounts', true, false, '')"),
    ("bulk_read privilege", "SELECT table_to_xml('pg_catalog.pg_authid', true, false, '')"),
    ("bulk_read code_execution", "SELECT table_to_xml('1260', true, false, '')"),
    ("bulk_read code_execution", "SELECT table_to_xml(1260, true, false, '')"),
    ("bulk_read code_execution", "SELECT table_to_xml($1, true, false, '')"),
    ("bulk_read code_execution", "SELECT schema_to_xml('bank', true, false, '')"),
    ("session_control", "SELECT set_config('work_mem', '1GB', false)"),
    ("privilege session_control", "SELECT set_config('role', 'admin', false)"),
    ("privilege session_control", "SELECT set_config('ROLE', 'admin', false)"),
    ("privilege session_control", "SELECT set_config($1, 'x', false)"),
    ("code_execution session_control", "SELECT set_config('local_preload_libraries', 'x', false)"),
    ("session_control write", "SELECT nextval('s'), pg_sleep(1)"),
)
def test_a_function_known_to_do_more_has_its_class(text: str, expected: str) -> None:
    assert classes(text) == expected


@table(
    ("bulk_read code_execution mass_write", "SELECT query_to_xml('DELETE FROM accounts', true, true, '')"),
    ("bulk_read code_execution destructive_ddl", "SELECT * FROM ts_stat('DROP TABLE accounts')"),
    ("bulk_read code_execution", "SELECT query_to_xml($1, true, true, '')"),
    ("code_execution export mass_write", "SELECT * FROM dblink('host=h', 'DELETE FROM accounts') AS t(n int)"),
    ("code_execution export", "SELECT public.dblink_connect('host=h')"),
    (
        "bulk_read code_execution mass_write",
        "SELECT query_to_xml('SELECT query_to_xml(''DELETE FROM accounts'', true, true, '''')', true, true, '')",
    ),
)
def test_a_literal_that_is_run_as_sql_counts_with_its_classes(text: str, expected: str) -> None:
    assert classes(text) == expected


@pytest.mark.parametrize(
    "relation",
    [
        "pg_authid",
        "pg_catalog.pg_shadow",
        "pg_user_mappings",
        "pg_stat_activity",
        "pg_stat_statements",
        "monitoring.pg_stat_statements",
        "pg_subscription",
        "pg_hba_file_rules",
        "pg_toast.pg_toast_2619",
        "information_schema.user_mapping_options",
        "vault.decrypted_secrets",
    ],
)
def test_reading_secrets_or_what_others_run_is_a_matter_of_privilege(relation: str) -> None:
    assert classes(f"SELECT * FROM {relation} LIMIT 1") == "privilege read"
    assert classes(f"TABLE {relation}") == "bulk_read privilege"
    assert classes(f"WITH x AS (SELECT 1) SELECT (SELECT 1 FROM {relation} LIMIT 1) FROM x") == "privilege read"
    assert "privilege" in classes(f"CREATE VIEW mine AS SELECT * FROM {relation}").split()
    assert "privilege" in classes(f"COPY {relation} TO STDOUT").split()


def test_a_table_expression_of_a_catalog_name_does_not_hide_the_catalog() -> None:
    assert classes("WITH pg_authid AS (SELECT * FROM pg_authid) SELECT * FROM pg_authid LIMIT 1") == "privilege read"
    assert classes("WITH a AS (SELECT 1) SELECT * FROM a, pg_catalog.pg_authid LIMIT 1") == "privilege read"


def test_harmless_catalogs_are_only_read() -> None:
    assert classes("SELECT tablename FROM pg_tables WHERE schemaname = 'bank'") == "read"
    assert classes("SELECT * FROM information_schema.columns WHERE table_name = 'accounts'") == "read"


@pytest.mark.parametrize(
    "text",
    [
        "SELECT leak('s3cr3t-value')",
        "SELECT set_config('x.y', 's3cr3t-value', false)",
        "DELETE FROM accounts WHERE name = 's3cr3t-value'",
        "SELECT 's3cr3t-value' FROM FROM",
        "ALTER ROLE x PASSWORD 's3cr3t-value'",
        "COPY t TO PROGRAM 's3cr3t-value'",
        "DO 's3cr3t-value'",
        "SELECT query_to_xml('s3cr3t-value', true, true, '')",
    ],
)
def test_a_reason_never_quotes_a_literal(text: str) -> None:
    verdict = classify_sql(text, "postgres")
    assert verdict.reason
    assert "s3cr3t-value" not in repr(verdict)
