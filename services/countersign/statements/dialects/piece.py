"""One statement as tokens, and as words that are easy to compare."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlglot.tokenizer_core import Token, TokenType

from countersign.statements.dialects.errors import NotUnderstoodError
from countersign.statements.dialects.grammars import MYSQL_MODES, RETRIED, tokenize

STRING: Final = "'"
"""Begins the word of a string; its text follows."""
QUOTED: Final = '"'
"""Begins the word of a quoted identifier; its text follows."""

MOST_TOKENS: Final = 2200
MOST_DEPTH: Final = 40
MOST_UNTIED_JOINS: Final = 5
"""Joins without ``ON``: the grammars try each in two ways, so the time doubles with every one."""

MOST_WORK: Final = 8000
"""Tokens that the grammar may read, with those that it reads again."""
MOST_PIPES: Final = 30
_RETRIED_MORE: Final = frozenset({"BINARY", "LATERAL", "DIV0", "DIV0NULL", "SORT_ARRAY"})

_STRINGS: Final = frozenset(
    {
        TokenType.STRING,
        TokenType.RAW_STRING,
        TokenType.NATIONAL_STRING,
        TokenType.UNICODE_STRING,
        TokenType.BYTE_STRING,
        TokenType.HEREDOC_STRING,
        TokenType.BIT_STRING,
        TokenType.HEX_STRING,
    }
)
_OPENING: Final = frozenset("([{")
_CLOSING: Final = frozenset(")]}")
_FREE_JOINS: Final = frozenset({"CROSS", "NATURAL"})


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of tokens. ``words`` has one entry a token.

    A bare word or sign is in upper case as it is; a string begins with :data:`STRING`, a quoted identifier with
    :data:`QUOTED`, so neither ever equals a keyword.
    """

    tokens: Sequence[Token]
    words: Sequence[str]
    grammar: str
    text: str

    def __len__(self) -> int:
        return len(self.words)

    @property
    def dialect(self) -> str:
        """The dialect, whatever its modes."""
        return "mysql" if self.grammar in MYSQL_MODES else self.grammar

    @property
    def head(self) -> str:
        """The first word, or nothing."""
        return self.words[0] if self.words else ""

    def word(self, index: int) -> str:
        """Return the word at ``index``, or nothing where there is none."""
        return self.words[index] if 0 <= index < len(self.words) else ""

    def part(self, start: int, stop: int | None = None) -> Piece:
        """Return the tokens from ``start`` to before ``stop``."""
        return Piece(self.tokens[start:stop], self.words[start:stop], self.grammar, self.text)

    def without(self, start: int, stop: int) -> Piece:
        """Return the piece with the tokens from ``start`` to before ``stop`` taken out."""
        tokens = [*self.tokens[:start], *self.tokens[stop:]]
        return Piece(tokens, [*self.words[:start], *self.words[stop:]], self.grammar, self.text)

    def headed(self, text: str, replaced: int = 1) -> Piece:
        """Return the piece with these words in place of as many as ``replaced`` at its beginning."""
        first = piece_of(text, self.grammar)
        tokens = [*first.tokens, *self.tokens[replaced:]]
        return Piece(tokens, [*first.words, *self.words[replaced:]], self.grammar, self.text)

    def begins(self, *words: str) -> bool:
        """Whether the piece begins with these words."""
        return tuple(self.words[: len(words)]) == words

    def find(self, word: str, start: int = 0) -> int:
        """Return where ``word`` stands outside of all parentheses, or -1."""
        depth = 0
        for index in range(start, len(self.words)):
            each = self.words[index]
            if each in _OPENING:
                depth += 1
            elif each in _CLOSING:
                depth -= 1
            elif each == word and depth == 0:
                return index
        return -1

    def closing(self, opening: int) -> int:
        """Return the index of the sign that closes the one at ``opening``."""
        depth = 0
        for index in range(opening, len(self.words)):
            each = self.words[index]
            if each in _OPENING:
                depth += 1
            elif each in _CLOSING:
                depth -= 1
                if depth == 0:
                    return index
        raise NotUnderstoodError("a parenthesis is not closed")


