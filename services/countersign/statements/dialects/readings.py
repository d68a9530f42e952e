"""From a text to the texts that a server may take it for: comments out, MySQL's executable comments in and out.

A comment is white space to every server here, and nowhere does one split or join words. So each becomes one space, and
what parses the result cannot disagree with the server on where a comment ends. What could be read in two ways that the
grammars do not tell apart (nested comments, control characters, letters that fold to ASCII) is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from typing import Final

from countersign.statements.dialects.errors import NotUnderstoodError
from countersign.statements.dialects.grammars import MYSQL_MODES

MOST_CONDITIONS: Final = 3
"""Kinds of executable comments (by version) of which each combination is read."""

_SQ_DOUBLED: Final = r"'(?:[^']|'')*+'"
_DQ_DOUBLED: Final = r'"(?:[^"]|"")*+"'
_BACKTICKS: Final = r"`(?:[^`]|``)*+`"
_BRACKETS: Final = r"\[(?:[^\]]|\]\])*+\]"
_SQ_ESCAPED: Final = r"'(?:[^'\\]|\\.|'')*+'"
_DQ_ESCAPED: Final = r'"(?:[^"\\]|\\.|"")*+"'
_BLOCK: Final = r"/\*.*?\*/"
_DASHES: Final = r"--[^\n]*"

_QUOTED: Final = {
    "mysql": (_SQ_ESCAPED, _DQ_ESCAPED, _BACKTICKS),
    "mysql_ansi": (_SQ_DOUBLED, _DQ_DOUBLED, _BACKTICKS),
    "mysql_ansi_escaped": (_SQ_ESCAPED, _DQ_DOUBLED, _BACKTICKS),
    "tsql": (_SQ_DOUBLED, _DQ_DOUBLED, _BRACKETS),
    "sqlite": (_SQ_DOUBLED, _DQ_DOUBLED, _BACKTICKS, r"\[[^\]]*\]"),
    "bigquery": (
        r"'''(?:[^'\\]|\\.|'(?!''))*+'''",
        r'"""(?:[^"\\]|\\.|"(?!""))*+"""',
        r"'(?:[^'\\\n]|\\.)*+'",
        r'"(?:[^"\\\n]|\\.)*+"',
        r"`(?:[^`\\\n]|\\.)*+`",
    ),
    "snowflake": (_SQ_ESCAPED, _DQ_DOUBLED, r"\$\$.*?\$\$"),
}
# MySQL takes two dashes for a comment only before white space, a control character or the end; else they are minuses.
_MYSQL_LINE: Final = (r"--(?=[\x00-\x20]|\Z)[^\n]*", r"#[^\n]*")
_COMMENTS: Final = {
    "mysql": (*_MYSQL_LINE, _BLOCK),
    **dict.fromkeys(MYSQL_MODES, (*_MYSQL_LINE, _BLOCK)),
    "tsql": (_DASHES, _BLOCK),
    "sqlite": (_DASHES, _BLOCK),
    "bigquery": (_DASHES, r"#[^\n]*", _BLOCK),
    "snowflake": (_DASHES, r"//[^\n]*", _BLOCK),
}
_STOPS: Final = {
    "mysql": "'\"`#/-",
    **dict.fromkeys(MYSQL_MODES, "'\"`#/-"),
    "tsql": "'\"[/-",
    "sqlite": "'\"`[/-",
    "bigquery": "'\"`#/-",
    "snowflake": "'\"/$-",
}


def _scanner(grammar: str) -> re.Pattern[str]:
    quoted, comments = "|".join(_QUOTED[grammar]), "|".join(_COMMENTS[grammar])
    stops = re.escape(_STOPS[grammar])
    return re.compile(
        rf"(?P<plain>[^{stops}]+)|(?P<quoted>{quoted})|(?P<comment>{comments})|(?P<sign>[/$-])", re.DOTALL
    )


_SCANNERS: Final = {grammar: _scanner(grammar) for grammar in _QUOTED}
_CONDITIONAL: Final = re.compile(r"/\*(M?!)([0-9]{0,6})(.*)\*/", re.DOTALL)
_HINT_THAT_SETS: Final = re.compile(r"/\*\+.*\b(?:set_var|resource_group)\b", re.DOTALL | re.IGNORECASE)
# A number that a word follows at once: to the server two of them, to others one, or an exponent and a rest.
_GLUED: Final = {
    "mysql": re.compile(
        r"(?<![\w$@.`])(?>(?>\d+\.\d*|\.\d+)(?:[eE]\d+)?+|\d+[eE]\d+)(?![eE]?\Z)(?=[^\W\d]|[$@])",
    ),
    "tsql": re.compile(
        r"(?<![\w$@#.])(?>0[xX][0-9a-fA-F]*|\$?(?>\d+\.?\d*|\.\d+)(?:[eE]\d+)?+)(?![eE]?\Z)(?=[^\W\d]|[$@#])",
    ),
}
_DIGIT_AND_WORD: Final = re.compile(r"[0-9][.A-Za-z_$@#]")
_SUSPECT: Final = re.compile(r"[^ -~\t\n\r]")
# Of a text without any of these the tokens are the same to all who read it.
_WORTH_A_LOOK: Final = re.compile(r"--|/[*/]|#|[^ -~\t\n\r]|[\\`{}$\[\]]")
_QUOTE_AFTER_BACKSLASH: Final = re.compile(r"\\['\"]")
# Brackets are of arrays in BigQuery and Snowflake; a backslash is of no grammar; backticks are of those that quote by
# them. Braces with a sign are no SQL, but comments and blocks of templates to sqlglot.
_STRAY: Final = {
    "mysql": re.compile(r"[\\{}\[\]]"),
    **dict.fromkeys(MYSQL_MODES, re.compile(r"[\\{}\[\]]")),
    "tsql": re.compile(r"[\\`{}]"),
    "sqlite": re.compile(r"[\\{}\]]"),
    "bigquery": re.compile(r"\\|\{[{%#]"),
    "snowflake": re.compile(r"[\\`]|\{[{%#]"),
}


@dataclass(frozen=True, slots=True)
class Condition:
    """The content of a comment that some servers execute: those of ``kind`` and at least ``version``."""

    kind: str
    version: str
    content: str


@dataclass(frozen=True, slots=True)
class Reading:
    """One text that a server may take the statement for, without comments, and the grammar to parse it by."""

    text: str
    grammar: str
    likely: bool = True
    """Whether a server in its default settings reads it so."""


def readings(text: str, dialect: str) -> list[Reading]:
    """Return every reading of the text, the most likely first. Raises :class:`NotUnderstoodError`."""
    if not _WORTH_A_LOOK.search(text) and not (dialect in _GLUED and _DIGIT_AND_WORD.search(text)):
        return [Reading(text, dialect)]
    found = [Reading(each, dialect) for each in _variants(text, dialect)]
    if dialect == "mysql" and _QUOTE_AFTER_BACKSLASH.search(text):
        # Where the modes of the server decide on where a string ends, the other end is read, too.
        for mode in MYSQL_MODES:
            with suppress(NotUnderstoodError):
                found += [Reading(each, mode, likely=False) for each in _variants(text, mode)]
    return found


def _variants(text: str, grammar: str) -> Iterator[str]:
    parts = list(_parts(text, grammar))
    conditions = sorted({(part.kind, part.version) for part in parts if isinstance(part, Condition)})
    if len(conditions) > MOST_CONDITIONS:
        raise NotUnderstoodError("more kinds of executable comments than are read")
    for chosen in product((True, False), repeat=len(conditions)):
        active = {condition for condition, on in zip(conditions, chosen, strict=True) if on}
        yield "".join(
            part if isinstance(part, str) else f" {part.content} " if (part.kind, part.version) in active else " "
            for part in parts
        )


def _parts(text: str, grammar: str) -> Iterator[str | Condition]:
    scanner, position, end = _SCANNERS[grammar], 0, len(text)
    while position < end:
        match = scanner.match(text, position)
        if match is None:
            raise NotUnderstoodError("a quote or a comment has no end")
        kind, piece = match.lastgroup, match.group()
        if kind == "comment":
            yield from _of_comment(piece, grammar)
        elif kind == "sign" and text.startswith("/*", position):
            raise NotUnderstoodError("a comment has no end")
        else:
            if kind == "plain":
                _check_plain(piece, grammar)
            yield piece
        position = match.end()


def _of_comment(piece: str, grammar: str) -> Iterator[str | Condition]:
    if not piece.startswith("/*"):
        if "\r" in piece.removesuffix("\r"):
            raise NotUnderstoodError("a line comment holds a carriage return, which ends a line to some")
        yield " "
        return
    if "/*" in piece[2:]:
        raise NotUnderstoodError("comments are nested, which servers read differently")
    if not grammar.startswith("mysql"):
        yield " "
    elif _HINT_THAT_SETS.match(piece):
        raise NotUnderstoodError("a hint sets how the session runs")
    elif match := _CONDITIONAL.fullmatch(piece):
        kind, version, content = match.groups()
        if kind == "!" and len(version) == 6 and not version.startswith("0"):
            # Five digits and a number that follows to some, six to others.
            raise NotUnderstoodError("the version of an executable comment is ambiguous")
        if any(isinstance(part, Condition) for part in _parts(content, grammar)):
            raise NotUnderstoodError("executable comments are nested")
        yield Condition(kind, version, content)
    elif piece.startswith(("/*!", "/*M!")):
        raise NotUnderstoodError("an executable comment is not understood")
    else:
        yield " "


def _check_plain(piece: str, grammar: str) -> None:
    if _STRAY[grammar].search(piece):
        raise NotUnderstoodError("a character stands where this grammar has none")
    glued = _GLUED.get("mysql" if grammar in MYSQL_MODES else grammar)
    if glued is not None and glued.search(piece):
        raise NotUnderstoodError("a number and a word are one to some and two to others")
    if piece.isascii() and piece.isprintable():
        return
    for character in _SUSPECT.findall(piece):
        folded = character.upper() + character.lower()
        if not character.isalpha() or not character.isidentifier() or any(each.isascii() for each in folded):
            raise NotUnderstoodError("a character outside of quotes is read differently by parsers")
