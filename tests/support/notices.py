"""Approvals, and what is told of them."""

from __future__ import annotations

import psycopg


def forget_all(dsn: str) -> None:
    """Drop what is told or to be told in a database that tests share."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DELETE FROM countersign_approvals.notices")
        connection.execute("DELETE FROM countersign_approvals.deliveries")