def piece_of(text: str, grammar: str) -> Piece:
    """Return the whole text as a piece. Raises :class:`NotUnderstoodError`, also when it is too much to parse."""
    tokens = tokenize(text, grammar)
    if grammar == "sqlite":
        tokens = [token for index, token in enumerate(tokens) if not index or not _numbers(tokens[index - 1], token)]
    if len(tokens) > MOST_TOKENS:
        raise NotUnderstoodError("the text is too long to be understood in time")
    words = [_word(token) for token in tokens]
    _check_shape(words)
    _check_work(tokens, words, RETRIED[grammar])
    return Piece(tokens, words, grammar, text)


def _numbers(first: Token, second: Token) -> bool:
    """Whether the second token is the number of a parameter that the grammar does not know as one (``?1``)."""
    return (
        first.token_type is TokenType.PLACEHOLDER
        and second.token_type is TokenType.NUMBER
        and first.end + 1 == second.start
    )


def _word(token: Token) -> str:
    kind, text = token.token_type, token.text
    if kind in _STRINGS:
        return STRING + text
    if kind is TokenType.IDENTIFIER:
        return QUOTED + text
    word = text.upper()
    # Some keywords are two words, with whatever white space was between them.
    return word if len(word) < 3 or word.isalnum() else " ".join(word.split())


def _check_shape(words: Sequence[str]) -> None:
    if len(words) <= MOST_DEPTH and words.count("JOIN") + words.count("STRAIGHT_JOIN") <= MOST_UNTIED_JOINS:
        return
    depth = untied = nots = 0
    for index, word in enumerate(words):
        if word in _OPENING or word == "CASE":
            depth += 1
            if depth > MOST_DEPTH:
                raise NotUnderstoodError("the text is nested too deeply to be understood in time")
        elif word in _CLOSING or word == "END":
            depth = max(0, depth - 1)
        elif word == "JOIN" or word.endswith("_JOIN"):
            untied += words[index - 1] not in _FREE_JOINS
            if untied > MOST_UNTIED_JOINS:
                raise NotUnderstoodError("more joins without a condition than can be understood in time")
        elif word in {"ON", "USING"}:
            untied = max(0, untied - 1)
        nots = nots + 1 if word in {"NOT", "-", "~", "!", "+"} else 0
        if nots > MOST_DEPTH:
            raise NotUnderstoodError("the text is nested too deeply to be understood in time")


def _check_work(tokens: Sequence[Token], words: Sequence[str], retried: Container[TokenType]) -> None:
    """Refuse parentheses that the grammar reads in two ways one within the other: the time doubles with each."""
    if words.count("|>") > MOST_PIPES:
        raise NotUnderstoodError("more pipes than can be understood in time")
    weight, total = 1, 0
    weights: list[int] = []
    for index, word in enumerate(words):
        if word in {"(", "["}:
            weights.append(weight)
            if index and words[index - 1] in _RETRIED_MORE:
                weight *= 4
            elif index and tokens[index - 1].token_type in retried:
                weight *= 2
        elif word in {")", "]"} and weights:
            weight = weights.pop()
        total += weight
    if total > MOST_WORK:
        raise NotUnderstoodError("the text could be read in more ways than can be tried in time")


def statements(piece: Piece) -> Iterator[Piece]:
    """Yield the parts between semicolons; empty ones are left out. A routine's body is not cut."""
    words = piece.words
    if ";" not in words:
        yield piece
        return
    start = 0
    for index in (*(index for index, word in enumerate(words) if word == ";"), len(words)):
        if index <= start:
            start = max(start, index + 1)
            continue
        if words[start] == "CREATE" and "BEGIN" in words[start:index] and not _ends(words, index):
            continue
        yield piece.part(start, index)
        start = index + 1


def _ends(words: Sequence[str], index: int) -> bool:
    """Whether the body of a routine ends before ``index``: by an END, or because there is no END to come."""
    return words[index - 1] == "END" or "END" not in words[index:]
