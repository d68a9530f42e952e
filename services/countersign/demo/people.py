"""Who exists in the demo: invented people, their groups, and the one secret that all of them share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody the demo issuer signs tokens for. ``name`` becomes the token's ``sub``."""

    name: str
    groups: tuple[str, ...]


ALICE = Person("alice", ("analysts",))
BOB = Person("bob", ("support",))
CAROL = Person("carol", ("auditors",))
PEOPLE = (ALICE, BOB, CAROL)

SHARED_SECRET = "demo"  # noqa: S105  known to everybody on purpose: these people and their data are invented
