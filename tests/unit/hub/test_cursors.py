"""A cursor is its caller's, for its list, and as it was given."""

from __future__ import annotations

from dataclasses import replace

import pytest

from countersign.hub.cursors import Cursors, NoCursor, Standing
from countersign.model.principal import Principal, PrincipalKind

ALICE = Principal("https://idp.test", "alice", ("analysts",), PrincipalKind.PERSON, "token-1")
STANDING = {"orders": Standing("läuft", 3), "new": Standing()}
CURSORS = Cursors(bytes(32))
SEALED = CURSORS.seal(ALICE, "tools/list", STANDING)


def test_it_says_how_far_each_target_was_listed() -> None:
    assert CURSORS.open(ALICE, "tools/list", SEALED) == STANDING
    assert CURSORS.open(replace(ALICE, token_id="token-2"), "tools/list", SEALED) == STANDING
    assert "orders" not in SEALED


@pytest.mark.parametrize(
    ("caller", "method", "cursor"),
    [
        (replace(ALICE, subject="bob"), "tools/list", SEALED),
        (replace(ALICE, issuer="https://other.test"), "tools/list", SEALED),
        (ALICE, "prompts/list", SEALED),
        (ALICE, "tools/list", SEALED[:-2] + ("AA" if SEALED[-2:] != "AA" else "BB")),
        (ALICE, "tools/list", SEALED[:20]),
        (ALICE, "tools/list", ""),
        (ALICE, "tools/list", "1"),
        (ALICE, "tools/list", "ä" * 40),
        (ALICE, "tools/list", Cursors(bytes([1] * 32)).seal(ALICE, "tools/list", STANDING)),
    ],
    # Not the values: what is sealed is another each time.
    ids=["subject", "issuer", "method", "changed", "cut", "empty", "short", "no base64", "another key"],
)
def test_no_other_is_taken(caller: Principal, method: str, cursor: str) -> None:
    with pytest.raises(NoCursor):
        CURSORS.open(caller, method, cursor)
