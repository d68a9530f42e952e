"""A record in Postgres that is searched."""

from __future__ import annotations

from tests.support.postgres import postgres as postgres
