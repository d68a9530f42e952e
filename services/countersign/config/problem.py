"""What is wrong with a gateway.yaml, and where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A position in the file: line and column of a key's or value's first character, counted from 1."""

    line: int
    column: int


START = Place(1, 1)
"""Where a problem of the whole file is shown."""

SHOWN_AT_ONCE = 10
"""Problems that people are shown in one go: the next often follow from the first."""

_SHOWN = 400


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason to refuse the file: where, what is wrong, what to do about it. Holds no credential."""

    file: str
    line: int
    column: int
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.what}: {self.remedy}"


class ConfigRefused(ValueError):
    """The file is not taken. ``problems`` are all that could be found in one go, in the order of the file.

    ``str`` shows the first ``SHOWN_AT_ONCE`` of them, a line each, and says how many more there are. ``elsewhere`` says
    that they may be gone without an edit of the policy files: a credential is missing.
    """

    def __init__(self, problems: Iterable[Problem], *, elsewhere: bool = False) -> None:
        self.problems = tuple(problems)
        self.elsewhere = elsewhere
        more = len(self.problems) - SHOWN_AT_ONCE
        lines = [*map(str, self.problems[:SHOWN_AT_ONCE]), *([f"... and {more} more"] if more > 0 else [])]
        super().__init__("\n".join(lines))


class Problems:
    """A list of problems in the making; see ``ConfigRefused`` for ``elsewhere``."""

    def __init__(self, file: str) -> None:
        self.elsewhere = False
        self._file = file
        self._found: dict[Problem, None] = {}
        self._final: set[Place] = set()

    def __len__(self) -> int:
        return len(self._found)

    def add(self, place: Place, what: str, remedy: str, *, final: bool = False) -> None:
        """Note what is wrong at a place. After a ``final`` one, later ones there count as its consequences."""
        if place not in self._final:
            self._found[Problem(self._file, place.line, place.column, _shown(what), _shown(remedy))] = None
        if final:
            self._final.add(place)

    def add_all(self, others: Problems) -> None:
        """Note what is wrong with another file that this one names."""
        self._found.update(others._found)

    def refusal(self) -> ConfigRefused:
        """All of them as one error: those of the file itself first, each file's in its order."""
        return ConfigRefused(
            sorted(self._found, key=lambda each: (each.file != self._file, each.file, each.line, each.column)),
            elsewhere=self.elsewhere,
        )


def _shown(text: str) -> str:
    """One line, whatever keys and names the file holds."""
    cut = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in cut)
