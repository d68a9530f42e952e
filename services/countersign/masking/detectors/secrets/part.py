"""One way in which credentials are found, with the gate that most texts do not open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from countersign.masking.detectors.base import Hit

LABEL = "SECRET"


@dataclass(frozen=True, eq=False, slots=True)
class Part:
    """A :class:`Detector` of its own; all of them together are the detector of credentials."""

    find: Callable[[bytes], list[Hit]]
    gate: tuple[str, ...]
    label: str = LABEL
