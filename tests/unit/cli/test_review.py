"""`countersign review`: what is wrong with a command line or a report is said before anybody is asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from countersign.cli import review
from countersign.cli.review import reporting
from tests.unit.review.test_report import USE, report

app = typer.Typer()
app.callback()(lambda: None)
review.register(app)
# Nobody answers there: whoever is asked, the exit code is another one.
NOBODY = ("--gateway", "http://127.0.0.1:1", "--token", "t")

WRONG = {
    "neither verdict": ("REPORT", "LINE"),
    "both verdicts": ("REPORT", "LINE", "--certify", "--flag", "--note", "x"),
    "a flag without a note": ("REPORT", "LINE", "--flag"),
    "a line that is not in it": ("REPORT", "0" * 16, "--certify"),
    "no such report": ("/nowhere/at/all", "LINE", "--certify"),
}


@pytest.mark.parametrize("given", WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_signed_is_refused_here(given: tuple[str, ...], tmp_path: Path) -> None:
    told, file = report(USE), tmp_path / "review.json"
    file.write_text(told.to_json())
    arguments = [{"REPORT": str(file), "LINE": told.people[0].id}.get(one, one) for one in given]
    done = CliRunner().invoke(app, ["review", "sign", *arguments, *NOBODY])
    assert done.exit_code == 2, done.output


def test_a_line_of_a_report_is_asked_for(tmp_path: Path) -> None:
    told, file = report(USE), tmp_path / "review.json"
    file.write_text(told.to_json())
    done = CliRunner().invoke(app, ["review", "sign", str(file), told.people[0].id, "--certify", *NOBODY])
    assert done.exit_code == 3


def test_times_the_wrong_way_round_are_refused() -> None:
    for wrong in (("--since", "1h", "--until", "2h"), ("--since", "soon")):
        assert CliRunner().invoke(app, ["review", *wrong, *NOBODY]).exit_code == 2


def test_a_report_is_its_owners_alone_and_obeyed_by_no_terminal(tmp_path: Path) -> None:
    hostile = report(replace(USE, subject="a\x1b[2Jb", name="\u202ex"))
    for form in reporting.Format:
        file = tmp_path / form
        reporting._write(hostile, form, file)
        assert file.stat().st_mode & 0o077 == 0
        assert not {"\x1b", "\u202e"} & set(file.read_text())
    assert len([*tmp_path.iterdir()]) == len(reporting.Format)
