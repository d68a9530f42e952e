"""The promise: a closed gate means that the detector behind it would have found nothing."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.masking import detectors, gates
from countersign.masking.detectors.base import Detector, gate_of, parts_of
from countersign.masking.detectors.forms import Evidence, Form
from countersign.masking.gates import Gates, is_gate

WORDS = Gates([("cat", "dog"), ("(?i)token",), (r"[0-9]{3}",)], cache_dir=None)

# What the values that detectors look for are made of, so that random texts come near to them.
PIECES = (
    *("4", "5", "12", "123", "4111", "1111", "-", " ", ".", ":", "=", "/", "+", "@", '"', "'", "\n", "(", ")", "_"),
    *("a", "Z", "é", "\u212a", "\u017f", "AKIA", "eyJ", "://", "mail", "example.org", "bearer ", "Authorization: "),
    *("pass", "word", "pwd", "secret", "token", "key", "api", "is ", "was ", "DE", "GB", "0x", "bc1", "{", "}"),
    *("-----BEGIN ", "PRIVATE KEY", "-----", "ssn ", "tel ", "born ", "NULL", "true", "2026-01-02", "192.168.0.1"),
)


@pytest.fixture(scope="session")
def everything(cache_dir: Path) -> list[Detector]:
    made = (detectors.make(name, cache_dir) for name in detectors.names())
    return [part for detector in made for part in parts_of(detector)]


@pytest.fixture(scope="session")
def gated(everything: list[Detector]) -> list[Detector]:
    return [detector for detector in everything if gate_of(detector)]


@pytest.fixture(scope="session")
def all_gates(gated: list[Detector]) -> Gates:
    return Gates([gate_of(detector) for detector in gated], cache_dir=None)


@given(st.lists(st.sampled_from(PIECES), max_size=24).map("".join))
def test_a_closed_gate_hides_nothing(gated: list[Detector], all_gates: Gates, text: str) -> None:
    data = text.encode()
    opened = all_gates.opened(data)
    for number, detector in enumerate(gated):
        if number not in opened:
            assert detector.find(data) == [], detector.label


def test_each_gate_opens_for_its_own_patterns_anywhere() -> None:
    assert WORDS.opened(b"") == frozenset()
    assert WORDS.opened(b"a dog" * 1000) == {0}
    assert WORDS.opened(b"x" * 70_000 + b"ToKeN 12 345") == {1, 2}


@pytest.mark.parametrize("letter", ["\u212a", "\u017f"])
def test_letters_that_only_re2_folds_open_every_gate(letter: str) -> None:
    assert WORDS.opened(f"to{letter}en".encode()) == {0, 1, 2}


def test_threads_do_not_disturb_one_another() -> None:
    texts = [b"cat" * 40_000, b"x" * 120_000, b"token 123" * 12_000]
    seen: list[list[frozenset[int]]] = [[] for _ in texts]

    def scan(which: int) -> None:
        seen[which] += (WORDS.opened(texts[which]) for _ in range(50))

    threads = [threading.Thread(target=scan, args=(which,)) for which in range(len(texts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [set(opened) for opened in seen] == [{frozenset({0})}, {frozenset()}, {frozenset({1, 2})}]


@pytest.mark.parametrize("damage", [b"", b"short", b"\0" * 5_000], ids=["empty", "short", "zeros"])
def test_a_damaged_cache_is_compiled_anew(tmp_path: Path, damage: bytes) -> None:
    patterns = [(f"needle{len(damage)}",)]
    Gates(patterns, cache_dir=tmp_path)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage)
    gates._database.cache_clear()
    assert Gates(patterns, cache_dir=tmp_path).opened(f"a needle{len(damage)}".encode()) == {0}
    assert len(file.read_bytes()) == len(whole)


def test_a_flipped_bit_in_the_cache_is_noticed(tmp_path: Path) -> None:
    Gates([("needle",)], cache_dir=tmp_path)
    (file,) = tmp_path.iterdir()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert gates._kept(file) is None


def test_other_gates_do_not_share_a_file_and_old_ones_are_let_go(tmp_path: Path) -> None:
    for number in range(20):
        assert Gates([(f"needle{number}",)], cache_dir=tmp_path).opened(b"needle3 needle14") == (
            {0} if number in (1, 3, 14) else frozenset()
        )
    assert len(list(tmp_path.iterdir())) == 16


def test_a_folder_that_cannot_be_written_costs_time_only(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    assert Gates([("needle",)], cache_dir=missing).opened(b"a needle") == {0}


def test_what_hyperscan_does_not_take_is_refused() -> None:
    assert is_gate(r"(?i)\biban\b")
    assert not is_gate(r"(?=a)b")
    assert not is_gate("")
    with pytest.raises(ValueError, match="gate"):
        Gates([("(",)], cache_dir=None)


@given(st.lists(st.sampled_from(PIECES), max_size=60).map("".join), st.integers(0, 2))
def test_values_far_from_all_words_are_none_that_words_announce(
    everything: list[Detector], text: str, spread: int
) -> None:
    data = text.replace(" ", " " + "x 12345678 " * 20 * spread).encode()
    for detector in everything:
        if type(detector) is Form and detector._evidence is Evidence.BESIDE:
            assert detector.find(data) == detector._find_in(data, 0, len(data)), detector.label
