"""The one question for every language."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countersign.statements import (
    LANGUAGES,
    canonical,
    classify,
    classify_mongo,
    classify_redis,
    classify_shell,
    classify_sql,
)

DELETES = {
    "postgres": "DELETE FROM accounts",
    "mysql": "DELETE FROM accounts",
    "tsql": "DELETE FROM accounts",
    "sqlite": "DELETE FROM accounts",
    "bigquery": "DELETE FROM accounts WHERE true",
    "snowflake": "DELETE FROM accounts",
    "shell": "rm -rf accounts",
    "mongodb": "db.accounts.deleteMany({})",
    "redis": "FLUSHALL",
}


def test_every_language_has_an_example_here() -> None:
    assert tuple(DELETES) == LANGUAGES


@pytest.mark.parametrize(("language", "text"), DELETES.items())
def test_a_mass_deletion_is_seen_in_every_language(language: str, text: str) -> None:
    verdict = classify(text, language)
    assert {"mass_write", "destructive_ddl"} & verdict.classes
    assert "unparsable" not in verdict.classes
    assert not verdict.only_reads


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_at_all_is_not_understood_in_any_language(language: str) -> None:
    assert not classify("", language).only_reads


@pytest.mark.parametrize(
    ("alias", "name"),
    [("postgresql", "postgres"), ("mariadb", "mysql"), ("mssql", "tsql"), ("sqlserver", "tsql"), ("MySQL", "mysql")],
)
def test_a_language_may_be_named_otherwise(alias: str, name: str) -> None:
    assert canonical(alias) == name
    assert classify("SELECT 1", alias) == classify("SELECT 1", name)


@pytest.mark.parametrize("name", ["", "oracle", "postgres ", "sql"])
def test_an_unknown_language_is_refused_and_the_known_are_listed(name: str) -> None:
    with pytest.raises(ValueError, match="postgres, mysql"):
        classify("SELECT 1", name)


@pytest.mark.parametrize("name", ["shell", "mongodb", "redis"])
def test_what_is_no_sql_is_no_dialect(name: str) -> None:
    with pytest.raises(ValueError, match="dialect of SQL"):
        classify_sql("SELECT 1", name)


def test_each_language_has_a_name_of_its_own() -> None:
    assert classify_shell("ls").only_reads
    assert classify_mongo("db.accounts.find({_id: 1})").only_reads
    assert classify_redis("GET a").only_reads


@settings(max_examples=30)
@given(text=st.text(max_size=40), language=st.sampled_from(LANGUAGES))
def test_no_text_makes_any_language_fail(text: str, language: str) -> None:
    assert classify(text, language).classes


def test_a_classifier_that_fails_makes_the_text_not_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_name: str) -> None:
        raise KeyError("s3cr3t-value")

    # By its name in sys.modules: the package has a function of the same name.
    monkeypatch.setattr(sys.modules["countersign.statements.classify"], "_classifier", failing)
    verdict = classify("SELECT 1", "postgres")
    assert verdict.classes == {"unparsable"}
    assert "s3cr3t-value" not in verdict.reason
