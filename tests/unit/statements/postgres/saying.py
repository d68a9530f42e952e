"""How the tables of these tests are written."""

from __future__ import annotations

import pytest

from countersign.statements import classify_sql


def classes(text: str) -> str:
    """Return the classes of a PostgreSQL text, sorted, in one string."""
    return " ".join(sorted(classify_sql(text, "postgres").classes))


def table(*rows: tuple[str, str]) -> pytest.MarkDecorator:
    """Parametrize ``text`` and ``expected`` (classes, in any order)."""
    return pytest.mark.parametrize(
        ("text", "expected"), [(text, " ".join(sorted(expected.split()))) for expected, text in rows]
    )
