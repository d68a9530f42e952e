"""How much of labelled texts is masked: all that they label should be, and nothing of the harmless ones."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from countersign.masking import Masker

FILES = {"secrets": "secrets.jsonl.gz", "personal data": "pii.jsonl"}
"""By what they label: the files of a corpus."""

LEAST_COVERED = {"secrets": 90, "personal data": 85}
MOST_TOUCHED = {"secrets": 1, "personal data": 5}
"""What is expected, in percent."""

_PROSE_ONLY = frozenset({"PERSON", "PERSON_NAME", "NAME", "ADDRESS", "STREET_ADDRESS", "LOCATION"})


@dataclass(frozen=True, slots=True)
class Labelled:
    """One text, the stretches of it that must be masked (code points, end exclusive), and whether none may be."""

    text: str
    spans: tuple[tuple[int, int], ...]
    harmless: bool


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many labelled stretches were covered from end to end, and how many harmless texts were touched."""

    name: str
    labelled: int
    covered: int
    harmless: int
    touched: int

    @property
    def covered_percent(self) -> float:
        """The share of the labelled stretches that are covered."""
        return 100 * self.covered / self.labelled if self.labelled else 0.0

    @property
    def touched_percent(self) -> float:
        """The share of the harmless texts that are touched."""
        return 100 * self.touched / self.harmless if self.harmless else 0.0


def coverage_figures(masker: Masker, corpus: Path) -> tuple[Coverage, ...]:
    """Mask the texts of each file of the folder (or of a file's folder) that is there.

    Raises:
        OSError: when one cannot be read.
        ValueError: when a line is no labelled text; names the line.
    """
    folder = corpus if corpus.is_dir() else corpus.parent
    files = ((name, folder / file) for name, file in FILES.items())
    return tuple(coverage(masker, name, list(read(path))) for name, path in files if path.exists())


def coverage(masker: Masker, name: str, texts: Sequence[Labelled]) -> Coverage:
    """Mask each text by itself."""
    covered = touched = 0
    for each in texts:
        found = [(one.start, one.end) for one in masker.explain(each.text).found]
        covered += sum(_is_covered(span, found) for span in each.spans)
        touched += each.harmless and bool(found)
    return Coverage(name, sum(len(each.spans) for each in texts), covered, sum(e.harmless for e in texts), touched)


def read(path: Path) -> Iterator[Labelled]:
    """Read JSON lines ``{"text", "spans": [[start, end, label]]}`` or ``{"text", "neg": "any"}``, packed or not.

    Names and addresses, which prose gives away to language models only, are left out. Raises as
    :func:`coverage_figures` does.
    """
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        for number, line in enumerate(lines, 1):
            try:
                found = json.loads(line)
                spans = tuple(
                    (start, end) for start, end, label in found.get("spans", ()) if label.upper() not in _PROSE_ONLY
                )
                yield Labelled(found["text"], spans, found.get("neg") == "any")
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ValueError(f'{path.name}:{number}: expected {{"text", "spans": [[..]]}}') from error


def _is_covered(span: tuple[int, int], found: Sequence[tuple[int, int]]) -> bool:
    at, end = span
    for start, stop in sorted(found):
        if start <= at < stop:
            at = stop
    return at >= end
