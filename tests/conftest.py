"""What holds for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Helpers whose assertions should explain themselves; before any test module imports them.
pytest.register_assert_rewrite("tests.fault.record", "tests.fault.rig", "tests.fault.traffic", "tests.support")

# How busy the machine is decides no test.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def rules_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where compiled rules of detectors are kept between modules, as they are between starts."""
    folder = tmp_path_factory.mktemp("rules")
    folder.chmod(0o700)
    return folder
