"""Does a table begin with this line, and how are its rows cut into cells?"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from countersign.masking.tables.aligned import ruled_extents, runs, split_aligned, split_ruled, split_words, words
from countersign.masking.tables.cells import (
    Cell,
    Row,
    is_rule,
    line_above,
    line_end,
    split_line,
    split_pipes,
    split_quoted,
    split_quoted_within,
)
from countersign.masking.tables.columns import Column, Columns

_DELIMITERS = "\t;,"
_MOST_WORDS = 4
_LONGEST_NAME = 64
_PROSE_WORDS = 6
_ENDS_OF_SENTENCES = frozenset(".?!")
_CONFIRMING = 4_096
_ALL_QUOTED = re.compile(r'"[^"]*"(?: "[^"]*")+')
_COPY = re.compile(r"COPY [^\n(]{1,256}\(([^\n()]*)\) FROM stdin;[ \t]*")
_LINE_NUMBER = re.compile(r"[0-9]+[ \t]")
_DIGIT = re.compile(r"[0-9]")


class Table(NamedTuple):
    """A table that masks one of its columns at least.

    ``boxed`` has a frame all around, and so a line that closes it. ``joins`` says whether a row may belong to the table
    although something else stands between. ``remarks`` says whether lines without cells may be said of the table.
    """

    columns: dict[int, Column]
    width: int
    body: int
    read: Callable[[int], Row]
    boxed: bool
    joins: Callable[[Row], bool]
    remarks: bool = True


def table_at(text: str, start: int, columns: Columns) -> Table | None:
    """The table whose header is the line at ``start``; ``text`` is plain (see :func:`cells.plain`)."""
    end = line_end(text, start)
    below = text[end + 1 : line_end(text, end + 1)]
    ruled = is_rule(below)
    copied = _COPY.fullmatch(text, start, end)
    if copied is not None:
        return _copied(text, copied, columns)
    if "|" in text[start:end]:
        table = _piped(text, start, ruled, columns)
    elif ruled:
        table = _ruled(text, start, columns)
    else:
        table = None
    if table is None and not ruled:
        # Nothing but the words themselves says that these are headers.
        table = _delimited(text, start, columns) or _aligned(text, start, columns)
    return table or _single(text, start, ruled, columns)


def _piped(text: str, start: int, ruled: bool, columns: Columns) -> Table | None:
    line = text[start : line_end(text, start)].strip(" \t>")
    framed = line.startswith("|")
    read = partial(split_pipes, text, framed=framed or line.endswith("|"), doubled="||" in line)
    row = read(start)
    names = _texts(text, row.cells)
    selected = columns.selected(names)
    above = line_above(text, start)
    boxed = framed and is_rule(above) and "+" in above
    if not selected or (len(row.cells) == 1 and not framed):
        return None
    if not ruled and not boxed:
        if len(row.cells) == 1 or not _like_names(names, _MOST_WORDS):
            return None
        confirmed = len(read(row.following).cells) == len(row.cells)
        if not confirmed and not (framed and _any_field(selected)):
            return None
    body = _skip_rule(text, row.following)

    def joins(other: Row) -> bool:
        framed_too = text[other.start : other.end].lstrip(" \t>").startswith("|")
        return len(other.cells) == len(row.cells) and (framed_too or not framed)

    return Table(selected, len(row.cells), body, read, boxed, joins, remarks=not boxed)


def _delimited(text: str, start: int, columns: Columns) -> Table | None:
    end = line_end(text, start)
    line = text[start:end].strip()
    marks = [mark for mark in _DELIMITERS if mark in line]
    if _ALL_QUOTED.fullmatch(line):
        marks.append(" ")
    tables = [_delimited_by(text, start, end, mark, columns) for mark in marks]
    return max((table for table in tables if table is not None), key=lambda table: table.width, default=None)


def _delimited_by(text: str, start: int, end: int, delimiter: str, columns: Columns) -> Table | None:
    row = split_quoted_within(text, start, end, delimiter)
    if not row.sure:
        row = split_line(text, start, delimiter)
    names = _texts(text, row.cells)
    spaced = delimiter != " " and delimiter + " " in text[start:end]
    if sum(map(bool, names)) < 2 or not _like_names(names, 2 if spaced else _MOST_WORDS):
        return None
    selected = columns.selected(names, certain=False)
    if not selected:
        return None

    def joins(other: Row) -> bool:
        as_spaced = spaced or delimiter + " " not in text[other.start : other.end]
        return other.sure and len(other.cells) == len(row.cells) and as_spaced

    strict = not spaced and all(" " not in name for name in names)
    gap = line_end(text, end + 1) + 1 if not text[end + 1 : line_end(text, end + 1)].strip() else end + 1
    first = split_quoted_within(text, gap, line_end(text, gap) + _CONFIRMING, delimiter)
    confirmed = joins(first) or (gap == end + 1 and first.sure and len(first.cells) == len(row.cells))
    begun = gap == end + 1 and (len(first.cells) > 1 or not first.sure)
    # A telling word is no header unless nothing speaks against it; a field is one if anything speaks for it.
    if not ((confirmed or (strict and begun)) if _any_field(selected) else (confirmed and strict)):
        return None
    read = partial(split_quoted, text, delimiter=delimiter)
    return Table(selected, len(row.cells), end + 1, read, False, joins)


def _copied(text: str, copied: re.Match[str], columns: Columns) -> Table | None:
    """Rows as PostgreSQL dumps them: what is special in them is escaped."""
    names = copied[1].split(",")
    selected = columns.selected(names)
    read = partial(split_line, text, delimiter="\t")
    return Table(selected, len(names), copied.end() + 1, read, False, _never, remarks=False) if selected else None


def _ruled(text: str, start: int, columns: Columns) -> Table | None:
    end = line_end(text, start)
    rule_end = line_end(text, end + 1)
    extents = ruled_extents(text, end + 1, rule_end)
    if len(extents) < 2:
        return _below(text, start, runs(text, start, end), rule_end + 1, columns)
    header = split_ruled(text, start, extents)
    selected = columns.selected(_texts(text, header.cells))
    if not selected:
        return None
    read = partial(split_ruled, text, extents=extents)

    def joins(row: Row) -> bool:
        return "  " in text[row.start : row.end].strip()

    return Table(selected, len(extents), rule_end + 1, read, False, joins, remarks=False)


def _aligned(text: str, start: int, columns: Columns) -> Table | None:
    end = line_end(text, start)
    if "  " not in text[start:end]:
        return None
    below_end = line_end(text, end + 1)
    below = text[end + 1 : below_end]
    numbered = text[start] == " " and _LINE_NUMBER.match(below) is not None
    pieces = runs(text, start, end)
    if "  " in below.strip() and not any(" " in name for name in _texts(text, pieces)):
        table = _below(text, start, pieces, end + 1, columns)
    else:
        # Gaps of one blank: a data frame, or columns as narrow as what is in them.
        pieces = words(text, start, end)
        table = _below(text, start, pieces, end + 1, columns)
        if table is not None and not numbered:
            if len(words(text, end + 1, below_end)) != len(pieces):
                return None
            table = table._replace(read=partial(split_words, text, headers=len(pieces)))
    if table is None:
        return None
    # Words in two columns are also how help texts and code look; there a telling word is no header.
    certain = _any_field(table.columns) or numbered or text[start:end].isupper()
    return table if certain else None


def _below(text: str, start: int, pieces: list[Cell], body: int, columns: Columns) -> Table | None:
    selected = columns.selected(_texts(text, pieces))
    if not selected or len(pieces) < 2:
        return None
    headers = [(left - start, right - start) for left, right in pieces]
    return Table(selected, len(pieces), body, partial(split_aligned, text, headers=headers), False, _never)


def _single(text: str, start: int, ruled: bool, columns: Columns) -> Table | None:
    """A column alone: its header stands by itself on a line."""
    end = line_end(text, start)
    name = text[start:end].strip()
    if not name or " " in name or "," in name or name[:1] in "[({<" or name[-1:] in ":=({[":
        return None
    column = columns.named(name)
    above = line_above(text, start).strip()
    if column is None or not column.is_field or (above and not above.endswith(":") and not above.startswith("```")):
        return None
    body = _skip_rule(text, end + 1)
    first = text[body : line_end(text, body)]
    if not first.strip() or (len(first.split()) >= _PROSE_WORDS and not _DIGIT.search(first)):
        return None
    return Table({0: column}, 1, body, partial(split_line, text, delimiter="\n"), False, _never)


def _texts(text: str, cells: Sequence[Cell]) -> list[str]:
    return [text[start:end] for start, end in cells]


def _like_names(cells: Sequence[str], most_words: int) -> bool:
    return all(
        len(cell) <= _LONGEST_NAME and cell.count(" ") < most_words and cell[-1:] not in _ENDS_OF_SENTENCES
        for cell in cells
    )


def _any_field(selected: dict[int, Column]) -> bool:
    return any(column.is_field for column in selected.values())


def _skip_rule(text: str, at: int) -> int:
    end = line_end(text, at)
    return end + 1 if is_rule(text[at:end]) else at


def _never(_: Row) -> bool:
    return False
