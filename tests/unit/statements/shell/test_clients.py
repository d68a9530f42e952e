"""What database clients are handed is judged in the database's own language."""

from __future__ import annotations

import pytest

from countersign.statements import classify_shell


@pytest.mark.parametrize(
    ("text", "classes"),
    [
        ("psql -c 'DROP TABLE cards'", "destructive_ddl"),
        ("psql bank -Atc 'SELECT owner FROM accounts LIMIT 5'", "read"),
        ("psql -h db -U me -d bank -c \"SELECT owner FROM accounts WHERE note ~ '\\d+'\"", "bulk_read"),
        ("PGPASSWORD=x psql -c 'SELECT 1'", "read"),
        ("sudo -u postgres psql -c 'DELETE FROM cards'", "mass_write privilege"),
        ("ls && psql -c 'TRUNCATE cards'", "destructive_ddl mass_write read"),
        ("echo \"$(psql -c 'DROP TABLE cards')\"", "destructive_ddl"),
        ("mysql -uroot -psecret bank -e 'SELECT owner FROM accounts LIMIT 5\\G'", "read"),
        ("mysql -e 'DELETE FROM cards'", "mass_write"),
        ("mariadb --batch -e 'DROP TABLE cards'", "destructive_ddl"),
        ("sqlite3 -readonly -header kept.db 'SELECT owner FROM accounts LIMIT 5'", "read"),
        ("sqlite3 kept.db 'DROP TABLE cards'", "destructive_ddl"),
        ("sqlcmd -S db -E -Q 'SELECT TOP 5 owner FROM accounts'", "read"),
        ("sqlcmd -Q 'DROP TABLE cards'", "destructive_ddl"),
        ("snowsql -q 'DROP TABLE cards'", "destructive_ddl"),
        ("bq --format=json query --use_legacy_sql=false 'SELECT owner FROM bank.accounts LIMIT 5'", "read"),
        ("bq query --nouse_legacy_sql 'DROP TABLE bank.cards'", "destructive_ddl"),
        ("bq ls", "read"),
    ],
)
def test_the_classes_are_those_of_the_statement(text: str, classes: str) -> None:
    assert classify_shell(text).classes == set(classes.split())


@pytest.mark.parametrize(
    "text",
    [
        "psql",
        "psql -f script.sql",
        "psql -c '\\! id'",
        "psql -c '\\copy accounts to x'",
        "psql -c 'SELECT 1' -c 'SELECT 2'",
        "psql -c 'SELECT 1' -o '|sh'",
        "psql -c 'SELECT 1' -v x=1",
        "psql -c 'no statement'",
        'psql -c "SELECT $ID"',
        "psql <<< 'SELECT 1'",
        "cat x.sql | psql",
        "PGOPTIONS=-cx=1 psql -c 'SELECT 1'",
        "PSQLRC=x psql -c 'SELECT 1'",
        "mysql -e 'system id'",
        "mysql -e 'SELECT 1;\nsystem id'",
        "mysql -e 'SELECT 1 \\! id'",
        "mysql -e 'SELECT 1' --pager=id",
        "mysql --init-command='DROP TABLE x' -e 'SELECT 1'",
        "sqlite3 kept.db '.shell id'",
        "sqlite3 -cmd '.shell id' kept.db 'SELECT 1'",
        "sqlite3 -init x kept.db 'SELECT 1'",
        "sqlite3 kept.db",
        "sqlcmd -Q 'SELECT 1\n!! dir'",
        "sqlcmd -Q ':r x.sql'",
        "sqlcmd -i x.sql",
        "sqlcmd -Q 'SELECT 1' -o x",
        "snowsql -q 'SELECT 1;\n!system id'",
        "snowsql -f x.sql",
        "bq query 'SELECT 1'",
        "bq query --use_legacy_sql=false --destination_table=a.b 'SELECT 1'",
        "bq rm -f bank.cards",
        "duckdb -c 'SELECT 1'",
    ],
)
def test_what_a_client_could_run_beside_is_code(text: str) -> None:
    assert "code_execution" in classify_shell(text).classes
