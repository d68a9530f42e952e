"""A question about words, as people type it in search boxes and PostgreSQL's ``websearch_to_tsquery`` reads it.

``anna orders`` asks for both words, ``"anna schmidt"`` for one behind the other, ``or`` between two for either of them,
a hyphen before one for its absence. ``or`` binds less than the blank between two words. There are no errors but bounds:
other signs separate words, and words that signs separate are a phrase, as in ``customer_id``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from countersign.recorder.search.words import text_of, words_of

MAX_CHARACTERS = 500
MAX_WORDS = 32
_TERM = re.compile(r'(-?)(?:"([^"]*)"?|([^\s"]+))')


class BadQuery(ValueError):
    """The text asks for nothing, or for too much. The message is for a person."""


@dataclass(frozen=True, slots=True)
class Term:
    """Words that stand one behind the other; ``wanted`` is whether they must, or must not."""

    words: tuple[str, ...]
    wanted: bool

    @property
    def spaced(self) -> str:
        """The words as they stand in a text of words: with one blank before each, and one behind the last."""
        return f" {' '.join(self.words)} "


@dataclass(frozen=True, slots=True)
class Query:
    """Alternatives, of one of which all terms must hold."""

    alternatives: tuple[tuple[Term, ...], ...]

    @property
    def wanted_words(self) -> tuple[frozenset[str], ...]:
        """Of each alternative the words that a text must hold; empty where it only says what must be absent."""
        return tuple(
            frozenset(word for term in terms if term.wanted for word in term.words) for terms in self.alternatives
        )

    def matches(self, body: bytes) -> bool:
        """Whether a masked body says what is asked for."""
        if not self._possible(body):
            return False
        text = f" {' '.join(words_of(text_of(body)))} "
        return any(all((term.spaced in text) == term.wanted for term in terms) for terms in self.alternatives)

    def _possible(self, body: bytes) -> bool:
        """Whether it must be looked at closely: most bodies do not hold the letters of the words at all."""
        if not body.isascii() or b"\\u" in body:
            return True
        letters = body.decode("ascii").lower()
        return any(all(word in letters for word in words) for words in self.wanted_words)


def query_of(text: str) -> Query:
    """Read a question. Raises ``BadQuery``."""
    if len(text) > MAX_CHARACTERS:
        raise BadQuery(f"at most {MAX_CHARACTERS} characters")
    alternatives: list[list[Term]] = [[]]
    for hyphen, phrase, word in _TERM.findall(text):
        if word.casefold() == "or" and not hyphen:
            if alternatives[-1]:
                alternatives.append([])
        elif words := words_of(phrase or word):
            alternatives[-1].append(Term(tuple(words), not hyphen))
    asked = tuple(tuple(terms) for terms in alternatives if terms)
    if not asked:
        raise BadQuery("holds no word")
    if sum(len(term.words) for terms in asked for term in terms) > MAX_WORDS:
        raise BadQuery(f"at most {MAX_WORDS} words")
    return Query(asked)
