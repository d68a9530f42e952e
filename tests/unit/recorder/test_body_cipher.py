"""Bodies at rest: nothing readable without the month's key, nothing changed or moved unnoticed, no key no body."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from countersign.recorder.body_cipher import NONCE_BYTES, BodyCipher, Tampered
from countersign.runtime.body_keys import BodyKeys, NoBodyKey, key_file, write_key

EVENT = uuid.UUID(int=7)
PLAIN = b"salt and body of a call"
NOVEMBER = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC).timestamp()


def cipher(folder: Path, at: float = NOVEMBER) -> BodyCipher:
    return BodyCipher(BodyKeys(folder, monotonic=lambda: 0.0), clock=lambda: at)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    write_key(tmp_path, date(2026, 11, 1))
    return tmp_path


def test_what_is_kept_shows_nothing_and_is_opened_later(keys: Path) -> None:
    kept = cipher(keys).encrypt(EVENT, PLAIN)
    assert PLAIN not in kept
    assert cipher(keys, NOVEMBER + 90 * 86_400).decrypt(EVENT, kept) == PLAIN
    assert len(kept) == 2 + NONCE_BYTES + len(PLAIN) + 16


def test_the_same_body_is_kept_differently_each_time(keys: Path) -> None:
    one = cipher(keys)
    assert len({one.encrypt(EVENT, PLAIN) for _ in range(20)}) == 20


def test_no_flipped_bit_and_no_other_event_passes(keys: Path) -> None:
    one = cipher(keys)
    kept = one.encrypt(EVENT, PLAIN)
    write_key(keys, date(2026, 12, 1))
    for place in range(len(kept)):
        changed = bytearray(kept)
        changed[place] ^= 1
        with pytest.raises((Tampered, NoBodyKey)):
            one.decrypt(EVENT, bytes(changed))
    with pytest.raises(Tampered):
        one.decrypt(uuid.UUID(int=8), kept)


@pytest.mark.parametrize("kept", [b"", bytes(2), bytes(13), bytes(40)], ids=len)
def test_what_was_never_encrypted_is_told_from_what_was(keys: Path, kept: bytes) -> None:
    with pytest.raises(Tampered):
        cipher(keys).decrypt(EVENT, kept)


def test_each_month_has_a_key_of_its_own_and_without_it_nothing_is_encrypted(keys: Path) -> None:
    with pytest.raises(NoBodyKey, match="2026-12"):
        cipher(keys, NOVEMBER + 1).encrypt(EVENT, PLAIN)
    write_key(keys, date(2026, 12, 1))
    kept = cipher(keys, NOVEMBER + 1).encrypt(EVENT, PLAIN)
    assert cipher(keys).decrypt(EVENT, kept) == PLAIN


def test_who_drops_the_key_has_erased_the_month(keys: Path) -> None:
    kept = cipher(keys).encrypt(EVENT, PLAIN)
    key_file(keys, date(2026, 11, 1)).unlink()
    with pytest.raises(NoBodyKey, match="2026-11"):
        cipher(keys).decrypt(EVENT, kept)
    write_key(keys, date(2026, 11, 1))
    with pytest.raises(Tampered):
        cipher(keys).decrypt(EVENT, kept)
