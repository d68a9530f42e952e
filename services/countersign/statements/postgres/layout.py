"""A statement laid out for people, who decide by what they read: its own tokens, with other white space between.

No formatter is used. Those that there are write a statement anew from its tree, and some lose what changes its meaning
(``ONLY`` of ``DELETE FROM ONLY t``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import postgast

from countersign.model.visible import visible
from countersign.statements.postgres.parsing import NotUnderstood, encoded

COMMENT_MARK: Final = "  ← comment"
"""Ends each line of a comment, which runs nothing, and may claim anything."""

CONTINUED: Final = "│ "
"""Begins each further line of a text or name that has several, so that none of them passes for a line of the code."""

# They may stand in names, too, where they would say what is not so.
_OUR_SIGNS: Final = str.maketrans({"←": r"\u2190", "│": r"\u2502"})
_LONG_LINE: Final = 100
_COMMENTS: Final = frozenset({"SQL_COMMENT", "C_COMMENT"})
# These begin a line, but not after those in ``_JOINED_TO``.
_BEGINNERS: Final = frozenset(
    {
        *("select", "from", "where", "group", "having", "order", "limit", "offset", "fetch", "window", "returning"),
        *("union", "intersect", "except", "values", "join", "left", "right", "full", "inner", "cross", "natural"),
        *("set", "when", "on", "using", "and", "or"),
    }
)
_JOINED_TO: Final = {
    "select": ("grant", "revoke"),
    "from": ("delete", "distinct"),
    "join": ("left", "right", "full", "inner", "cross", "natural", "outer"),
    "inner": ("natural",),
    "left": ("natural",),
    "right": ("natural",),
    "full": ("natural",),
    "group": ("within",),
    "or": ("create",),
    "set": ("update", "delete"),
    "on": ("distinct",),
}
_INDENTED: Final = frozenset({"on", "and", "or", "using"})
_OPENS_BLOCK: Final = frozenset({"select", "with", "values", "insert", "update", "delete", "merge", "table"})


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    kind: str
    spaced: bool
    """Whether anything stood between it and the token before."""

    @property
    def is_comment(self) -> bool:
        return self.kind in _COMMENTS


@dataclass(slots=True)
class _Line:
    indent: int
    tokens: list[_Token] = field(default_factory=list)

    @property
    def is_comment(self) -> bool:
        return len(self.tokens) == 1 and self.tokens[0].is_comment

    @property
    def code(self) -> str:
        parts = [
            f" {token.text}" if token.spaced and position else token.text for position, token in enumerate(self.tokens)
        ]
        return f"{self.indent * '  '}{''.join(parts)}"

    @property
    def shown(self) -> str:
        lines = [visible(each).translate(_OUR_SIGNS) for each in self.code.split("\n")]
        if self.is_comment:
            return "\n".join(each + COMMENT_MARK for each in lines)
        return f"\n{CONTINUED}".join(lines)


def lay_out(text: str) -> str:
    """Return ``text``, PostgreSQL in UTF-8, with other white space, and nothing hidden or disguised.

    Each comment stands on lines of its own, which say so (:data:`COMMENT_MARK`); lines within a text begin with
    :data:`CONTINUED`; what is not drawn is written out as ``visible`` does. Apart from that its tokens are those of
    ``text``, one for one.

    Raises:
        NotUnderstood: when it is too long, or not made of PostgreSQL's tokens.
    """
    tokens = _scan(text)
    lines = list(_Layout().lines(tokens))
    again = _scan("\n".join(line.code for line in lines))
    if [(token.text, token.kind) for token in again] != [(token.text, token.kind) for token in tokens]:
        raise NotUnderstood("white space means something in it")
    return "\n".join(line.shown for line in lines)


def shape(text: str) -> tuple[int, int]:
    """Return how many comments a text has and how many semicolons, as PostgreSQL reads it. Raises as `lay_out`."""
    tokens = _scan(text)
    return sum(token.is_comment for token in tokens), sum(token.text == ";" for token in tokens)


def _scan(text: str) -> list[_Token]:
    data = encoded(text)
    try:
        found = postgast.scan(text)
    except postgast.PgQueryError:
        found = None
    if found is None:
        # Raised out here so that no exception that quotes the text rides along as the context.
        raise NotUnderstood("no valid PostgreSQL")
    tokens, end = [], 0
    for one in found.tokens:
        kind = postgast.pg_query_pb2.Token.Name(one.token)
        tokens.append(_Token(data[one.start : one.end].decode().rstrip("\r\n"), kind, one.start > end))
        end = one.end
    return tokens


class _Layout:
    """Breaks tokens into lines. Whatever it does is checked: its looks are all that it can spoil."""

    def __init__(self) -> None:
        # Whether each parenthesis that is open holds a statement, which is laid out, or anything else.
        self._blocks: list[bool] = []
        self._cases = 0
        self._between = False
        self._word_before = ""

    def lines(self, tokens: Sequence[_Token]) -> Iterator[_Line]:
        """Yield the lines of a text."""
        line = _Line(0)
        for position, token in enumerate(tokens):
            following = tokens[position + 1].text.lower() if position + 1 < len(tokens) else ""
            word = token.text.lower()
            closes_block = word == ")" and bool(self._blocks) and self._blocks[-1]
            if (
                token.is_comment
                or line.is_comment
                or self._begins(word, following)
                or closes_block
                or self._is_full(line)
            ):
                if line.tokens:
                    yield line
                line = _Line(self._indent(word, closes_block=closes_block))
            line.tokens.append(token)
            self._follow(word, following)
            if word == ";" and not self._blocks:
                yield line
                line = _Line(0)
        if line.tokens:
            yield line

    def _begins(self, word: str, following: str) -> bool:
        if not all(self._blocks[-1:]) or word not in _BEGINNERS:
            return False
        if word in ("left", "right") and following == "(":
            return False
        if (word == "when" and self._cases) or (word == "and" and self._between):
            return False
        return self._word_before not in _JOINED_TO.get(word, ())

    def _indent(self, word: str, *, closes_block: bool) -> int:
        depth = 2 * sum(self._blocks)
        return depth - 1 if closes_block else depth + (word in _INDENTED)

    def _is_full(self, line: _Line) -> bool:
        return self._word_before == "," and len(line.code) > _LONG_LINE

    def _follow(self, word: str, following: str) -> None:
        if word == "(":
            self._blocks.append(following in _OPENS_BLOCK)
        elif word == ")" and self._blocks:
            self._blocks.pop()
        elif word == "case":
            self._cases += 1
        elif word == "end" and self._cases:
            self._cases -= 1
        if word in ("between", "and") and not (self._blocks and not self._blocks[-1]):
            self._between = word == "between"
        self._word_before = word
