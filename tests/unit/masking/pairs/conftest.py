"""Masks with fields alone, and with the detector of secrets, which reads the names of columns, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from countersign.masking import MaskCatalog, Masker
from countersign.model.rule import Mask

FIELDS = Mask("fields", fields=("ssn", "customer.*.home_address"), replace="[SSN]")
SECRETS = Mask("names", detectors=("secrets",))


@pytest.fixture(scope="session")
def tables(cache_dir: Path) -> MaskCatalog:
    return MaskCatalog([FIELDS, SECRETS], cache_dir=cache_dir)


@pytest.fixture(scope="session")
def fields(tables: MaskCatalog) -> Masker:
    return tables.select(["fields"])


@pytest.fixture(scope="session")
def names(tables: MaskCatalog) -> Masker:
    return tables.select(["names"])


@pytest.fixture(scope="session")
def persons(cache_dir: Path) -> Masker:
    detectors = ("person_by_key", "address_by_key", "phone_by_key")
    return MaskCatalog([Mask("persons", detectors=detectors)], cache_dir=cache_dir).select(["persons"])
