"""Whose session it is, and what columns can hold of what callers send."""

from __future__ import annotations

from collections.abc import Iterable
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
    known_as: tuple[str, ...] = ()
    """By what else its tokens may be revoked, see ``known_as``."""


NOBODY = Who("", "", (), "", "")


def searchable(text: str) -> str:
    """Return what a column can hold of ``text``: Postgres has no NUL, and index entries are short."""
    short = text[:SEARCHABLE_CHARACTERS]
    return short.replace("\0", "\ufffd") if "\0" in short else short


def known_as(signed_in: str, subjects: Iterable[str]) -> tuple[str, ...]:
    """Return by what a session is found when its sign-in is revoked, or a subject that it is not named after."""
    names = [
        *([f"s:{searchable(signed_in)}"] if signed_in else []),
        *[f"p:{searchable(one)}" for one in subjects if one],
    ]
    return tuple(dict.fromkeys(names))
