"""A masker of the standard set of personal data."""

from __future__ import annotations

import pytest

from countersign.masking import Masker, detectors
from countersign.masking.gates import DetectorGates
from countersign.masking.masker import Rule
from countersign.masking.replacements import Redacted
from countersign.model.personal_data import PERSONAL_DATA


@pytest.fixture(scope="package")
def personal() -> Masker:
    """Replaces each finding by the label in brackets."""
    made = {name: detectors.make(name, None) for name in PERSONAL_DATA}
    rules = [Rule(detector, Redacted(f"[{detector.label}]"), name=name) for name, detector in made.items()]
    return Masker(rules, (), gates=DetectorGates(made.values(), cache_dir=None))
