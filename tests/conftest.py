"""What holds for all tests."""

from __future__ import annotations

import fcntl
import gc
import os
import sys
from collections.abc import Generator, Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from _pytest.assertion import rewrite
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from tests.support.in_turn import InTurn

# Helpers whose assertions should explain themselves; before any test module imports them.
pytest.register_assert_rewrite("tests.fault.record", "tests.fault.rig", "tests.fault.traffic", "tests.support")

# How busy the machine is decides no test. Half of the usual examples, since all tests together must stay below a
# quarter of an hour; `make test ARGS="--hypothesis-profile=thorough"` tries four times as many.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=50)
settings.register_profile("thorough", settings.get_profile("untimed"), max_examples=200)
settings.load_profile("untimed")


# The longest files, and all that share a gateway, longest first; some minutes down to a quarter of one on two cores.
LONG = (
    "e2e/test_demo.py",
    "world",
    "e2e/test_approvals_real_time.py",
    "in_turn",
    "rig",
    "e2e/test_up.py",
    "e2e/test_approvals.py",
    "contract/approvals/test_executions.py",
    "fault/test_killed_parts.py",
    "fault/test_usage.py",
    "e2e/test_tools.py",
    "unit/cli/test_policy.py",
    "fault/test_approvals.py",
    "e2e/test_approvals_up.py",
    "e2e/test_status.py",
    "e2e/test_reload.py",
    "fault/recorder/test_faults.py",
    "fault/test_tools.py",
    "e2e/test_telemetry.py",
    "unit/authz/test_judge.py",
    "e2e/test_strangers.py",
    "fuzz/test_fuzz.py",
    "e2e/test_traced_requests.py",
    "e2e/test_environments.py",
)
_FOLDER = Path(__file__).parent
_TURNS = {name: turn for turn, name in enumerate(LONG)}
# Each of these starts a gateway or a database first.
_SLOW_TO_BEGIN = ("e2e/", "fault/", "contract/")


@cache
def _together(file: Path) -> str:
    """What one worker takes as a whole: a file, or all files that share a gateway, by the name of its fixture."""
    name = file.relative_to(_FOLDER).as_posix()
    if name.startswith(("e2e/", "fault/")):
        text = file.read_text("utf-8")
        if "in_turn: InTurn" in text:
            return "in_turn"
        if "world: World" in text:
            return "world"
        if "rig: Rig" in text and "def rig(" not in text:
            return "rig"
    return name


def _turn(file: Path) -> int:
    together = _together(file)
    return _TURNS.get(together, len(LONG) + (not together.startswith(_SLOW_TO_BEGIN)))


def pytest_sessionstart(session: pytest.Session) -> None:
    """Rewrite the assertions of a part of the files: in a clean clone each worker would do so for all, at once."""
    worker: Mapping[str, Any] | None = getattr(session.config, "workerinput", None)
    if worker is None or sys.dont_write_bytecode:
        return
    state = session.config.stash[rewrite.assertstate_key]
    number = int(worker["workerid"].removeprefix("gw"))
    for file in sorted(_FOLDER.rglob("test_*.py"))[number :: worker["workercount"]]:
        compiled = rewrite.get_cache_dir(file) / (file.stem + rewrite.PYC_TAIL)
        if rewrite._read_pyc(file, compiled) is None and rewrite.try_makedirs(compiled.parent):
            stat, code = rewrite._rewrite_test(file, session.config)
            rewrite._write_pyc(state, code, stat, compiled)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Give each file as a whole to one worker, and files that share a gateway to the same (``--dist`` counts no more).

    Not by ``loadgroup``, which does not know the names that pytest 9 gives to tests.
    """
    scheduling: Any = import_module("xdist.scheduler").LoadFileScheduling(config, log)
    scheduling._split_scope = lambda test: _together(config.rootpath / test.partition("::")[0])
    return scheduling


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest begin first: a long one that begins last is a tail."""
    items.sort(key=lambda item: _turn(item.path))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None]:
    """End a shared gateway after the last of those who share it: one that idles takes a tenth of a core."""
    yield
    together = _together(item.path)
    if isinstance(item, pytest.Function) and (nextitem is None or _together(nextitem.path) != together):
        for fixture in item.session._fixturemanager.getfixturedefs(together, item) or ():
            fixture.finish(cast("Any", item._request))


def pytest_collection_finish() -> None:
    """Have garbage looked for in what tests leave behind, not in ten thousand tests again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@pytest.fixture(scope="session")
def in_turn() -> Iterator[InTurn]:
    """The gateway that files of tests take in turn, each by a gateway.yaml of its own."""
    from tests.support.in_turn import running_in_turn

    with running_in_turn() as running:
        yield running


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
