"""Fuzz the framing and the leaf code.

``python -m tests.fuzz`` fuzzes all targets for a minute; ``--target`` names some, ``--input`` runs one file again that
an earlier run has kept. Guided by coverage (atheris) where that has a wheel; elsewhere by chance alone, which is said.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

_LONGEST_INPUT_BYTES = 700
_SLOWEST_INPUT_S = 10
_ROOMS = ["countersign.masking", "countersign.jsontext"]


def main() -> None:
    """Parse the command line and fuzz."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.split("\n\n")[1])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0, help="0 for another one each time")
    parser.add_argument("--target", action="append", help="may be repeated")
    parser.add_argument("--keep", type=Path, default=Path(), help="where an input that fails is kept")
    parser.add_argument("--input", type=Path, help="a file to run again")
    chosen = parser.parse_args()
    atheris = _atheris()
    instrumented: AbstractContextManager[Any] = atheris.instrument_imports(include=_ROOMS) if atheris else nullcontext()
    with instrumented:
        targets = import_module("tests.fuzz.targets")
    names = chosen.target or list(targets.TARGETS)
    run = _dispatcher(targets, names)
    if chosen.input is not None:
        run(chosen.input.read_bytes())
        return
    seeds = [bytes([place]) + seed for place, name in enumerate(names) for seed in targets.TARGETS[name].seeds()]
    seed = chosen.seed or random.SystemRandom().randrange(1, 2**31)
    if atheris is None:
        _by_chance(run, seeds, [word.encode() for word in targets.WORDS], chosen.seconds, seed, chosen.keep)
        return
    with tempfile.TemporaryDirectory() as folder:
        corpus, words = Path(folder, "corpus"), Path(folder, "words")
        corpus.mkdir()
        for number, each in enumerate(seeds):
            (corpus / str(number)).write_bytes(each)
        words.write_text("".join(f'"{_escaped(word.encode())}"\n' for word in targets.WORDS))
        options = {
            "seed": seed,
            "max_total_time": chosen.seconds,
            "max_len": _LONGEST_INPUT_BYTES,
            "timeout": _SLOWEST_INPUT_S,
            "rss_limit_mb": 2048,
            "dict": words,
            "artifact_prefix": f"{chosen.keep}/",
            "print_final_stats": 1,
            "verbosity": 1,
        }
        atheris.Setup([sys.argv[0], *(f"-{name}={value}" for name, value in options.items()), str(corpus)], run)
        atheris.Fuzz()


def _atheris() -> ModuleType | None:
    try:
        return import_module("atheris")
    except ImportError:
        print("WARNING: no atheris here, so inputs are made up by chance, not guided by coverage", file=sys.stderr)
        return None


def _dispatcher(targets: ModuleType, names: list[str]) -> Callable[[bytes], None]:
    """The first byte of an input says which target takes the rest."""

    def run(data: bytes) -> None:
        if not data:
            return
        name = names[data[0] % len(names)]
        try:
            targets.TARGETS[name].run(data[1:])
        except Exception:
            print(f"FAILED: the target {name}, given {data[1:]!r}", file=sys.stderr, flush=True)
            raise

    return run


def _by_chance(
    run: Callable[[bytes], None], seeds: list[bytes], words: list[bytes], seconds: int, seed: int, keep: Path
) -> None:
    chance, deadline, count = random.Random(seed), time.monotonic() + seconds, 0
    while time.monotonic() < deadline:
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.randrange(6)):
            at = chance.randrange(1, len(data) + 1)
            match chance.randrange(4):
                case 0:
                    data[at:at] = chance.choice(words)
                case 1:
                    del data[at : at + chance.randrange(8)]
                case 2:
                    data[at:at] = bytes(chance.randrange(256) for _ in range(chance.randrange(4)))
                case _:
                    other = chance.choice(seeds)
                    data[at:at] = other[1 : chance.randrange(1, len(other) + 1)]
        count += 1
        try:
            run(bytes(data[:_LONGEST_INPUT_BYTES]))
        except Exception:
            (keep / "crash-by-chance").write_bytes(data[:_LONGEST_INPUT_BYTES])
            raise
    print(f"{count} inputs made up by chance (seed {seed}), and nothing failed", file=sys.stderr)


def _escaped(word: bytes) -> str:
    return "".join(chr(byte) if 32 < byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    main()
