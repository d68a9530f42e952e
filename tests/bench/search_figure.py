"""What the benchmark of lists and searches finds, run as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.load import LoadFailed

# To make a million events, and to index them, takes the most of it.
_LONGEST_S = 1_800.0
EXPECTED_MS = 200


@dataclass(frozen=True, slots=True)
class SearchFigures:
    """At a million events: the slowest of twenty lists and searches, and what the index of the search takes."""

    list_p95_ms: float
    search_p95_ms: float
    index_bytes_per_event: float


def search_figures() -> SearchFigures:
    """Measure; it takes some minutes.

    Raises:
        LoadFailed: when it could not be measured. That a figure is high is no failure.
    """
    with TemporaryDirectory(prefix="cs-search-") as folder:
        file = Path(folder) / "search.json"
        command = [sys.executable, "-m", "tests.bench.search", "--json", str(file)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_S, check=False)
        except subprocess.TimeoutExpired:
            raise LoadFailed("the benchmark of searches did not end") from None
        if not file.exists():
            raise LoadFailed(f"the benchmark of searches failed: {done.stderr.strip()[-300:]}")
        found = json.loads(file.read_text())
    return SearchFigures(found["list_p95_ms"], found["search_p95_ms"], found["index_bytes_per_event"])
