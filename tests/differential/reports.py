"""What a run found, for people: a table by kind of mutation, and each disagreement so that it can be tried again."""

from __future__ import annotations

from pathlib import Path

from tests.differential.runs import Disagreement, Run

FOLDER = Path(__file__).parents[2] / ".fuzz"
"""Where reports are kept; git does not."""


def summary(run: Run) -> str:
    """Some lines: the seed, how many cases, what became of them."""
    acted = ", ".join(f"{peer} {count:,}" for peer, count in sorted(run.acted.items()))
    per_second = run.count / run.wall_s if run.wall_s else 0.0
    return (
        f"differential run, seed {run.seed}: {run.count:,} cases in {run.wall_s:.0f} s ({per_second:,.0f}/s, CPU: "
        f"{run.cpu_s:.0f} s here, {run.peer_cpu_s:.0f} s Node.js)\n"
        f"  let pass {run.let_pass:,}, refused {run.refused['all']:,}; acted on by {acted}\n"
        f"  disagreements {run.disagreements_count:,}, lawful requests refused {len(run.false_refusals):,}; "
        f"with an integer that JavaScript rounds {run.rounded:,}"
    )


def report(run: Run) -> str:
    """The summary, a table by kind of mutation, and what is to be looked into."""
    kinds = sorted({*run.passed, *run.refused} - {"all"})
    table = [f"  {'kind of mutation':24}{'let pass':>10}{'refused':>10}{'disagreed':>11}"]
    table += [f"  {kind:24}{run.passed[kind]:>10,}{run.refused[kind]:>10,}{run.disagreed[kind]:>11,}" for kind in kinds]
    found = [*map(_told, run.disagreements), *(f"lawful, and refused: {case!r}" for case in run.false_refusals)]
    return "\n".join([summary(run), "", *table, "", *found]) + "\n"


def write(run: Run, folder: Path = FOLDER) -> Path:
    """Write the report; return where."""
    folder.mkdir(exist_ok=True)
    file = folder / "differential.txt"
    file.write_text(report(run), "utf-8")
    return file


def _told(found: Disagreement) -> str:
    case = found.case
    return (
        f"case {case.number} ({', '.join(case.kinds)}): {found.peer} differs in: {found.what}\n"
        f"  headers {case.headers}\n  body    {case.body!r}\n"
        f"  judged  {list(found.ours)}\n  read    {list(found.theirs)}"
    )
