"""A real browser: Chromium, as an npm package ships it, led through pages by ``tests/node/browser.mjs``."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.node import FOLDER, NODE

_LONGEST_S = 90


@dataclass(frozen=True)
class Step:
    """Type these texts into fields, by their CSS selectors, then click."""

    click: str
    fill: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Visited:
    """A page, once it was loaded."""

    url: str
    text: str


@dataclass(frozen=True)
class Browsed:
    """Where the browser was, in order; what its console complained of, on which page; the cookies that it kept."""

    pages: tuple[Visited, ...]
    complaints: tuple[str, ...]
    cookies: tuple[Mapping[str, object], ...]


def browse(url: str, steps: Sequence[Step], home: Path) -> Browsed:
    """Open a page in a fresh browser and go on from page to page. ``home`` is where the browser may write."""
    told = json.dumps({"url": url, "steps": [{"fill": dict(step.fill), "click": step.click} for step in steps]})
    run = subprocess.run(
        [str(NODE), str(FOLDER / "browser.mjs"), told],
        env={"PATH": "/usr/bin:/bin", "HOME": str(home), "TMPDIR": str(home)},
        capture_output=True,
        text=True,
        timeout=_LONGEST_S,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    said = json.loads(run.stdout)
    return Browsed(tuple(Visited(**page) for page in said["pages"]), tuple(said["complaints"]), tuple(said["cookies"]))
