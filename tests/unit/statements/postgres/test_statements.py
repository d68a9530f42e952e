"""Every other kind of statement: what it is classed as."""

from __future__ import annotations

import importlib

from countersign.statements.postgres.judge import JUDGED
from tests.unit.statements.postgres.saying import classes, table


def test_every_kind_of_statement_of_the_grammar_is_known() -> None:
    # Not by an import statement: its stubs do not parse.
    messages = importlib.import_module("postgast.pg_query_pb2")
    kinds = {field.message_type.name for field in messages.Node.DESCRIPTOR.fields}
    # Parts of other statements, and what only the server makes of them.
    parts = {"PLAssignStmt", "RawStmt", "ReplicaIdentityStmt", "ReturnStmt", "SetOperationStmt"}
    assert {kind for kind in kinds if kind.endswith("Stmt")} - parts == JUDGED


@table(
    ("read", "EXPLAIN SELECT * FROM accounts"),
    ("read", "EXPLAIN (VERBOSE, FORMAT json) UPDATE accounts SET x = 1"),
    ("read", "EXPLAIN (ANALYZE 0) UPDATE accounts SET x = 1"),
    ("read", "EXPLAIN (ANALYZE 'off') INSERT INTO accounts VALUES (1)"),
    ("read", "EXPLAIN CREATE TABLE t AS SELECT 1"),
    ("read", "EXPLAIN ANALYZE SELECT * FROM accounts"),
    ("mass_write", "EXPLAIN ANALYZE VERBOSE UPDATE accounts SET x = 1"),
    ("mass_write", "EXPLAIN (ANALYZE) UPDATE accounts SET x = 1"),
    ("mass_write", "EXPLAIN (ANALYZE off, ANALYZE on) UPDATE accounts SET x = 1"),
    ("mass_write", "EXPLAIN (ANALYZE 1, BUFFERS) UPDATE accounts SET x = 1"),
    ("mass_write", 'EXPLAIN ("analyze") UPDATE accounts SET x = 1'),
    ("ddl write", "EXPLAIN ANALYZE CREATE TABLE t AS SELECT 1"),
    ("code_execution", "EXPLAIN ANALYZE EXECUTE p"),
    ("session_control", "EXPLAIN ANALYZE SELECT pg_sleep(1)"),
    ("unparsable", "EXPLAIN (SOMETHING on) SELECT 1"),
)
def test_explain_runs_only_with_analyze(text: str, expected: str) -> None:
    assert classes(text) == expected


@table(
    ("bulk_read export", "COPY accounts TO STDOUT"),
    ("bulk_read export file_access", "COPY accounts (name) TO '/tmp/a' WITH (FORMAT csv)"),
    ("bulk_read code_execution export", "COPY accounts TO PROGRAM 'nc h 1'"),
    ("export file_access read", "COPY (SELECT * FROM accounts LIMIT 5) TO '/tmp/a'"),
    ("bulk_read export mass_write", "COPY (DELETE FROM accounts RETURNING *) TO STDOUT"),
    ("mass_write", "COPY accounts FROM STDIN"),
    ("file_access mass_write", "COPY accounts FROM '/etc/passwd'"),
    ("code_execution mass_write", "COPY accounts FROM PROGRAM 'id'"),
)
def test_copy_carries_rows_out_and_in(text: str, expected: str) -> None:
    assert classes(text) == expected


@table(
    ("bulk_read ddl mass_write", "CREATE TABLE t AS SELECT * FROM accounts"),
    ("bulk_read ddl mass_write", "CREATE TABLE t AS TABLE accounts"),
    ("bulk_read ddl mass_write", "CREATE MATERIALIZED VIEW t AS SELECT * FROM accounts"),
    ("ddl read write", "CREATE TEMP TABLE t AS SELECT * FROM accounts LIMIT 5"),
    ("ddl read write", "SELECT * INTO TEMP t FROM accounts LIMIT 5"),
    ("ddl write", "CREATE TABLE t AS VALUES (1)"),
    ("ddl", "CREATE TABLE t AS SELECT * FROM accounts WITH NO DATA"),
    ("code_execution ddl mass_write", "CREATE TABLE t AS EXECUTE p"),
    ("mass_write", "REFRESH MATERIALIZED VIEW t"),
)
def test_a_table_made_of_a_query_is_a_copy(text: str, expected: str) -> None:
    assert classes(text) == expected


