"""The grammar of tricks: each turns a lawful request into one that somebody might read in another way."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TypeAlias

from tests.differential.drafts import Draft
from tests.differential.mutations import of_headers, of_members, of_messages, of_text

Mutation: TypeAlias = Callable[[Draft, random.Random], None]


def _of(room: ModuleType) -> Mapping[str, Mutation]:
    """Its own functions by name, but for its helpers."""
    return {
        name: each
        for name, each in vars(room).items()
        if callable(each) and not name.startswith("_") and getattr(each, "__module__", "") == room.__name__
    }


MUTATIONS: Mapping[str, Mutation] = {
    name: mutation
    for room in (of_members, of_messages, of_text, of_headers)
    for name, mutation in sorted(_of(room).items())
}
