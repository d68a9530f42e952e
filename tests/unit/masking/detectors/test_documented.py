"""The promise: the page on gateway.yaml names every detector of personal data."""

from __future__ import annotations

from pathlib import Path

import pytest

from countersign.model.personal_data import PERSONAL_DATA

PAGE = (Path(__file__).parents[4] / "docs" / "gateway-yaml.md").read_text()


@pytest.mark.parametrize("name", PERSONAL_DATA)
def test_it_is_on_the_page(name: str) -> None:
    assert f"`{name}`" in PAGE
