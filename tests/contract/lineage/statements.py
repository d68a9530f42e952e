"""Statements made up of each other: whatever one makes of a column, another hides it further."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

_STORED = ("id", "name", "ssn", "nick")
_WIDTH = 3


@dataclass(frozen=True, slots=True)
class Query:
    """A query of three columns, and their names."""

    text: str
    names: tuple[str, ...]


def _names() -> st.SearchStrategy[tuple[str, ...]]:
    one = st.sampled_from(["a", "b", "c", "name", "nick", "Q x", "id"])
    return st.lists(one, min_size=_WIDTH, max_size=_WIDTH, unique_by=str.lower).map(tuple)


def _expressions(columns: tuple[str, ...]) -> st.SearchStrategy[str]:
    column = st.sampled_from(columns).map(_quoted)
    as_text = column.map(lambda name: f"CAST({name} AS text)")
    return st.recursive(
        as_text,
        lambda inner: st.one_of(
            inner.map(lambda one: f"upper({one})"),
            inner.map(lambda one: f"substr({one}, 1, 20)"),
            inner.map(lambda one: f"nullif({one}, 'x')"),
            st.tuples(inner, inner).map(" || '-' || ".join).map(lambda both: f"({both})"),
            st.tuples(inner, inner).map(lambda both: f"coalesce({both[0]}, {both[1]})"),
            st.tuples(inner, inner).map(lambda both: f"CASE WHEN {both[0]} > 'b' THEN {both[1]} ELSE 'z' END"),
            inner.map(lambda one: f"(SELECT {one})"),
        ),
        max_leaves=4,
    )


def _quoted(name: str) -> str:
    return f'"{name}"'


def _listed(texts: tuple[str, ...], names: tuple[str, ...]) -> str:
    return ", ".join(f"{text} AS {_quoted(name)}" for text, name in zip(texts, names, strict=True))


def _selected(source: str, columns: tuple[str, ...]) -> st.SearchStrategy[Query]:
    one = _expressions(columns)
    one = st.one_of(one, one.map(lambda text: f"lag({text}) OVER (ORDER BY 1)"))
    texts = st.tuples(one, one, one)
    return st.builds(lambda of, names: Query(f"SELECT {_listed(of, names)} FROM {source}", names), texts, _names())


_BASE = _selected("users u", _STORED)


def _wrapped(inner: Query) -> st.SearchStrategy[Query]:
    renamed = ", ".join(map(_quoted, ("x", "y", "z")))
    return st.one_of(
        _selected(f"({inner.text}) t", inner.names),
        st.just(Query(f"SELECT * FROM ({inner.text}) t", inner.names)),
        st.just(Query(f"WITH t ({renamed}) AS ({inner.text}) SELECT t.* FROM t", ("x", "y", "z"))),
        st.just(Query(f"WITH t ({renamed}) AS ({inner.text}) SELECT z, y, x FROM t", ("z", "y", "x"))),
        _BASE.map(lambda other: Query(f"SELECT * FROM ({inner.text}) l UNION ALL {other.text}", inner.names)),
        st.just(
            Query(
                f"SELECT min({_quoted(inner.names[0])}) AS x, max({_quoted(inner.names[1])}) AS y,"
                f" CAST(count(*) AS text) AS z FROM ({inner.text}) t",
                ("x", "y", "z"),
            )
        ),
        _selected(f"({inner.text}) t CROSS JOIN (SELECT ssn AS h FROM users LIMIT 1) s", (*inner.names, "h")),
    )


def queries() -> st.SearchStrategy[Query]:
    """Queries in what PostgreSQL and SQLite have in common."""
    return st.one_of(_BASE, _BASE.flatmap(_wrapped), _BASE.flatmap(_wrapped).flatmap(_wrapped))
