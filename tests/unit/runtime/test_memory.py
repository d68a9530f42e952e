"""The promise: what an answer took is not kept once it is gone."""

from __future__ import annotations

import subprocess
import sys

_PROBE = """
from pathlib import Path
from countersign.runtime.memory import give_back_large_blocks

def held_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

give_back_large_blocks()
before = held_bytes()
later = []
for _ in range(3):
    body = b"x" * 32_000_000
    later.append(b"y" * 300_000)
    del body
print(held_bytes() - before)
"""


def test_large_blocks_go_back_although_smaller_ones_were_taken_after_them() -> None:
    done = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True, timeout=30, check=True)
    assert int(done.stdout) < 8_000_000
