"""What holds for all tests."""

from __future__ import annotations

import fcntl
import gc
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Helpers whose assertions should explain themselves; before any test module imports them.
pytest.register_assert_rewrite("tests.fault.record", "tests.fault.rig", "tests.fault.traffic", "tests.support")

# How busy the machine is decides no test. Half of the usual examples, since all tests together must stay below a
# quarter of an hour; `make test ARGS="--hypothesis-profile=thorough"` tries four times as many.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=50)
settings.register_profile("thorough", settings.get_profile("untimed"), max_examples=200)
settings.load_profile("untimed")


# The longest files, longest first; a minute and a half down to a quarter of one on two cores.
LONG = (
    "e2e/test_demo.py",
    "e2e/test_approvals_real_time.py",
    "e2e/test_up.py",
    "e2e/test_approvals.py",
    "contract/approvals/test_executions.py",
    "fault/test_killed_parts.py",
    "fault/test_usage.py",
    "e2e/test_tools.py",
    "unit/cli/test_policy.py",
    "fault/test_identity_faults.py",
    "e2e/test_usage.py",
    "e2e/test_rules.py",
    "fault/test_approvals.py",
    "e2e/test_approvals_up.py",
    "e2e/test_status.py",
    "e2e/test_reload.py",
    "fault/recorder/test_faults.py",
    "fault/test_tools.py",
    "e2e/test_telemetry.py",
    "fault/test_bad_requests.py",
    "e2e/test_tokens.py",
    "fault/test_bad_streams.py",
    "unit/authz/test_judge.py",
    "e2e/test_policy_commands.py",
    "e2e/test_strangers.py",
    "fuzz/test_fuzz.py",
    "e2e/test_traced_requests.py",
    "fault/test_cut_answers.py",
    "e2e/test_environments.py",
)
_FOLDER = Path(__file__).parent
_TURNS = {_FOLDER / name: turn for turn, name in enumerate(LONG)}
# Each of these starts a gateway or a database first.
_SLOW_TO_BEGIN = tuple(_FOLDER / name for name in ("e2e", "fault", "contract"))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several workers share the files out, let the longest begin first: a long one that begins last is a tail."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _turn(item.path))


def pytest_collection_finish() -> None:
    """Have garbage looked for in what tests leave behind, not in ten thousand tests again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _turn(file: Path) -> int:
    others = len(LONG) + (not any(file.is_relative_to(folder) for folder in _SLOW_TO_BEGIN))
    return _TURNS.get(file, others)


@pytest.fixture(scope="session")
def rules_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where compiled rules of detectors are kept between modules and workers, as they are between starts.

    Whoever comes first compiles them, and the others wait: it takes seconds.
    """
    # Here, not at the top: most tests need none of it.
    from countersign.masking import detectors

    run = tmp_path_factory.getbasetemp()
    folder = (run.parent if "PYTEST_XDIST_WORKER" in os.environ else run) / "rules"
    folder.mkdir(mode=0o700, exist_ok=True)
    with (folder / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        detectors.make("secrets", folder)
    return folder
