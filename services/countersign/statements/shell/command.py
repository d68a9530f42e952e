"""One command as the tables get to see it, and the verdicts that they are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from countersign.statements.shell.words import Word
from countersign.statements.verdict import StatementClass, Verdict

_C = StatementClass


@dataclass(frozen=True, slots=True)
class Command:
    """A command's name and what stands behind it, and where it runs."""

    name: str
    words: tuple[Word, ...]
    folder: str = ""
    """Where an earlier ``cd`` went; empty for the shell's own folder."""
    source: str | None = None
    """The command whose output comes in through the pipe, if one does."""
    depth: int = 0
    """How many commands hold this one (``sudo env xargs …``)."""

    @property
    def texts(self) -> list[str] | None:
        """What the words say; ``None`` when one of them is unknown."""
        texts = [word.text for word in self.words if word.text is not None]
        return texts if len(texts) == len(self.words) else None

    def inner(self, words: Sequence[Word]) -> Command | None:
        """Return the command that these words of this one are (``env ls``); ``None`` when its name is unknown."""
        if not words or words[0].text is None or words[0].glob:
            return None
        return Command(words[0].text, tuple(words[1:]), self.folder, self.source, self.depth + 1)


Judge = Callable[[Command], Verdict]


def verdict(reason: str, *classes: StatementClass) -> Verdict:
    """Return a verdict of these classes."""
    return Verdict(frozenset(classes), reason=reason)


def always(reason: str, *classes: StatementClass) -> Judge:
    """Return a judge that looks at nothing."""
    fixed = verdict(reason, *classes)

    def judge(_: Command) -> Verdict:
        return fixed

    return judge


READS = verdict("it only reads", _C.READ)
RUNS = verdict("it runs what cannot be told here", _C.CODE_EXECUTION)
UNTOLD = verdict("its words are told only by a run", _C.CODE_EXECUTION)
FETCHES = verdict("it asks another server", _C.EXPORT)
"""A plain request for a page: its identity marks it, because a shell that runs the page is graver than the request."""


@dataclass(frozen=True, slots=True)
class Options:
    """A command's options by the rules of getopt: what was given, and the operands left over."""

    given: frozenset[str]
    operands: tuple[str, ...]
    values: dict[str, str]
    repeated: bool = False
    """An option with a value was given twice; ``values`` has the last."""


def options(texts: Sequence[str], valued: str = "", valued_long: frozenset[str] = frozenset()) -> Options:
    """Split words into options and operands.

    Short options are given letter by letter (``-rf`` is ``-r`` and ``-f``); ``valued`` has the letters that take a
    value, ``valued_long`` the long options that take one as the next word.
    """
    found: list[tuple[str, str | None]] = []
    operands: list[str] = []
    rest = iter(texts)
    for text in rest:
        if text == "--":
            operands.extend(rest)
        elif text.startswith("--"):
            key, equals, value = text.partition("=")
            found.append((key, value if equals else next(rest, "") if key in valued_long else None))
        elif text.startswith("-") and len(text) > 1:
            found.extend(_shorts(text[1:], valued, rest))
        else:
            operands.append(text)
    valued_options = [(key, value) for key, value in found if value is not None]
    values = dict(valued_options)
    given = frozenset(key for key, _ in found)
    return Options(given, tuple(operands), values, len(values) != len(valued_options))


def _shorts(letters: str, valued: str, rest: Iterator[str]) -> Iterator[tuple[str, str | None]]:
    for index, letter in enumerate(letters):
        if letter in valued:
            yield f"-{letter}", letters[index + 1 :] or next(rest, "")
            return
        yield f"-{letter}", None
