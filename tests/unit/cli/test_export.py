"""`countersign export`: what it says before it feeds anything, and how far sinks are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from countersign.api.recorder.v1 import feed_pb2
from countersign.cli.export import run as export
from countersign.cli.main import app
from countersign.cli.wiring.exporting import describe
from countersign.config.types import CefSink, CsvSink, OcsfSink, OtlpSink, Secret, Sink
from countersign.exports.recorder import RecorderFeed
from countersign.exports.runner import Standing
from tests.support.gateway import Setup, Upstream

CANARY = "canary-" + "k3" * 6


def _config(folder: Path, **exports: object) -> Path:
    recording = {"mode": "required", **({"exports": exports} if exports else {})}
    setup = Setup("https://idp.example", {"orders": Upstream("http://127.0.0.1:1/mcp")}, extra={"recording": recording})
    return setup.write(folder, "http://127.0.0.1:2")


def _answer() -> feed_pb2.ListSinksResponse:
    answer = feed_pb2.ListSinksResponse(published_size=100)
    answer.sinks.add(sink="siem", description="ocsf \x1b[2J/out", next_index=90, running=True)
    answer.sinks.add(sink="table", description="csv /out", next_index=100)
    return answer


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> None:
    async def sinks(_: RecorderFeed) -> feed_pb2.ListSinksResponse:
        return _answer()

    monkeypatch.setattr(RecorderFeed, "sinks", sinks)


def test_a_file_without_sinks_and_a_sink_that_there_is_not_are_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["export", "run", "--config", str(_config(tmp_path))])
    assert result.exit_code == 2
    assert "add recording.exports" in result.output
    config = _config(tmp_path, siem={"csv": {"file": "out"}})
    result = CliRunner().invoke(app, ["export", "run", "--config", str(config), "sime"])
    assert result.exit_code == 2
    assert "there are: siem" in result.output


def test_a_refused_file_is_told_line_by_line(tmp_path: Path) -> None:
    config = _config(
        tmp_path,
        siem={"otlp": {"endpoint": "http://elsewhere.example"}},
        logs={"otlp": {"endpoint": "http://elsewhere.example"}},
    )
    result = CliRunner().invoke(app, ["export", "run", "--config", str(config)])
    assert result.exit_code == 2
    assert len(result.output.splitlines()) >= 2


def test_a_recorder_that_does_not_answer_is_said(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["export", "status", "--state", str(tmp_path)])
    assert result.exit_code == 3
    assert "does not answer" in result.output


@pytest.mark.usefixtures("answered")
def test_how_far_sinks_are_is_told_to_people_and_programs() -> None:
    shown = CliRunner().invoke(app, ["export", "status"]).output
    assert "siem" in shown
    assert "\x1b[2J" not in shown
    assert "nobody feeds it" in shown
    told = json.loads(CliRunner().invoke(app, ["export", "status", "--json"]).output)
    assert [(one["sink"], one["behind"], one["running"]) for one in told["sinks"]] == [
        ("siem", 10, True),
        ("table", 0, False),
    ]


@pytest.mark.usefixtures("answered")
@pytest.mark.parametrize(("most", "code"), [(9, 1), (10, 0)])
def test_monitoring_is_told_by_the_exit_code(most: int, code: int) -> None:
    assert CliRunner().invoke(app, ["export", "status", "--most-behind", str(most)]).exit_code == code


@pytest.mark.parametrize(
    ("how", "told"),
    [
        (OcsfSink("/out"), "ocsf /out"),
        (CsvSink("/out"), "csv /out"),
        (OtlpSink(f"https://user:{CANARY}@otlp.example:1/x?{CANARY}", Secret(CANARY)), "otlp https://otlp.example:1"),
        (CefSink("siem.example", 6514), "cef siem.example:6514"),
    ],
    ids=["ocsf", "otlp", "csv", "cef"],
)
def test_what_the_record_says_of_a_sink_holds_no_credential(
    how: OcsfSink | CsvSink | OtlpSink | CefSink, told: str
) -> None:
    assert describe(Sink("siem", how)) == told


def test_progress_is_told_once_for_each_news(capsys: pytest.CaptureFixture[str]) -> None:
    progress, standing = export._Progress(), Standing("siem", next_index=5, published_size=9)
    progress([standing])
    progress([standing])
    standing.problem = "the collector answered\x1b 503"
    progress([standing])
    said = capsys.readouterr().err.splitlines()
    assert said == ["siem: 5 of 9", "siem: 5 of 9; stands still: the collector answered\\x1b 503"]
