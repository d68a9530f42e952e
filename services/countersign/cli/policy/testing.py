"""``countersign policy test``: do the rules say what their authors mean?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from countersign.cli.access import REFUSED, USAGE, stop
from countersign.cli.check import print_problems
from countersign.cli.policy.options import AsJson, Trial, load_policy, policy_file
from countersign.cli.policy.shown import console
from countersign.config import ConfigRefused
from countersign.model.visible import visible
from countersign.rehearsal.cases import CaseFile
from countersign.rehearsal.reports import cases_json, cases_junit, failure_lines
from countersign.rehearsal.ruling import Ruling
from countersign.rehearsal.testing import CaseResult, run


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("test", epilog="Example: countersign policy test policy-tests.yaml -c gateway.yaml --junit out.xml")(
        try_cases
    )


def try_cases(
    file: Annotated[Path, typer.Argument(help="The cases, in YAML; docs/policy.md says how they are written.")],
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="The gateway.yaml; else the one that FILE names.", metavar="FILE"),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", help="Also write the results here as JUnit XML.", metavar="FILE")
    ] = None,
    trial: Trial = False,
    as_json: AsJson = False,
) -> None:
    """Judge the calls of test cases by a gateway.yaml, and compare with what its authors expect.

    Exit code 0: all cases pass; 1: some fail; 2: FILE or the gateway.yaml is wrong, so nothing was tried.
    """
    try:
        written = CaseFile(file)
        path = config or written.config
        if path is None:
            raise stop("no gateway.yaml: give -c FILE, or write `config: FILE` above the cases", USAGE)
        loaded = load_policy(path)
        ruling = Ruling(loaded, trial=trial)
        results = run(written.cases(loaded, ruling), ruling)
    except ConfigRefused as refused:
        print_problems(refused)
        raise typer.Exit(USAGE) from None
    if junit is not None:
        _write(junit, cases_junit(results, str(file)))
    if as_json:
        typer.echo(cases_json(results, policy_file(path, ruling)))
    else:
        _show(results)
    raise typer.Exit(REFUSED if any(not result.passed for result in results) else 0)


def _show(results: tuple[CaseResult, ...]) -> None:
    out = console()
    for result in results:
        if result.passed:
            out.print(Text("ok    ", "green").append(visible(result.case.name)), soft_wrap=True)
            continue
        out.print(Text("FAIL  ", "bold red").append(f"{visible(result.case.name)} (line {result.case.line})", "bold"))
        for line in failure_lines(result):
            style = {"-": "red", "+": "green"}.get(line[0], "")
            out.print(Text(f"        {visible(line)}", style), soft_wrap=True)
    passed = sum(result.passed for result in results)
    out.print(f"{passed} of {len(results)} cases pass")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise stop(f"{path} cannot be written: {error.strerror}", USAGE) from None
