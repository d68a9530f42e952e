"""Tables whose columns are held apart by blanks alone, by the place of their headers or of the rules below them."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

from countersign.masking.tables.cells import Cell, Row, line_end

_GROUP = re.compile(r"[^ \t]+")
_RUN = re.compile(r"[^ \t\n]+(?: [^ \t\n]+)*")
_WORD = re.compile(r"[^ \t\n]+")


def runs(text: str, start: int, end: int) -> list[Cell]:
    """Stretches that hold no more than one blank at a time."""
    return [match.span() for match in _RUN.finditer(text, start, end)]


def words(text: str, start: int, end: int) -> list[Cell]:
    """Stretches without blanks."""
    return [match.span() for match in _WORD.finditer(text, start, end)]


def ruled_extents(text: str, start: int, end: int) -> list[Cell]:
    """The columns that a line of dashes shows, relative to the start of the line."""
    return [(match.start() - start, match.end() - start) for match in _GROUP.finditer(text, start, end)]


def split_ruled(text: str, start: int, extents: list[Cell]) -> Row:
    """Cut a line below a rule; sure if nothing stands where the rule has its gaps."""
    end = line_end(text, start)
    line = text[start:end]
    cells: list[Cell] = []
    sure = _has_even_width(line)
    at = 0
    for index, (left, right) in enumerate(extents):
        last = index == len(extents) - 1
        sure = sure and not line[at:left].strip()
        at = len(line) if last else right
        piece = line[left:at]
        first = left + len(piece) - len(piece.lstrip())
        cells.append((start + first, start + max(left + len(piece.rstrip()), first)))
    return Row(cells if sure else [(start, end)], start, end, end + 1, sure)


def split_words(text: str, start: int, headers: int) -> Row:
    """Cut a line at every blank; sure if that makes as many cells as there are headers."""
    end = line_end(text, start)
    cells = words(text, start, end)
    return Row(cells, start, end, end + 1) if len(cells) == headers else Row([(start, end)], start, end, end + 1, False)


def split_aligned(text: str, start: int, headers: list[Cell]) -> Row:
    """Cut a line at wide gaps and tell by what stands above which column each piece belongs to.

    ``headers`` are relative to the start of their line. Sure if each piece but the first, which may be the number of
    the row, stands below one header of its own; or if each value begins, or ends, exactly where its header does.
    """
    end = line_end(text, start)
    line = text[start:end]
    cells: list[Cell] = [(start, start)] * len(headers)
    sure = _has_even_width(line)
    column = 0
    for index, (left, right) in enumerate(runs(text, start, end)):
        while column < len(headers) and headers[column][1] <= left - start:
            column += 1
        if column == len(headers) or headers[column][0] >= right - start:
            sure = sure and index == 0 and column == 0
            continue
        cells[column] = (left, right)
        column += 1
        if column < len(headers) and headers[column][0] < right - start:
            sure = False
    if not sure:
        cells = _cut_at_headers(line, start, headers) if _has_even_width(line) else []
        sure = bool(cells)
    return Row(cells if sure else [(start, end)], start, end, end + 1, sure)


def _cut_at_headers(line: str, start: int, headers: list[Cell]) -> list[Cell]:
    """Cut where headers begin, or else where they end, if each value does exactly so; otherwise there are no cells."""
    line = line.rstrip()
    lefts = [0, *(left for left, _ in headers[1:]), len(line)]
    rights = [0, *(right for _, right in headers[:-1]), len(line)]
    for edges, is_left in ((lefts, True), (rights, False)):
        cells: list[Cell] = []
        for left, right in pairwise(edges):
            piece = line[left:right]
            at_edge = piece[:1] != " " if is_left else piece[-1:] != " "
            apart = left == 0 or (line[left - 1 : left] if is_left else line[left : left + 1]) in (" ", "")
            if piece.strip() and not (at_edge and apart):
                break
            blanks = len(piece) - len(piece.lstrip())
            cells.append((start + left + blanks, start + max(left + len(piece.rstrip()), left + blanks)))
        else:
            return cells
    return []


def _has_even_width(line: str) -> bool:
    """Whether each character takes one place, so that what stands below what can be told."""
    return "\t" not in line and (
        line.isascii()
        or not any(unicodedata.east_asian_width(char) in "WF" or unicodedata.combining(char) for char in line)
    )
