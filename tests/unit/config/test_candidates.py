"""A candidate on trial is checked like every file, named by the version, followed like the file itself, and no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from countersign.config import ConfigRefused, ConfigWatcher, Problem, SecretUse, load
from countersign.config.version import version_of
from tests.unit.config.files import ENV, GOOD, edited

MAIN = GOOD + "shadow: candidate.yaml\n"
CANDIDATE = edited("tools: [query,", "tools: [query, report,")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "gateway.yaml").write_text(MAIN)
    (tmp_path / "candidate.yaml").write_text(CANDIDATE)
    return tmp_path


def problems(folder: Path, candidate: str | None = None, main: str = MAIN) -> list[Problem]:
    (folder / "gateway.yaml").write_text(main)
    if candidate is not None:
        (folder / "candidate.yaml").write_text(candidate)
    with pytest.raises(ConfigRefused) as caught:
        load(folder / "gateway.yaml", ENV)
    return list(caught.value.problems)


def test_a_candidate_brings_its_rules_and_masks_and_leaves_ours(folder: Path) -> None:
    config = load(folder / "gateway.yaml", ENV)
    assert config.candidate is not None
    assert config.rules[0].selector.tools == ("query", "list_*")
    assert config.candidate.rules[0].selector.tools == ("query", "report", "list_*")
    assert set(config.candidate.masks) == {"pii", "secrets"}
    assert config.candidate.version == version_of(CANDIDATE.encode())


def test_the_version_covers_the_candidate(folder: Path) -> None:
    first = load(folder / "gateway.yaml", ENV).version
    assert first == version_of(MAIN.encode(), CANDIDATE.encode())
    (folder / "candidate.yaml").write_text(CANDIDATE + "#\n")
    assert load(folder / "gateway.yaml", ENV).version != first
    assert len({first, version_of(MAIN.encode()), version_of((MAIN + CANDIDATE).encode())}) == 3


def test_no_credential_of_a_candidate_is_read(folder: Path) -> None:
    text = CANDIDATE.replace("{env: ORDERS_TOKEN}", "{env: NOT_SET}")
    text = text.replace("mode: required", "mode: required, postgres: {file: /nonexistent}")
    (folder / "candidate.yaml").write_text(text)
    config = load(folder / "gateway.yaml", ENV)
    assert config.candidate is not None
    assert config.variables[SecretUse.TARGETS] == {"ORDERS_TOKEN"}


def test_mistakes_in_a_candidate_carry_its_name_after_our_own(folder: Path) -> None:
    broken = CANDIDATE.replace("mask: [secrets, pii]", "mask: [secrets, pi]") + "unknown: 1\n"
    found = problems(folder, broken, MAIN.replace("targets: [orders]", "targets: [order]"))
    assert [(Path(each.file).name, each.line) for each in found] == [
        ("gateway.yaml", 12),
        ("candidate.yaml", 13),
        ("candidate.yaml", 22),
    ]


@pytest.mark.parametrize(
    ("candidate", "what", "line"),
    [
        (CANDIDATE + "shadow: other.yaml\n", "names no candidate of its own", 22),
        (
            CANDIDATE.replace("    mask: [secrets, pii]", "    mask: [secrets, pii]\n    mode: shadow"),
            "the whole file is on trial",
            14,
        ),
        (
            CANDIDATE.replace("  orders:\n", "  stock:\n").replace("[orders]", "[stock]"),
            "lacks the target `orders`",
            6,
        ),
        ("", "the file is empty", 1),
        ("{", "this is not YAML", 1),
        (CANDIDATE.replace("    allow: {groups: [analysts]", "    deny: {groups: [analysts]"), "no rule allows", 10),
    ],
)
def test_a_candidate_that_could_not_take_the_place_of_the_file_is_refused(
    folder: Path, candidate: str, what: str, line: int
) -> None:
    told = [each for each in problems(folder, candidate) if what in each.what]
    assert [(Path(each.file).name, each.line) for each in told] == [("candidate.yaml", line)]


@pytest.mark.parametrize("name", ["nowhere.yaml", ".", "../nowhere/x.yaml", "a\\0b"])
def test_a_candidate_that_cannot_be_read_is_told_where_it_is_named(folder: Path, name: str) -> None:
    (problem,) = problems(folder, main=MAIN.replace("candidate.yaml", f'"{name}"'))
    assert Path(problem.file).name == "gateway.yaml"
    assert (problem.line, problem.column) == (22, 9)
    assert "the candidate is not read" in problem.what


def test_a_file_that_names_itself_is_refused(folder: Path) -> None:
    (problem,) = problems(folder, main=MAIN.replace("candidate.yaml", "gateway.yaml"))
    assert "names no candidate of its own" in problem.what


def test_there_is_one_trial_at_a_time(folder: Path) -> None:
    main = MAIN.replace("    mask: [secrets, pii]", "    mode: shadow\n    mask: [secrets, pii]")
    told = [each for each in problems(folder, main=main) if "one trial at a time" in each.what]
    assert [(each.line, each.column) for each in told] == [(13, 5)]


def test_edits_of_either_file_take_force(folder: Path) -> None:
    watcher = ConfigWatcher(folder / "gateway.yaml", ENV)
    first = watcher.current
    assert watcher.poll() is None
    (folder / "candidate.yaml").write_text(CANDIDATE.replace("report", "other"))
    second = watcher.poll()
    assert second is not None
    assert second.version != first.version
    assert second.rules == first.rules
    assert watcher.poll() is None
    (folder / "gateway.yaml").write_text(GOOD)
    third = watcher.poll()
    assert third is not None
    assert third.candidate is None
    (folder / "candidate.yaml").write_text("{")
    assert watcher.poll() is None
    assert watcher.problem is None  # nobody names it any more


def test_a_broken_or_missing_candidate_leaves_all_in_force(folder: Path) -> None:
    watcher = ConfigWatcher(folder / "gateway.yaml", ENV)
    (folder / "candidate.yaml").write_text("version: 1\n")
    assert watcher.poll() is None
    assert watcher.problem is not None
    (folder / "candidate.yaml").unlink()
    assert watcher.poll() is None
    assert "the candidate is not read" in str(watcher.problem)
    (folder / "candidate.yaml").write_text(CANDIDATE)
    assert watcher.poll() is None
    assert watcher.problem is None
