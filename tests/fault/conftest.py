"""Failed assertions of the helpers show what they compared."""

import pytest

pytest.register_assert_rewrite("tests.fault.record", "tests.fault.rig", "tests.fault.traffic")
