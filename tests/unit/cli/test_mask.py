"""``countersign mask``: texts in, masked texts out, and what was found where."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from countersign.cli.main import app
from tests.unit.config.files import GOOD, edited

MAIL = "jane.doe" + "@example.com"
KEY = "AKIA" + "QWERTYUIOPASDFGH"
CARD = "4111" + " 1111" * 3


def run(*arguments: str, given: str | bytes = "") -> Result:
    return CliRunner().invoke(app, ["mask", *arguments], input=given)


def answers(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def as_line(text: str, **more: object) -> str:
    return json.dumps({"text": text, **more})


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "gateway.yaml"
    path.write_text(GOOD)
    return str(path)


def test_secrets_and_personal_data_are_masked_unless_said_otherwise() -> None:
    result = run(given=f"mail {MAIL},\nkey {KEY}\r\ncard {CARD}")
    assert result.exit_code == 0
    assert result.stdout_bytes == b"mail [EMAIL],\nkey [SECRET]\r\ncard [CREDIT_CARD]"


def test_what_holds_nothing_is_written_byte_for_byte() -> None:
    text = "\ufeff nothing\there \u2028 é\r\n\r\n\0".encode()
    assert run(given=text).stdout_bytes == text
    assert run(given="").stdout_bytes == b""


def test_a_text_that_is_json_is_masked_as_json() -> None:
    result = run(given=json.dumps({"a": f"x\n{KEY}", "n": 1.50}))
    assert json.loads(result.stdout) == {"a": "x\n[SECRET]", "n": 1.5}


def test_findings_are_stretches_of_the_line_s_text_in_code_points() -> None:
    text = f"🦊 é {MAIL}\n{CARD}."
    [answer] = answers(run("--jsonl", given=as_line(text)))
    assert answer == {
        "text": "🦊 é [EMAIL]\n[CREDIT_CARD].",
        "findings": [
            {"start": 4, "end": 4 + len(MAIL), "label": "EMAIL", "detector": "email"},
            {"start": 5 + len(MAIL), "end": len(text) - 1, "label": "CREDIT_CARD", "detector": "credit_card"},
        ],
    }


def test_other_keys_of_a_line_are_not_shown() -> None:
    result = run("--jsonl", given=as_line("nothing", note=MAIL))
    assert answers(result) == [{"text": "nothing", "findings": []}]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'["text"]', "not an object"),
        (b'{"text": 5}', "not an object"),
        (b'{"Text": "x"}', "write one object a line"),
        (b'{"text": "\xff"}', "iconv"),
        (b'{"text": "\\ud800"}', "not UTF-8"),
        (json.dumps({"text": '{"a": 1, "a": 2}'}).encode(), "two parsers"),
    ],
    ids=["cut off", "deep", "list", "number", "misspelt", "bytes", "surrogate", "ambiguous"],
)
def test_a_bad_line_is_named_and_no_other_is_lost(line: bytes, told: str) -> None:
    good = as_line("good").encode()
    result = run("--jsonl", given=b"\n\n".join([good, line, good]) + b"\n")
    assert result.exit_code == 1
    before, error, after = answers(result)
    assert before == after == {"text": "good", "findings": []}
    assert error.keys() == {"line", "error"}
    assert error["line"] == 3
    assert told in str(error["error"])


def test_an_error_quotes_nothing_of_the_text() -> None:
    for given in (f'{{"txt": "{MAIL}"}}', f"{MAIL}", f'{{"text": "{MAIL}\\ud800"}}'):
        result = run("--jsonl", given=given)
        assert result.exit_code == 1
        assert MAIL not in result.output


def test_people_are_shown_where_what_and_why_and_never_the_value() -> None:
    result = run("--explain", given=f"one\n\u2028é {MAIL} and {KEY}\n")
    header, mail, key = (line.split(maxsplit=4) for line in result.stdout.splitlines())
    assert header == ["LINE:COLUMN", "LENGTH", "LABEL", "DETECTOR", "WHY"]
    assert mail[:4] == ["2:4", str(len(MAIL)), "EMAIL", "email"]
    assert key[:4] == [f"2:{9 + len(MAIL)}", str(len(KEY)), "SECRET", "secrets"]
    assert "mail address" in mail[4]
    assert MAIL not in result.stdout
    assert KEY not in result.stdout
    assert run("--explain", given="nothing").stdout == "nothing found\n"


def test_programs_are_told_the_same_in_json() -> None:
    [told] = answers(run("--explain", "--json", given=f"mail {MAIL}"))
    assert told.keys() == {"findings"}
    assert MAIL not in str(told)
    [with_text] = answers(run("--json", given=f"mail {MAIL}"))
    [with_why] = answers(run("--jsonl", "--explain", given=as_line(f"mail {MAIL}")))
    assert with_text["text"] == with_why["text"] == "mail [EMAIL]"
    assert with_why["findings"] == told["findings"]
    assert "why" in str(told["findings"])
    assert "why" not in str(with_text["findings"])


def test_the_masks_of_a_file_are_used_all_or_those_named(config: str) -> None:
    given = f"ssn=x1\n\nmail {MAIL}, key {KEY}"
    assert run("-c", config, given=given).stdout == "ssn=[SSN]\n\nmail [EMAIL], key [SECRET]"
    assert run("-c", config, "--mask", "secrets", given=given).stdout == f"ssn=x1\n\nmail {MAIL}, key [SECRET]"
    both = run("-c", config, "--mask", "pii", "--mask", "secrets", given=given)
    assert both.stdout == run("-c", config, given=given).stdout


def test_detectors_of_the_file_s_own_are_used(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    mask = "secrets: {detect: [secrets, badge]}\ndetectors: {badge: {pattern: 'B-[0-9]{4}'}}"
    path.write_text(edited("secrets: {detect: [secrets]}", mask))
    result = run("-c", str(path), "--jsonl", given=as_line("badge B-1234"))
    finding = {"start": 6, "end": 12, "label": "BADGE", "detector": "badge"}
    assert answers(result) == [{"text": "badge [BADGE]", "findings": [finding]}]


def test_hashes_and_tokens_are_shown_as_a_session_would_see_them(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    masks = "{detect: [secrets]}\n  cards: {detect: [credit_card], replace: tokenize}"
    path.write_text(edited('replace: "[{label}]"', "replace: hash").replace("{detect: [secrets]}", masks))
    given = "\n".join([as_line(f"mail {MAIL}, once more {MAIL}"), as_line(f"card {CARD}")] * 2)
    mails, cards, mails_again, cards_again = answers(run("-c", str(path), "--jsonl", given=given))
    assert (mails, cards) == (mails_again, cards_again)
    first, second = str(mails["text"]).removeprefix("mail ").split(", once more ")
    assert first == second
    assert "EMAIL" in first
    named = run("-c", str(path), "--mask", "cards", given=CARD)
    assert named.exit_code == 0
    assert CARD not in named.stdout
    assert len(named.stdout) == len(CARD)


def test_a_file_that_is_refused_masks_nothing(tmp_path: Path, config: str) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(edited("[email,", "[emails,"))
    for arguments in (("-c", str(bad)), ("-c", config, "--mask", "pi"), ("--mask", "pii"), ("-c", str(tmp_path))):
        result = run(*arguments, given=MAIL)
        assert result.exit_code == 2
        assert result.stdout == ""
    assert "there is no mask 'pi'" in run("-c", config, "--mask", "pi").stderr
    assert "pii, secrets" in run("-c", config, "--mask", "pi").stderr
    assert "did you mean `email`?" in run("-c", str(bad)).stderr


@pytest.mark.parametrize("given", [b"\xff\xfe " + MAIL.encode(), b'{"a": 1, "a": "' + MAIL.encode() + b'"}'])
def test_what_cannot_be_masked_is_not_shown(given: bytes) -> None:
    for arguments in ((), ("--explain",), ("--json",)):
        result = run(*arguments, given=given)
        assert result.exit_code == 1
        assert result.stdout == ""
        assert MAIL not in result.stderr
        assert result.stderr.startswith("error: this cannot be masked: ")


def test_a_file_may_hold_the_text(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_text(MAIL)
    assert run(str(file)).stdout == "[EMAIL]"
    assert run("-", given=MAIL).stdout == "[EMAIL]"
    assert run(str(tmp_path / "none")).exit_code == 2


def test_the_help_shows_examples_that_can_be_copied() -> None:
    lines = [line.strip() for line in run("--help").stdout.splitlines()]
    assert "echo 'mail jane.doe@example.com' | countersign mask" in lines


def test_lines_are_answered_as_they_come_and_no_service_is_imported() -> None:
    program = (
        "import sys; sys.argv = ['countersign', 'mask', '--jsonl']\n"
        "from countersign.cli.main import app\n"
        "import countersign.cli.mask, countersign.cli.masked\n"
        "loaded = [name for name in ('grpc', 'psycopg', 'countersign.config', 'pydantic') if name in sys.modules]\n"
        "print(loaded, flush=True); app()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "[]\n"
        for _ in range(2):
            process.stdin.write(as_line(MAIL) + "\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["text"] == "[EMAIL]"
        process.stdin.close()
        assert process.wait(timeout=30) == 0


def test_a_reader_that_has_enough_ends_it_quietly() -> None:
    lines = "\n".join([as_line("x" * 1000)] * 2_000)
    command = f"{sys.executable} -m countersign.cli.main mask --jsonl | head -n 1"
    ended = subprocess.run(["sh", "-c", command], input=lines, capture_output=True, text=True, check=True)
    assert ended.stderr == ""
    assert len(ended.stdout.splitlines()) == 1
