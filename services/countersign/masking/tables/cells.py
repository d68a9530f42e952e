"""Lines and rows of a text, cut into cells. Offsets are code points; ends are exclusive."""

from __future__ import annotations

from typing import NamedTuple

Cell = tuple[int, int]

_BARS = dict.fromkeys(map(ord, "│┃║╎╏┆┇┊┋¦"), "|")
_DASHES = dict.fromkeys(map(ord, "─━═┄┅┈┉╌╍╴╶╸╺╼╾\u2012\u2013\u2014\u2015"), "-")
_CORNERS = dict.fromkeys((*range(0x250C, 0x254C), *range(0x2552, 0x2571)), "+")
_PLAIN = {**_BARS, **_DASHES, **_CORNERS, 0xFEFF: " ", 0xA0: " ", 0x2028: "\n", 0x2029: "\n"}
_RULERS = "-=+|:> \t~"


class Row(NamedTuple):
    """One row of a table: its cells without the blanks around them, where it stands, and where the next one begins.

    ``sure`` says that there is one way only to cut it into these cells; if not, it has none, or is one itself.
    """

    cells: list[Cell]
    start: int
    end: int
    following: int
    sure: bool = True


def plain(text: str) -> str:
    """Write the frames of tables in ASCII and ends of lines as ``\\n``; every offset stays what it was."""
    if "\r" in text:
        text = text.replace("\r\n", " \n").replace("\r", "\n")
    return text if text.isascii() else text.translate(_PLAIN)


def line_end(text: str, at: int) -> int:
    """Where the line that holds ``at`` ends, without its line feed."""
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def line_above(text: str, start: int) -> str:
    """The line before the one that begins at ``start``."""
    return text[text.rfind("\n", 0, start - 1) + 1 : start - 1] if start else ""


def trimmed(text: str, start: int, end: int) -> Cell:
    """Leave out the blanks at both ends."""
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    return (start + left, start + len(piece.rstrip())) if left < len(piece) else (start, start)


def is_rule(line: str) -> bool:
    """Whether a line only separates: ``|---|:-:|``, ``+====+``, ``---  ---``."""
    return ("--" in line or "==" in line or ":-" in line or "-|" in line or "~~" in line) and not line.strip(_RULERS)


def split_line(text: str, start: int, delimiter: str) -> Row:
    """Cut a line at each delimiter; nothing is quoted."""
    end = line_end(text, start)
    cells: list[Cell] = []
    at = start
    for part in text[start:end].split(delimiter):
        cells.append(trimmed(text, at, at + len(part)))
        at += len(part) + 1
    return Row(cells, start, end, end + 1)


def split_pipes(text: str, start: int, *, framed: bool = True, doubled: bool = False) -> Row:
    """Cut a line at its bars; one after a backslash is part of its cell, and those at the ends may be the frame.

    Where bars may be ``doubled``, as wikis have it for headers, two are one.
    """
    end = line_end(text, start)
    line = text[start:end]
    # Blanked out so that the offsets stay.
    bars = line.replace("\\|", "\\ ") if "\\|" in line else line
    if doubled:
        bars = bars.replace("||", " |")
    left, right = trimmed(bars, 0, len(bars))
    if bars[left : left + 1] == ">":
        # Quoted, as in a mail.
        left, right = trimmed(bars, left + 1, right)
    if framed and bars[left : left + 1] == "|":
        left += 1
    if framed and right > left and bars[right - 1] == "|":
        right -= 1
    cells: list[Cell] = []
    at = left
    for part in bars[left:right].split("|"):
        first, last = trimmed(bars if doubled else line, at, at + len(part))
        cells.append((start + first, start + last))
        at += len(part) + 1
    return Row(cells, start, end, end + 1)


def split_quoted_within(text: str, start: int, end: int, delimiter: str) -> Row:
    """Cut a record as :func:`split_quoted` does, as if the text ended at ``end``."""
    row = split_quoted(text[start:end], 0, delimiter)
    cells = [(start + first, start + last) for first, last in row.cells]
    return Row(cells, start + row.start, start + row.end, start + row.following, row.sure)


def split_quoted(text: str, start: int, delimiter: str) -> Row:
    """Cut a record at its delimiters as RFC 4180 says; quoted cells may hold them, line ends and doubled quotes.

    Blanks around quotes are tolerated, and so is a backslash before a quote where nothing else makes sense. A record
    whose quotes do not close, or close amid a cell, is not sure; it ends with the line in which that shows.
    """
    end = line_end(text, start)
    if '"' not in text[start:end]:
        return split_line(text, start, delimiter)
    cells: list[Cell] = []
    at = start
    while True:
        first = at
        while text[first : first + 1] in (" ", "\t") and text[first] != delimiter:
            first += 1
        if text[first : first + 1] == '"':
            closing = _closing_quote(text, first + 1)
            if closing is None:
                return Row([], start, len(text), len(text) + 1, sure=False)
            after = closing + 1
            while text[after : after + 1] in (" ", "\t") and text[after] != delimiter:
                after += 1
            if text[after : after + 1] not in (delimiter, "\n", ""):
                end = line_end(text, after)
                return Row([], start, end, end + 1, sure=False)
            cells.append((first + 1, closing))
        else:
            stop = line_end(text, at)
            found = text.find(delimiter, at, stop)
            after = stop if found < 0 else found
            cells.append(trimmed(text, at, after))
        if text[after : after + 1] != delimiter:
            return Row(cells, start, after, after + 1)
        at = after + 1


def _closing_quote(text: str, at: int) -> int | None:
    while True:
        at = text.find('"', at)
        if at < 0:
            return None
        if text[at + 1 : at + 2] == '"':
            at += 2
        elif _is_escaped(text, at):
            at += 1
        else:
            return at


def _is_escaped(text: str, quote: int) -> bool:
    """Whether a backslash makes a quote part of its cell: only if the cell cannot end there."""
    after = text[quote + 1 : quote + 3].lstrip(" ")[:1]
    return text[quote - 1] == "\\" and after not in (",", ";", "\t", "|", "\n", "")
