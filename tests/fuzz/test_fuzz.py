"""A short run of the fuzzer, always the same one; ``make fuzz`` runs longer, each time another one."""

from __future__ import annotations

import importlib.util
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from countersign.masking import Masker
from tests.fuzz import targets
from tests.fuzz.oracles import CANARY, is_kept, leaves
from tests.fuzz.targets import TARGETS

_SECONDS = 6
_BY_CHANCE = "inputs are made up by chance"


# The one that loads every detector is for longer runs.
_QUICK = [name for name in TARGETS if name != "detectors"]


@pytest.mark.parametrize("name", _QUICK)
def test_the_seeds_of_each_target_keep_its_promise(name: str) -> None:
    for seed in TARGETS[name].seeds():
        TARGETS[name].run(seed)


@pytest.mark.parametrize("name", ["mask-json", "mask-text", "mask-files", "events"])
def test_a_masker_that_finds_nothing_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "_MASKER", Masker([], []))
    with pytest.raises(AssertionError):
        test_the_seeds_of_each_target_keep_its_promise(name)


def test_the_fuzzer_finds_nothing_in_a_short_run(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz", "--seconds", str(_SECONDS), "--seed", "1", "--keep", str(tmp_path)]
    command += [word for name in _QUICK for word in ("--target", name)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    kept = [each.read_bytes() for each in tmp_path.iterdir()]
    assert ended.returncode == 0, f"{ended.stderr[-4000:]}\nkept: {kept}"
    # Where there is no atheris that is said, and never on the machines for which it has wheels.
    guided = importlib.util.find_spec("atheris") is not None
    assert (_BY_CHANCE in ended.stderr) is not guided
    assert guided or (sys.platform, platform.machine()) != ("linux", "x86_64")


def test_the_oracle_looks_into_texts_within_texts() -> None:
    assert list(leaves('["a", "{\\"b\\": \\"c\\"}"]'))[1:] == ["a", '{"b": "c"}', "b", "c"]
    assert is_kept(["ab", "c"], "a[X]bc")
    assert not is_kept(["ab", "c"], "a[X]c b")
    assert len(CANARY) < len(CANARY.encode())
