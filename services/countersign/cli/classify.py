"""``countersign classify``: what would the gateway say of this statement?"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO, Final, NoReturn

import typer

from countersign.statements import LANGUAGES, Verdict, canonical, classify

_EXAMPLES: Final = """\b
Examples:
  echo 'DELETE FROM users WHERE 1=1' | countersign classify --dialect postgres
  countersign classify --dialect mysql --json query.sql
  echo '{"sql": "SELECT 1", "dialect": "sqlite"}' | countersign classify --json
"""
_AS_LINES: Final = 'write one object a line: {"sql": "SELECT 1", "dialect": "postgres"}'
_KNOWN: Final = ", ".join(LANGUAGES)
_MAX_LINE_BYTES: Final = 1024 * 1024
_STARTS_AS_LINES: Final = re.compile(rb'\s*\{\s*"(sql|dialect)"\s*:')


@dataclass(frozen=True, slots=True)
class _Input:
    """One text to classify, from line ``line`` (from 1), or why there is none."""

    line: int
    text: str = ""
    dialect: str | None = None
    error: str = ""


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("classify", epilog=_EXAMPLES)(classify_command)


def classify_command(
    file: Annotated[Path | None, typer.Argument(help="Where the statements are; stdin when left out, or '-'.")] = None,
    dialect: Annotated[
        str | None, typer.Option("--dialect", "-d", help=f"The language: {_KNOWN}.", metavar="D")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line instead of text.")] = False,
) -> None:
    """Say what statements do, as the conditions of rules see it: their classes, relations, row bound, and why.

    The input is one text of one or more statements; or, when its first line is a JSON object with "sql", JSON lines
    {"sql": ..., "dialect": ...}, of which each is answered as it comes. Exit code 0: all answered; 1: some lines were
    not as they should be; 2: the call was not.
    """
    if dialect is not None and not _is_known(dialect):
        _refuse(f"unknown dialect {dialect!r}; known are {_KNOWN}")
    failed = False
    with ExitStack() as open_files:
        try:
            source = sys.stdin.buffer if file is None or str(file) == "-" else open_files.enter_context(file.open("rb"))
        except OSError as error:
            _refuse(f"cannot read {str(file)!r}: {error.strerror}; name a file, or '-' for stdin")
        if source.isatty():
            print("reading statements from the terminal; end with Ctrl-D", file=sys.stderr)
        for each in _inputs(source, dialect):
            if each.error:
                failed = True
                _print_error(each, as_json=as_json)
            elif each.dialect is None:
                _refuse(f"say the language with --dialect; known are {_KNOWN}")
            else:
                verdict = classify(each.text, each.dialect)
                print(json.dumps(_document(verdict)) if as_json else _line(verdict), flush=True)
    if failed:
        raise typer.Exit(1)


def _inputs(source: BinaryIO, dialect: str | None) -> Iterator[_Input]:
    first, number = b"", 0
    while not first.strip():
        first, number = source.readline(_MAX_LINE_BYTES + 1), number + 1
        if not first:
            break
    if not _STARTS_AS_LINES.match(first) and _of_line(first, number, dialect).error:
        rest = source.read(_MAX_LINE_BYTES)
        yield _Input(number, (first + rest).decode("utf-8", "surrogateescape"), dialect)
        return
    while first:
        if len(first) > _MAX_LINE_BYTES:
            while first and not first.endswith(b"\n"):
                first = source.readline(_MAX_LINE_BYTES)
            yield _Input(
                number, error=f"longer than {_MAX_LINE_BYTES} bytes; a statement of that size is never understood"
            )
        elif first.strip():
            yield _of_line(first, number, dialect, needs_dialect=True)
        first, number = source.readline(_MAX_LINE_BYTES + 1), number + 1


def _of_line(line: bytes, number: int, dialect: str | None, *, needs_dialect: bool = False) -> _Input:
    try:
        document = json.loads(line)
    except UnicodeDecodeError:
        return _Input(number, error="not UTF-8; convert the input, for instance with iconv -t UTF-8")
    except (ValueError, RecursionError):
        return _Input(number, error=f"not JSON; {_AS_LINES}")
    if not isinstance(document, dict) or not isinstance(document.get("sql"), str):
        return _Input(number, error=f'not an object with a text in "sql"; {_AS_LINES}')
    dialect = document.get("dialect", dialect)
    if needs_dialect and dialect is None:
        return _Input(number, error=f'the language is missing; add "dialect" or --dialect: {_KNOWN}')
    if dialect is not None and not (isinstance(dialect, str) and _is_known(dialect)):
        return _Input(number, error=f"unknown dialect; known are {_KNOWN}")
    return _Input(number, document["sql"], dialect)


def _is_known(dialect: str) -> bool:
    try:
        canonical(dialect)
    except ValueError:
        return False
    return True


def _document(verdict: Verdict) -> dict[str, object]:
    return {
        "class": sorted(verdict.classes),
        "relations": sorted(verdict.relations),
        "reads": sorted(verdict.reads),
        "writes": sorted(verdict.writes),
        "row_bound": verdict.row_bound,
        "only_reads": verdict.only_reads,
        "reason": verdict.reason,
    }


def _line(verdict: Verdict) -> str:
    parts = [f"{', '.join(sorted(verdict.classes)):<32}"]
    if verdict.reads:
        parts.append(f"reads {', '.join(sorted(verdict.reads))}")
    if verdict.writes:
        parts.append(f"writes {', '.join(sorted(verdict.writes))}")
    if verdict.row_bound is not None:
        parts.append(f"at most {verdict.row_bound} rows")
    line = "  ".join([*parts, f"({verdict.reason})" if verdict.reason else ""]).rstrip()
    # A relation's name may hold anything, also what a terminal obeys.
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in line)


def _print_error(each: _Input, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"line": each.line, "error": each.error}), flush=True)
    else:
        print(f"line {each.line}: {each.error}", flush=True)


def _refuse(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    raise typer.Exit(2)
