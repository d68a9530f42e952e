"""Every relation that a statement names is told, wherever it stands."""

from __future__ import annotations

import pytest

from countersign.statements import classify_sql


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1 FROM x ORDER BY (SELECT 1 FROM accounts)",
        "UPDATE x SET a = (SELECT 1 FROM accounts)",
        "INSERT INTO x VALUES (1) RETURNING (SELECT 1 FROM accounts)",
        "LOCK TABLE accounts",
        "VACUUM accounts (a)",
        "ALTER TABLE x ATTACH PARTITION accounts DEFAULT",
        "ALTER TABLE x ADD FOREIGN KEY (a) REFERENCES accounts",
        "CREATE TABLE x (a int REFERENCES accounts)",
        "CREATE TABLE x (LIKE accounts)",
        "CREATE TABLE x () INHERITS (accounts)",
        "CREATE PUBLICATION p FOR TABLE x, accounts",
        "ALTER PUBLICATION p ADD TABLE accounts",
        "IMPORT FOREIGN SCHEMA s LIMIT TO (accounts) FROM SERVER v INTO w",
        "COMMENT ON TABLE accounts IS 'x'",
        "COMMENT ON COLUMN accounts.a IS 'x'",
        "SECURITY LABEL ON TABLE accounts IS 'x'",
        "DROP TRIGGER t ON accounts",
        "DROP POLICY p ON accounts",
        "CREATE RULE r AS ON INSERT TO x DO INSTEAD DELETE FROM accounts",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1 FROM accounts'",
        "DO 'BEGIN PERFORM 1 FROM accounts; END'",
        "PREPARE p AS TABLE accounts",
        "EXPLAIN TABLE accounts",
        "SELECT query_to_xml('TABLE accounts', true, true, '')",
    ],
)
def test_a_relation_is_told_wherever_it_stands(text: str) -> None:
    verdict = classify_sql(text, "postgres")
    assert "accounts" in verdict.relations
    assert "unparsable" not in verdict.classes
