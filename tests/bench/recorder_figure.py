"""What the recorder's own benchmark finds, run as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.load import LoadFailed

_LONGEST_S = 120.0


@dataclass(frozen=True, slots=True)
class RecorderFigures:
    """At 32 events a message and bodies of 600 bytes: with one recorder, and with two on the same database.

    ``stored_bytes`` are those of all tables and indexes for one event, whose body is rows in JSON, or else noise.
    """

    events_per_s: float
    ack_p99_ms: float
    two_events_per_s: float
    lone_p50_ms: float
    stored_bytes: float
    stored_bytes_of_noise: float


@dataclass(frozen=True, slots=True)
class Expected:
    """What is expected of one of the figures."""

    what: str
    measured: Callable[[RecorderFigures], float]
    limit: float
    at_least: bool
    unit: str

    def met(self, measured: float) -> bool:
        """Whether it is as expected."""
        return measured >= self.limit if self.at_least else measured <= self.limit


EXPECTED = (
    Expected("recorder alone", lambda one: one.events_per_s, 8_000, True, "events/s"),
    Expected("recorder alone, acknowledged, p99", lambda one: one.ack_p99_ms, 250, False, "ms"),
    Expected("two recorders", lambda one: one.two_events_per_s, 5_000, True, "events/s"),
    Expected("a lone event, p50", lambda one: one.lone_p50_ms, 8, False, "ms"),
    Expected("stored for an event", lambda one: one.stored_bytes, 1_600, False, "bytes"),
)


def recorder_figures(seconds: float) -> RecorderFigures:
    """Measure with loads of so many seconds.

    Raises:
        LoadFailed: when it could not be measured. That a figure is low is no failure.
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
        return RecorderFigures(**json.loads(file.read_text())["figures"])
