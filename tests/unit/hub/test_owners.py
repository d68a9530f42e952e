"""What the hub remembers of callers is bounded, and nobody has others forgotten."""

from __future__ import annotations

from countersign.hub.peers import Owner, Owners
from countersign.model.principal import Principal, PrincipalKind

ALICE = Principal("https://idp.test", "alice", (), PrincipalKind.PERSON, "token")
MALLORY = Principal("https://idp.test", "mallory", (), PrincipalKind.PERSON, "token")


def of(owners: Owners, who: Principal, key: str) -> Owner:
    return owners.of(who, key, lambda: Owner(key))


def test_whoever_begins_many_sessions_has_none_forgotten_but_their_own() -> None:
    owners = Owners(most=10, most_of_one=3)
    hers = of(owners, ALICE, "a")
    kept = of(owners, MALLORY, "m0")
    for number in range(1, 100):
        of(owners, MALLORY, f"m{number}")
        assert of(owners, MALLORY, "m0") is kept, "it is used"
    assert of(owners, ALICE, "a") is hers
    assert len(owners) == 4


def test_of_all_those_are_forgotten_that_were_not_heard_of_for_longest() -> None:
    owners = Owners(most=3, most_of_one=3)
    first = [of(owners, who, who.subject) for who in (ALICE, MALLORY)]
    of(owners, ALICE, "again")
    of(owners, ALICE, "alice")
    of(owners, ALICE, "more")
    assert len(owners) == 3
    assert of(owners, ALICE, "alice") is first[0]
    assert of(owners, MALLORY, "mallory") is not first[1]
