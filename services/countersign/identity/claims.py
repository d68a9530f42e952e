"""What tokens claim, found by paths and read with bounds: groups, actors, and texts that globs are set against."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeGuard

from countersign.config.types_identity import Claims as Wanted
from countersign.identity.errors import Unidentified
from countersign.identity.jws import MAX_TEXT, Claims
from countersign.model.glob import GlobSet

_MAX_GROUPS = 500
_MAX_ACTORS = 4
OVERAGE = (
    "the token names so many groups that it does not list them (overage): give the application roles, "
    "and name them by `groups: roles` in gateway.yaml"
)


class ClaimPath:
    """Where a claim stands: a name that is there, or holds ``://``, whole; else the dots are levels.

    Names of claims may hold dots themselves (``kubernetes.io.namespace``): the longest that is there goes first.
    """

    __slots__ = ("_steps", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._steps = (text,) if "://" in text else tuple(text.split("."))

    def find(self, claims: Claims) -> object:
        """Return what stands there; ``None`` when nothing does."""
        return _found(claims, self._steps)

    @property
    def first(self) -> str:
        """The claim in which it begins."""
        return self._steps[0]


class Demands:
    """What claims must be: made ready to be set against many tokens."""

    __slots__ = ("_wanted",)

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = tuple((ClaimPath(path), GlobSet(entries)) for path, entries in wanted.items())

    def unmet(self, claims: Claims) -> str:
        """Return the path of the first claim that does not fit; empty when all do."""
        for path, globs in self._wanted:
            if not any(globs.matches(text) for text in _texts(path.find(claims))):
                return path.text
        return ""


def groups_of(claims: Claims, path: ClaimPath) -> tuple[str, ...]:
    """Return the groups that stand at ``path``, sorted. Raises ``Unidentified`` when they cannot be told."""
    found = path.find(claims)
    elsewhere = claims.get("_claim_names")
    # OpenID Connect Core 1.0, section 5.6.2: they would have to be fetched, from wherever the token says.
    if isinstance(elsewhere, Mapping) and path.first in elsewhere:
        raise Unidentified(OVERAGE)
    if path.first == "groups" and claims.get("hasgroups"):
        raise Unidentified(OVERAGE)
    if found is None:
        return ()
    listed = [found] if isinstance(found, str) else found
    if not isinstance(listed, list) or not all(isinstance(group, str) for group in listed):
        raise Unidentified("the token's groups are not a list of names")
    if len(listed) > _MAX_GROUPS:
        raise Unidentified(f"the token names more than {_MAX_GROUPS} groups")
    return tuple(sorted(set(listed)))


def actors_of(claims: Claims, issuer: str) -> tuple[str, ...]:
    """Return who acts for the subject, the one that acts now first (RFC 8693, section 4.1)."""
    found: list[str] = []
    holder: Mapping[str, object] = claims
    while "act" in holder:
        actor = holder["act"]
        if not isinstance(actor, Mapping):
            raise Unidentified("the token's actor is not a set of claims")
        subject = actor.get("sub")
        if not is_name(subject):
            raise Unidentified("the subject of the token's actor is missing, too long, or holds control characters")
        # Actors are told apart by their subjects alone, which mean something else elsewhere.
        if actor.get("iss", issuer) != issuer:
            raise Unidentified("the token's actor is of another issuer")
        if len(found) == _MAX_ACTORS:
            raise Unidentified(f"the token names more than {_MAX_ACTORS} actors")
        found.append(subject)
        holder = actor
    return tuple(found)


def is_name(value: object) -> TypeGuard[str]:
    """Whether this can name somebody.

    Without control characters: not all that compare names can keep them (Postgres has no NUL), and two that differ by
    them look like one.
    """
    return isinstance(value, str) and 0 < len(value) <= MAX_TEXT and not any(c < " " or c == "\x7f" for c in value)


def text_of(claims: Claims, name: str) -> str:
    """Return a claim that ``is_name``; empty when it is anything else."""
    found = claims.get(name)
    return found if is_name(found) else ""


def _found(holder: object, steps: tuple[str, ...]) -> object:
    if not steps:
        return holder
    if not isinstance(holder, Mapping):
        return None
    for end in range(len(steps), 0, -1):
        name = ".".join(steps[:end])
        if name in holder:
            found = _found(holder[name], steps[end:])
            if found is not None:
                return found
    return None


def _texts(value: object) -> Iterator[str]:
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, bool):
            yield str(each).lower()
        elif isinstance(each, str | int):
            yield str(each)
