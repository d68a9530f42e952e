"""Cases by chance: a seed says all of them, and each of them by its number."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from tests.differential.drafts import Case, Draft
from tests.differential.honest import draft
from tests.differential.mutations import MUTATIONS

HONEST = "honest"
_NAMES = tuple(MUTATIONS)
# Of twenty requests one is lawful. More tricks on one would hide each other.
_HOW_MANY = (0, *(1,) * 13, *(2,) * 4, 3, 3)


def case(seed: int, number: int, before: Callable[[Draft], None] = lambda _: None) -> Case:
    """The case of this number: the same one for each run with that seed.

    ``before`` changes the lawful request before anything else is done to it.
    """
    chance = random.Random(f"{seed}/{number}")
    made = draft(chance)
    before(made)
    kinds: list[str] = []
    for _ in range(chance.choice(_HOW_MANY)):
        kind = chance.choice(_NAMES)
        MUTATIONS[kind](made, chance)
        kinds.append(kind)
    return Case(number, tuple(kinds) or (HONEST,), tuple(made.headers), made.body(chance))


def cases(seed: int, count: int) -> Iterator[Case]:
    """Make up so many cases."""
    return (case(seed, number) for number in range(count))