@table(
    ("bulk_read session_control", "PREPARE p AS SELECT * FROM accounts"),
    ("bulk_read session_control", "DECLARE c CURSOR WITH HOLD FOR SELECT * FROM accounts"),
    ("read", "FETCH c"),
    ("read", "FETCH PRIOR FROM c"),
    ("read", "FETCH ABSOLUTE 5000 FROM c"),
    ("read", "FETCH BACKWARD 10 FROM c"),
    ("bulk_read", "FETCH ALL c"),
    ("bulk_read", "FETCH 100000 FROM c"),
    ("session_control", "MOVE FORWARD ALL IN c"),
    ("session_control", "CLOSE ALL"),
    ("session_control", "DEALLOCATE p"),
    ("code_execution", "EXECUTE p(1)"),
    ("code_execution", "CALL close_month()"),
    ("code_execution file_access", "LOAD 'auto_explain'"),
)
def test_cursors_and_prepared_statements(text: str, expected: str) -> None:
    assert classes(text) == expected


@table(
    ("code_execution", "DO $$ BEGIN RAISE NOTICE 'x'; END $$"),
    ("code_execution mass_write", "DO $$ BEGIN DELETE FROM accounts; END $$"),
    (
        "code_execution mass_write",
        "DO LANGUAGE plpgsql $$ BEGIN IF true THEN UPDATE accounts SET x = 1; END IF; END $$",
    ),
    ("code_execution destructive_ddl", "DO $$ BEGIN EXECUTE 'DROP TABLE accounts'; END $$"),
    ("code_execution", "DO $$ BEGIN EXECUTE 'DROP ' || 'TABLE accounts'; END $$"),
    ("code_execution session_control", "DO $$ DECLARE n int := 1; BEGIN n := n + 1; PERFORM pg_sleep(n); END $$"),
    ("bulk_read code_execution", "DO $$ DECLARE r record; BEGIN FOR r IN SELECT * FROM accounts LOOP END LOOP; END $$"),
    ("code_execution", "DO LANGUAGE plpython3u 'import os'"),
    ("code_execution unparsable", "DO 'not a block'"),
)
def test_a_block_has_the_classes_of_what_it_runs(text: str, expected: str) -> None:
    assert classes(text) == expected


@table(
    ("code_execution ddl", "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'"),
    ("code_execution ddl", "CREATE FUNCTION f() RETURNS int RETURN 1"),
    # The parser's own reader of PL/pgSQL ends the process on this one: it must not get it.
    ("code_execution ddl", "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql RETURN 1"),
    ("code_execution ddl", "CREATE FUNCTION f(a own.type%TYPE) RETURNS trigger LANGUAGE plpgsql AS 'nonsense'"),
    ("code_execution ddl privilege", "CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'"),
    ("code_execution ddl file_access", "CREATE FUNCTION f() RETURNS int LANGUAGE \"c\" AS 'x'"),
    ("code_execution ddl privilege", "ALTER FUNCTION f() SECURITY DEFINER"),
    ("code_execution ddl", "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()"),
    ("code_execution ddl", "CREATE EXTENSION file_fdw"),
    ("code_execution ddl", "CREATE CAST (int AS text) WITH FUNCTION f(int)"),
    ("code_execution ddl", "CREATE AGGREGATE a (int) (SFUNC = f, STYPE = int)"),
    ("code_execution ddl", "CREATE OPERATOR === (FUNCTION = f, LEFTARG = int, RIGHTARG = int)"),
    ("code_execution ddl", "CREATE LANGUAGE plperlu"),
)
def test_code_that_is_planted(text: str, expected: str) -> None:
    assert classes(text) == expected


_FUNCTION = "CREATE FUNCTION f(a int, b cards, OUT c text) RETURNS {} LANGUAGE plpgsql AS $x$BEGIN {} END$x$"


