"""What holds for all tests."""

from __future__ import annotations

import pytest

# Helpers whose assertions should explain themselves; before any test module imports them.
pytest.register_assert_rewrite("tests.fault.record", "tests.fault.rig", "tests.fault.traffic", "tests.support")
