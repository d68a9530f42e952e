"""What the recorder's own benchmark finds, run as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.load import LoadFailed

_LONGEST_S = 60.0


def recorder_events_per_s(seconds: float) -> float:
    """Acknowledged events a second at 32 a message, with two loads of so many seconds.

    Raises:
        LoadFailed: when it could not be measured. That the figure is low is no failure.
    """
    with TemporaryDirectory(prefix="cs-recorder-") as folder:
        file = Path(folder) / "recorder.json"
        command = [sys.executable, "-m", "tests.bench.recorder", "--json", str(file), "--seconds", str(seconds)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_S, check=False)
        except subprocess.TimeoutExpired:
            raise LoadFailed("the recorder's own benchmark did not end") from None
        if not file.exists():
            raise LoadFailed(f"the recorder's own benchmark failed: {done.stderr.strip()[-300:]}")
        return float(json.loads(file.read_text())["events_per_s"])