@table(
    ("", "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT owner FROM accounts'"),
    ("destructive_ddl mass_write", "CREATE PROCEDURE p(x int) LANGUAGE sql AS 'TRUNCATE accounts'"),
    ("mass_write", "CREATE PROCEDURE p() LANGUAGE plpgsql AS 'BEGIN DELETE FROM accounts; END'"),
    ("mass_write", "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC DELETE FROM accounts; SELECT 1; END"),
    ("session_control", "CREATE FUNCTION f() RETURNS int RETURN pg_sleep(1)"),
    ("destructive_ddl", _FUNCTION.format("record", "a := 5; EXECUTE 'DROP TABLE cards'; RETURN;")),
    ("write", _FUNCTION.format("SETOF record", "b.x := 3; DELETE FROM cards WHERE no = 4; c := 'u'; RETURN NEXT;")),
    (
        "destructive_ddl",
        "CREATE FUNCTION f() RETURNS TABLE (d int) LANGUAGE plpgsql AS 'BEGIN d := 1; DROP TABLE x; RETURN NEXT; END'",
    ),
    ("file_access", "CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS $$BEGIN RETURN pg_read_file('x'); END$$"),
    (
        "mass_write",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.x := 1; DELETE FROM x; RETURN NEW; END'",
    ),
    (
        "destructive_ddl",
        "CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN RAISE '%', tg_tag; DROP TABLE x; END$$",
    ),
    ("", "CREATE RULE r AS ON INSERT TO accounts DO INSTEAD NOTHING"),
    ("mass_write", "CREATE RULE r AS ON INSERT TO accounts DO ALSO DELETE FROM cards"),
    ("export", "CREATE RULE r AS ON SELECT TO accounts DO ALSO NOTIFY x"),
    ("file_access", "CREATE RULE r AS ON UPDATE TO accounts WHERE pg_read_file('x') = '' DO INSTEAD NOTHING"),
)
def test_code_that_is_planted_has_the_classes_of_what_it_will_do(text: str, expected: str) -> None:
    assert classes(text) == " ".join(sorted(["code_execution", "ddl", *expected.split()]))


def test_the_relations_of_a_planted_body_are_told() -> None:
    from countersign.statements import classify_sql

    for text in (
        "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'DELETE FROM accounts'",
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS 'BEGIN DELETE FROM accounts; END'",
    ):
        assert "accounts" in classify_sql(text, "postgres").writes


@table(
    ("ddl", "CREATE TABLE t (id bigint PRIMARY KEY, at timestamptz DEFAULT now(), CHECK (id > 0))"),
    ("ddl", "CREATE UNIQUE INDEX CONCURRENTLY i ON accounts (lower(mail)) WHERE mail IS NOT NULL"),
    ("ddl", "CREATE VIEW v AS SELECT json_agg(a) FROM accounts a"),
    ("ddl", "ALTER TABLE accounts ADD COLUMN n int, ALTER COLUMN m SET DEFAULT 4"),
    ("ddl", "ALTER TABLE accounts ALTER COLUMN n TYPE bigint USING n::bigint"),
    ("ddl", "ALTER INDEX i RENAME TO j"),
    ("ddl", "CREATE SCHEMA bank CREATE TABLE t (n int)"),
    ("ddl", "CREATE TYPE mood AS ENUM ('a', 'b')"),
    ("ddl", "CREATE DOMAIN d AS int CHECK (VALUE > 0)"),
    ("ddl", "CREATE SEQUENCE s"),
    ("ddl", "ANALYZE accounts"),
    ("ddl", "VACUUM FULL accounts"),
    ("ddl", "REINDEX INDEX i"),
    ("ddl", "CLUSTER accounts USING i"),
    ("ddl file_access", "CREATE TABLESPACE s LOCATION '/srv/x'"),
    ("ddl export", "CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'h')"),
    ("ddl export", "IMPORT FOREIGN SCHEMA x FROM SERVER s INTO y"),
    ("ddl export", "CREATE PUBLICATION p FOR ALL TABLES"),
    ("ddl export", "CREATE SUBSCRIPTION s CONNECTION 'host=h' PUBLICATION p"),
    ("code_execution ddl export", "CREATE FOREIGN TABLE t (l text) SERVER s OPTIONS (program 'id')"),
    ("ddl export file_access", "CREATE FOREIGN TABLE t (l text) SERVER s OPTIONS (filename '/etc/passwd')"),
    ("export privilege", "CREATE USER MAPPING FOR x SERVER s OPTIONS (password 'p')"),
    ("destructive_ddl", "DROP SCHEMA bank CASCADE"),
    ("destructive_ddl", "DROP VIEW v"),
    ("destructive_ddl", "DROP DATABASE d"),
    ("destructive_ddl", "DROP FUNCTION f(int)"),
    ("ddl destructive_ddl", "ALTER TABLE accounts DROP COLUMN n, ADD COLUMN m int"),
    ("destructive_ddl mass_write", "TRUNCATE accounts"),
    ("destructive_ddl privilege", "DROP OWNED BY x"),
)
def test_definitions(text: str, expected: str) -> None:
    assert classes(text) == expected


