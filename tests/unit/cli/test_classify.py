"""``countersign classify``: statements in, classes out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from countersign.cli.main import app
from countersign.statements import LANGUAGES


def run(*arguments: str, given: str | bytes = "") -> Result:
    return CliRunner().invoke(app, ["classify", *arguments], input=given)


def answers(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_the_whole_input_is_one_text() -> None:
    result = run("--dialect", "postgres", "--json", given="SELECT name\nFROM cards\nLIMIT 2;\nDELETE FROM accounts\n")
    assert result.exit_code == 0
    assert answers(result) == [
        {
            "class": ["mass_write", "read"],
            "relations": ["accounts", "cards"],
            "reads": ["cards"],
            "writes": ["accounts"],
            "row_bound": 2,
            "only_reads": False,
            "reason": "deletes from accounts without a bound on the rows",
        }
    ]


def test_a_line_for_people_says_classes_relations_and_why() -> None:
    result = run("--dialect", "postgres", given="SELECT name FROM cards LIMIT 2")
    told = " ".join(result.stdout.split())
    assert told == "read reads cards at most 2 rows (reads a bounded number of rows)"


def test_each_json_line_is_answered_in_order_in_its_own_dialect() -> None:
    lines = [{"sql": "SELECT 1"}, {"sql": "GET a", "dialect": "redis"}, {"dialect": "shell", "sql": "rm -rf /"}]
    result = run("--dialect", "postgresql", "--json", given="\n\n".join(map(json.dumps, lines)))
    assert result.exit_code == 0
    assert [each["only_reads"] for each in answers(result)] == [True, True, False]


def test_a_bad_line_is_named_the_others_are_answered_and_the_exit_code_tells() -> None:
    lines = [
        '{"sql": "SELECT 1"}',
        "{",
        '{"sql": 5}',
        '["sql"]',
        '{"sql": "x", "dialect": "oracle"}',
        '{"sql": "SELECT 2"}',
    ]
    result = run("--dialect", "postgres", "--json", given="\n".join(lines))
    assert result.exit_code == 1
    told = answers(result)
    assert [each.get("line") for each in told] == [None, 2, 3, 4, 5, None]
    assert all(isinstance(each["error"], str) for each in told if "line" in each)


def test_a_bad_first_line_that_begins_like_an_object_with_sql_is_a_bad_line() -> None:
    result = run("--dialect", "postgres", given='{"sql": "SELECT 1"\n{"sql": "SELECT 2"}\n')
    assert result.exit_code == 1
    assert result.stdout.splitlines()[0].startswith("line 1: not JSON; write one object a line")
    assert result.stdout.splitlines()[1].startswith("read")


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        (b"nonsense", "write one object a line"),
        (b'{"text": "SELECT 1"}', "write one object a line"),
        (b'{"sql": "\xff"}', "iconv"),
        (b'{"sql": "SELECT 1", "dialect": 5}', "known are postgres"),
        (b'{"sql": "' + b"x" * 1_100_000 + b'"}', "longer than"),
        (b"[" * 100_000, "write one object a line"),
    ],
)
def test_an_error_names_its_line_and_what_to_do_and_loses_no_other(line: bytes, remedy: str) -> None:
    good = b'{"sql": "SELECT 1"}'
    result = run("--dialect", "postgres", given=b"\n".join([good, line, good]))
    before, error, after = result.stdout.splitlines()
    assert before.startswith("read")
    assert after == before
    assert error.startswith("line 2: ")
    assert remedy in error
    assert len(error) < 200
    assert result.exit_code == 1


def test_the_help_shows_examples_that_can_be_copied() -> None:
    lines = [line.strip() for line in run("--help").stdout.splitlines()]
    assert "echo 'DELETE FROM users WHERE 1=1' | countersign classify --dialect postgres" in lines


def test_sql_in_a_shell_command_is_understood() -> None:
    told = answers(run("--dialect", "shell", "--json", given="psql -c 'DROP TABLE accounts'"))
    assert told[0]["class"] == ["destructive_ddl"]
    assert told[0]["writes"] == ["accounts"]


def test_a_line_without_a_dialect_anywhere_is_named() -> None:
    result = run("--json", given='{"sql": "SELECT 1", "dialect": "sqlite"}\n{"sql": "SELECT 1"}\n')
    assert result.exit_code == 1
    assert answers(result)[1]["line"] == 2


def test_a_document_that_is_a_statement_is_no_json_line() -> None:
    result = run("--dialect", "mongodb", "--json", given='{"find": "accounts",\n "limit": 5}\n')
    assert result.exit_code == 0
    assert answers(result)[0]["class"] == ["read"]


@pytest.mark.parametrize("arguments", [("--dialect", "oracle"), ()])
def test_an_unknown_or_missing_dialect_is_refused_and_the_known_are_listed(arguments: tuple[str, ...]) -> None:
    result = run(*arguments, given="SELECT 1")
    assert result.exit_code == 2
    assert ", ".join(LANGUAGES) in result.stderr
    assert result.stdout == ""


def test_a_file_may_hold_the_statements(tmp_path: Path) -> None:
    file = tmp_path / "query.sql"
    file.write_text("DROP TABLE accounts")
    assert answers(run("--dialect", "postgres", "--json", str(file)))[0]["class"] == ["destructive_ddl"]
    assert answers(run("--dialect", "postgres", "--json", "-", given="SELECT 1"))[0]["class"] == ["read"]
    assert run("--dialect", "postgres", str(tmp_path / "none.sql")).exit_code == 2


@pytest.mark.parametrize("given", ["", "\n\n", b"\xff\xfe", "SELECT 1 -- " + "x" * 2_000_000])
def test_what_cannot_be_read_as_a_statement_is_unparsable(given: str | bytes) -> None:
    result = run("--dialect", "postgres", "--json", given=given)
    assert result.exit_code == 0
    assert answers(result)[0]["class"] == ["unparsable"]


def test_a_line_without_an_end_is_refused_and_the_next_is_answered() -> None:
    given = '{"sql": "SELECT 1"}\n{"sql": "' + "x" * 2_000_000 + '"}\n{"sql": "SELECT 2"}\n'
    told = answers(run("--dialect", "postgres", "--json", given=given))
    assert [each.get("line") for each in told] == [None, 2, None]


def test_a_name_cannot_command_the_terminal() -> None:
    result = run("--dialect", "postgres", given='SELECT * FROM "\x1b[2Jaccounts" LIMIT 1')
    assert "\x1b" not in result.stdout


def test_lines_are_answered_as_they_come_and_no_service_is_imported() -> None:
    program = (
        "import sys; sys.argv = ['countersign', 'classify', '--dialect', 'postgres', '--json']\n"
        "from countersign.cli.main import app\n"
        "import countersign.cli.classify\n"
        "loaded = [name for name in ('grpc', 'psycopg', 'countersign.config', 'sqlglot') if name in sys.modules]\n"
        "print(loaded, flush=True); app()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "[]\n"
        for text in ("SELECT 1", "VALUES (1)"):
            process.stdin.write(json.dumps({"sql": text}) + "\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["class"] == ["read"]
        process.stdin.close()
        assert process.wait(timeout=30) == 0
