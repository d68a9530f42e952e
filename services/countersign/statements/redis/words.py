"""Redis's inline protocol: one command a line, words quoted as ``redis-cli`` and the server quote them.

Source: redis.io, "Redis serialization protocol specification", section "Inline commands"; the quoting is that of
``sdssplitargs``: double quotes know escapes, single quotes know only ``\\'``, a closing quote ends its word.
"""

from __future__ import annotations

import re

_SPACE = " \t\r\v\f"
_PLAIN = re.compile(r"[^ \t\r\v\f]+")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "a": "\a"}
_HEX = re.compile(r"x([0-9a-fA-F]{2})")


class QuotingError(ValueError):
    """A line whose quotes do not close, or close in the middle of a word."""


def split_line(line: str) -> list[str]:
    """Split one line (no line feed in it) into words. Raises :class:`QuotingError`."""
    if "\0" in line:
        raise QuotingError("a NUL ends what some readers see")
    if '"' not in line and "'" not in line:
        return _PLAIN.findall(line)
    words: list[str] = []
    position = 0
    while position < len(line):
        if line[position] in _SPACE:
            position += 1
            continue
        word, position = _word(line, position)
        words.append(word)
    return words


def _word(line: str, position: int) -> tuple[str, int]:
    pieces: list[str] = []
    while position < len(line) and line[position] not in _SPACE:
        character = line[position]
        if character in "\"'":
            piece, position = _quoted(line, position + 1, character)
            pieces.append(piece)
            if position < len(line) and line[position] not in _SPACE:
                raise QuotingError("text follows a closing quote")
        else:
            pieces.append(character)
            position += 1
    return "".join(pieces), position


def _quoted(line: str, position: int, quote: str) -> tuple[str, int]:
    pieces: list[str] = []
    while position < len(line):
        character = line[position]
        if character == quote:
            return "".join(pieces), position + 1
        if character == "\\" and position + 1 < len(line) and (quote == '"' or line[position + 1] == "'"):
            piece, position = _escaped(line, position + 1, quote)
            pieces.append(piece)
        else:
            pieces.append(character)
            position += 1
    raise QuotingError("a quote does not close")


def _escaped(line: str, position: int, quote: str) -> tuple[str, int]:
    if quote == '"' and (digits := _HEX.match(line, position)):
        return chr(int(digits[1], 16)), digits.end()
    character = line[position]
    return (_ESCAPES.get(character, character) if quote == '"' else character), position + 1
