"""What one dialect says of a query, another one says, too; and nothing that is put around a column clears it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countersign.statements.lineage import lineage
from tests.contract.lineage.statements import Query, queries
from tests.unit.statements.lineage.saying import MASKED

_QUOTES = {"mysql": "`", "bigquery": "`", "tsql": '"', "snowflake": '"', "sqlite": '"'}
_FEW = settings(max_examples=12, deadline=None)
_MORE = settings(max_examples=25, deadline=None)


@pytest.mark.parametrize("dialect", sorted(_QUOTES))
@_FEW
@given(query=queries())
def test_every_dialect_follows_what_postgresql_does(query: Query, dialect: str) -> None:
    # What PostgreSQL's lineage says is tried against the database itself.
    expected = {column.name for column in lineage(query.text, "postgres", MASKED).columns}
    found = lineage(query.text.replace('"', _QUOTES[dialect]), dialect, MASKED)
    assert found.everything or {column.name for column in found.columns} >= expected


@pytest.mark.parametrize("dialect", ["postgres", *sorted(_QUOTES)])
@_MORE
@given(
    around=st.lists(
        st.sampled_from(
            [
                "upper({})",
                "({})",
                "CAST({} AS char(9))",
                "coalesce({}, 'x')",
                "CASE WHEN id = 1 THEN {} ELSE 'x' END",
                "nullif({}, name)",
                "(SELECT {})",
                "concat('a', {})",
                "unheard_of({}, 1)",
                "max({})",
                "{} || 'x'",
                "replace({}, '-', '')",
            ]
        ),
        max_size=6,
    ),
    alias=st.sampled_from(["", "AS x", "AS name", "AS id"]),
)
def test_no_expression_around_a_masked_column_clears_it(around: list[str], alias: str, dialect: str) -> None:
    text = "ssn"
    for each in around:
        text = each.format(text)
    found = lineage(f"SELECT id AS first, {text} {alias} FROM users", dialect, MASKED)
    assert found.everything or found.columns
