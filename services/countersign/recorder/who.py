"""Whose session it is, and what columns can hold of what callers send."""

from __future__ import annotations

from dataclasses import dataclass

# Columns are for searching; the whole text stands in the record. Shorter than what a btree entry can hold.
SEARCHABLE_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Who:
    """The principal's part of an entry, as a session keeps it."""

    issuer: str
    subject: str
    groups: tuple[str, ...]
    kind: str
    token_id: str


NOBODY = Who("", "", (), "", "")


def searchable(text: str) -> str:
    """Return what a column can hold of ``text``: Postgres has no NUL, and index entries are short."""
    short = text[:SEARCHABLE_CHARACTERS]
    return short.replace("\0", "\ufffd") if "\0" in short else short
