"""One loaded catalogue for all: the compiled patterns are kept between the tests, as they are between starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from countersign.masking import MaskCatalog, Masker
from countersign.model.rule import Mask

PII = Mask("pii", detectors=("email", "credit_card", "us_ssn"), fields=("ssn", "*.card", "customer.*.iban"))
SECRETS = Mask("secrets", detectors=("secrets",))
STARS = Mask("stars", detectors=("email",), replace="***")


@pytest.fixture(scope="session")
def cache_dir(rules_cache: Path) -> Path:
    return rules_cache


@pytest.fixture(scope="session")
def catalog(cache_dir: Path) -> MaskCatalog:
    return MaskCatalog([PII, SECRETS, STARS], cache_dir=cache_dir)


@pytest.fixture(scope="session")
def masker(catalog: MaskCatalog) -> Masker:
    return catalog.select(["pii", "secrets"])
