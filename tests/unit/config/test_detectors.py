"""Detectors of a file's own are read as they are meant, or refused in their place with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from countersign.model.rule import VALIDATORS, OwnDetector
from tests.unit.config.files import GOOD, edited, loaded, pointed_at, refused

RECORDING = "recording: {mode: required}"
USED = edited("detect: [secrets]", "detect: [secrets, employee_id]")


def stated(detector: str, name: str = "employee_id", text: str = USED) -> str:
    return edited(RECORDING, f"detectors:\n  {name}: {detector}\n{RECORDING}", text)


def test_a_detector_is_what_the_file_says(tmp_path: Path) -> None:
    text = stated("{pattern: 'EMP-(?P<value>[0-9]{6})', label: STAFF, validate: luhn, near: [employee, Personal-Nr.]}")
    config = loaded(tmp_path, text)
    assert config.detectors == {
        "employee_id": OwnDetector(
            "employee_id", "EMP-(?P<value>[0-9]{6})", "STAFF", "luhn", ("employee", "Personal-Nr.")
        )
    }
    assert config.masks["secrets"].detectors == ("secrets", "employee_id")


def test_without_a_label_a_finding_has_the_detector_s_name(tmp_path: Path) -> None:
    own = loaded(tmp_path, stated("{pattern: 'EMP-[0-9]{6}'}")).detectors["employee_id"]
    assert own == OwnDetector("employee_id", "EMP-[0-9]{6}", "EMPLOYEE_ID")


@pytest.mark.parametrize("name", VALIDATORS)
def test_each_check_can_be_named(tmp_path: Path, name: str) -> None:
    text = stated(f"{{pattern: 'EMP-[0-9]{{6}}', validate: {name}}}")
    assert loaded(tmp_path, text).detectors["employee_id"].validate == name


@pytest.mark.parametrize(
    ("detector", "told", "place"),
    [
        ("{pattern: '(?=EMP)[0-9]{6}'}", "look-ahead", "'(?=EMP)"),
        ("{pattern: '(EMP)-\\1'}", "back-reference", "'(EMP)"),
        ("{pattern: 'EMP-[0-9]*|x*'}", "where nothing stands", "'EMP"),
        ("{pattern: 'E.*P|E'}", "slow", "'E.*P"),
        ("{pattern: '[a-z]+'}", "ordinary text", "'[a-z]+'"),
        ("{pattern: ''}", "is empty", "''"),
        ("{pattern: 6}", "is a number where text is needed", "6"),
        ("{label: STAFF}", "missing key `detectors.employee_id.pattern`", "employee_id: {label"),
        ("{pattern: 'EMP', label: staff}", "`staff` is no label", "staff"),
        ("{pattern: 'EMP', validate: lunh}", "did you mean `luhn`?", "lunh"),
        ("{pattern: 'EMP', validate: quantum}", "use one of luhn", "quantum"),
        ("{pattern: 'EMP', near: []}", "is empty", "[]"),
        ("{pattern: 'EMP', near: [' - ']}", "is no word", "' - '"),
        ("{patern: 'EMP'}", "did you mean `pattern`?", "patern"),
        ("{pattern: 'EMP', validates: luhn}", "did you mean `validate`?", "validates"),
    ],
)
def test_what_is_wrong_is_said_in_its_place(tmp_path: Path, detector: str, told: str, place: str) -> None:
    text = stated(detector)
    problems = refused(tmp_path, text)
    [problem] = [problem for problem in problems if told in f"{problem.what}: {problem.remedy}"]
    assert pointed_at(text, problem).startswith(place)
    assert not any("there is no detector" in other.what for other in problems)


@pytest.mark.parametrize(
    ("name", "told"),
    [("email", "there is a detector `email` already"), ("pii", "already"), ("Staff-Id", "no usable name")],
)
def test_a_name_of_its_own_is_needed(tmp_path: Path, name: str, told: str) -> None:
    text = stated("{pattern: 'EMP-[0-9]{6}'}", name, GOOD)
    [problem] = refused(tmp_path, text)
    assert told in problem.what
    assert pointed_at(text, problem).startswith(name)


def test_a_mask_that_misspells_a_detector_of_the_file_is_told_the_name(tmp_path: Path) -> None:
    text = stated("{pattern: 'EMP-[0-9]{6}'}", "employee_ids")
    [problem] = refused(tmp_path, text)
    assert problem.what == "there is no detector `employee_id`"
    assert problem.remedy == "did you mean `employee_ids`?"


def test_a_candidate_has_detectors_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "candidate.yaml").write_text(stated("{pattern: 'EMP-[0-9]{6}'}"))
    config = loaded(tmp_path, edited(RECORDING, f"shadow: candidate.yaml\n{RECORDING}"))
    assert config.candidate is not None
    assert set(config.candidate.detectors) == {"employee_id"}
    assert config.detectors == {}
