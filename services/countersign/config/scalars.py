"""Where a character of a scalar's value stands in the file, whatever the style in which the scalar is written."""

from __future__ import annotations

import re
from collections.abc import Iterator

from countersign.config.document import Node
from countersign.config.problem import Place

_NEWLINES = "\n\x85\u2028\u2029"
_HEADER = re.compile(r"[|>][^\n\x85\u2028\u2029]*")
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|\r\n|(.))", re.DOTALL)
_BLANK_ESCAPES = frozenset("tnvf NL_P\t\r" + _NEWLINES)


def place_inside(node: Node, position: int) -> Place:
    """Where ``node.value[position]`` stands in the file, for a scalar that holds text.

    YAML (1.2, chapter 7 and 8.1) folds, strips and indents blanks, but keeps all else in its order. So characters that
    are no blanks are counted; what points to a blank is shown right after the character before it.
    """
    text = node.value if isinstance(node.value, str) else ""
    solid = sum(not character.isspace() for character in text[:position])
    at_solid = position < len(text) and not text[position].isspace()
    end = 0
    for count, (start, after) in enumerate(_solids(node.raw)):
        if count == solid and (at_solid or count == 0):
            return _at(node, start)
        if count == solid:
            break
        end = after
    return _at(node, end)


def _solids(raw: str) -> Iterator[tuple[int, int]]:
    """Where each character of the value that is no blank starts and ends in what is written."""
    style = raw[:1]
    header = _HEADER.match(raw)
    at = header.end() if header else int(style in ("'", '"'))
    end = len(raw) - int(style in ("'", '"'))
    while at < end:
        size, solid = 1, not raw[at].isspace()
        if style == "'" and raw[at] == "'":
            size = 2
        elif style == '"' and (escape := _ESCAPE.match(raw, at)):
            size, solid = len(escape[0]), _is_solid(escape)
        if solid:
            yield at, at + size
        at += size


def _is_solid(escape: re.Match[str]) -> bool:
    code = escape[1] or escape[2] or escape[3]
    if code:
        return not chr(int(code, 16)).isspace()
    return escape[4] is not None and escape[4] not in _BLANK_ESCAPES


def _at(node: Node, offset: int) -> Place:
    """The place of a character of what is written; lines end where the YAML reader ends them."""
    line, column = node.place.line, node.place.column
    for index, character in enumerate(node.raw[:offset]):
        if character in _NEWLINES or (character == "\r" and node.raw[index + 1 : index + 2] != "\n"):
            line, column = line + 1, 1
        else:
            column += 1
    return Place(line, column)