@table(
    ("privilege", "GRANT SELECT ON ALL TABLES IN SCHEMA bank TO x"),
    ("privilege", "REVOKE ALL ON accounts FROM x"),
    ("privilege", "GRANT admin TO x"),
    ("privilege", "CREATE USER x SUPERUSER"),
    ("privilege", "ALTER ROLE x BYPASSRLS"),
    ("privilege", "DROP ROLE x"),
    ("privilege", "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO x"),
    ("privilege", "REASSIGN OWNED BY a TO b"),
    ("ddl privilege", "ALTER TABLE accounts OWNER TO x"),
    ("ddl privilege", "ALTER SCHEMA bank OWNER TO x"),
    ("ddl privilege", "ALTER TABLE accounts NO FORCE ROW LEVEL SECURITY"),
    ("ddl privilege", "ALTER TABLE accounts DISABLE TRIGGER audit"),
    ("ddl privilege", "ALTER EVENT TRIGGER e DISABLE"),
    ("ddl privilege", "CREATE POLICY p ON accounts USING (true)"),
    ("destructive_ddl privilege", "DROP POLICY p ON accounts"),
    ("destructive_ddl privilege", "DROP TRIGGER audit ON accounts"),
)
def test_who_may_do_what(text: str, expected: str) -> None:
    assert classes(text) == expected


@table(
    ("session_control", "BEGIN ISOLATION LEVEL SERIALIZABLE"),
    ("session_control", "ROLLBACK TO SAVEPOINT s"),
    ("session_control", "PREPARE TRANSACTION 't'"),
    ("session_control", "SET search_path = bank"),
    ("session_control", "SET LOCAL statement_timeout = 0"),
    ("session_control", "SET TIME ZONE 'UTC'"),
    ("session_control", "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE"),
    ("session_control", "RESET ALL"),
    ("session_control", "DISCARD ALL"),
    ("session_control", "LOCK accounts IN EXCLUSIVE MODE"),
    ("session_control", "LISTEN c"),
    ("export", "NOTIFY c, 'x'"),
    ("session_control", "SET CONSTRAINTS ALL DEFERRED"),
    ("privilege session_control", "SET LOCAL ROLE admin"),
    ("privilege session_control", "RESET SESSION AUTHORIZATION"),
    ("privilege session_control", 'SET "role" TO admin'),
    ("privilege session_control", "SET session_replication_role = 'replica'"),
    ("privilege session_control", "SET Row_Security TO off"),
    ("privilege session_control", "ALTER SYSTEM SET work_mem = '1GB'"),
    ("code_execution privilege session_control", "ALTER SYSTEM SET archive_command = 'id'"),
    ("file_access privilege session_control", "ALTER SYSTEM SET log_directory = '/tmp'"),
    ("privilege session_control", "ALTER ROLE x SET search_path = y"),
    ("ddl session_control", "ALTER DATABASE d SET work_mem = '1GB'"),
    ("read session_control", "SELECT * FROM accounts WHERE account_no = 4 FOR UPDATE"),
    ("bulk_read session_control", "SELECT * FROM accounts FOR SHARE SKIP LOCKED"),
)
def test_sessions(text: str, expected: str) -> None:
    assert classes(text) == expected
