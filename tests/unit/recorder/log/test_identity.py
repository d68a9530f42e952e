"""A log has one name, all of its keys sign, and keys that cannot be meant are refused without being shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from countersign.recorder.log.errors import BadLogKeys
from countersign.recorder.log.identity import log_identity
from countersign.tlog import KeyKind, SignerKey
from tests.support.log_keys import log_key

STATE = Path("log.state")


def text(*keys: SignerKey) -> str:
    return "".join(f"{key.secret_text()}\n" for key in keys)


def test_all_keys_sign_in_their_order() -> None:
    old, new = log_key(number=1), log_key(number=2)
    identity = log_identity(f"# until March\n{text(old)}\n  {text(new)}", STATE)
    assert identity.origin == "log.test"
    assert identity.verifiers == (old.verifier, new.verifier)


WITNESS = SignerKey("log.test", KeyKind.COSIGNATURE, bytes([1]) * 32)
BAD = {
    "nothing": ("", "no key"),
    "a comment": ("# none yet\n", "no key"),
    "another text": ("key\n", "line 1"),
    "a verifier's key": (f"\n{log_key().verifier}\n", "line 2"),
    "a key that was cut": (text(log_key())[:-9] + "\n", "line 1"),
    "two names": (text(log_key("a.test"), log_key("b.test")), "a.test and b.test"),
    "a key twice": (text(log_key(), log_key()), "twice"),
    "a witness's": (text(WITNESS), "witness"),
    "too many": (text(*[log_key(number=number) for number in range(9)]), "more than 8"),
}


@pytest.mark.parametrize("what", list(BAD))
def test_what_cannot_be_meant_is_refused_and_not_shown(what: str) -> None:
    keys, why = BAD[what]
    with pytest.raises(BadLogKeys, match=why) as refused:
        log_identity(keys, STATE)
    for line in keys.split():
        assert len(line) < 40 or line not in str(refused.value)


def test_it_does_not_show_its_keys() -> None:
    assert log_key().secret_text().rpartition("+")[2] not in repr(log_identity(text(log_key()), STATE))
