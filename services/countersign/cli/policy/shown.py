"""How decisions and their changes look in a terminal. Names come from callers: see ``cli.replayed``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from countersign.model.decision import Decision
from countersign.model.visible import visible
from countersign.policy import Explanation, RuleTrace
from countersign.rehearsal.backtest import Change, Effects, Findings, Ruled
from countersign.rehearsal.moments import write_moment
from countersign.rehearsal.reports import Asked

_STYLES = {"allow": "green", "deny": "bold red", "approve": "yellow", "refused": "bold red"}
_EFFECT_TITLES = ("DENIED", "ALLOWED", "APPROVAL", "MASKS")


def console() -> Console:
    """Standard output; nothing is cut where it goes to a file or a pipe."""
    out = Console(highlight=False)
    return out if out.is_terminal else Console(highlight=False, width=200)


def decision_text(decision: Decision) -> Text:
    """A decision in one line."""
    text = Text(decision.outcome.value, _STYLES.get(decision.outcome.value, ""))
    text.append(f"  {visible(decision.reason)}")
    if decision.masks:
        text.append(f"  masks: {visible(', '.join(decision.masks))}", "magenta")
    return text


def show_explanation(out: Console, explanation: Explanation, needs: Sequence[str]) -> None:
    """Print what each rule made of the call, what came of it, and who must agree first."""
    table = _table("RULE", "EFFECT", "MATCHES", "WHY NOT")
    for trace in explanation.rules:
        table.add_row(Text(visible(trace.name)), _effect(trace), *_matched(trace))
    out.print(table)
    out.print()
    out.print(decision_text(explanation.decision), soft_wrap=True)
    for line in needs:
        out.print(f"needs: {visible(line)}", style="yellow", markup=False, soft_wrap=True)
    if explanation.decision.message:
        out.print(f"the caller reads: {visible(explanation.decision.message)}", markup=False, soft_wrap=True)


def show_backtest(out: Console, asked: Asked, findings: Findings, limit: int) -> None:
    """Print what a backtest found: sums, then who is concerned, then each way to change with examples."""
    for line in _headline(asked, findings):
        out.print(line, markup=False, soft_wrap=True)
    if not findings.changed:
        return
    shares = _table("BY RULE", "DECIDED", "WOULD DECIDE", numbers=2)
    for rule, share in findings.by_rule.items():
        shares.add_row(Text(visible(rule)), str(share.was), str(share.would_be))
    principals = {_who(subject, issuer): one for (subject, issuer), one in findings.by_principal.items()}
    tools = {_what(*names): one for names, one in findings.by_tool.items()}
    for table in (shares, _effects("BY PRINCIPAL", principals), _effects("BY TOOL", tools)):
        out.print()
        out.print(table)
    out.print()
    for change in findings.changes[:limit]:
        _show_change(out, change)
    beyond = len(findings.changes) - limit
    if beyond > 0:
        out.print(f"... and {beyond} more ways to change: --limit {len(findings.changes)} shows them", soft_wrap=True)


def _headline(asked: Asked, findings: Findings) -> list[str]:
    baseline = asked.baseline
    against = f"{baseline.file} (version {baseline.version})" if baseline else "what was decided then"
    trial = ", with the rules on trial" if asked.trial else ""
    about = "".join(
        f", {word} {visible(name)}" for word, name in (("target", asked.target), ("subject", asked.subject)) if name
    )
    lines = [
        f"{asked.candidate.file} (version {asked.candidate.version}){trial} compared with {against}",
        f"calls from {write_moment(asked.since_us)} until {write_moment(asked.until_us)}{about}",
        f"{findings.judged} calls judged, {findings.changed} would change",
    ]
    if findings.by_other_rules:
        lines.append(f"{findings.by_other_rules} would be decided alike, by other rules")
    if findings.on_masked_arguments:
        lines.append(
            f"{findings.on_masked_arguments} were judged on masked arguments: what is masked may judge otherwise"
        )
    lines += [f"{count} set aside: {aside.value}" for aside, count in findings.set_aside.items()]
    if asked.masks_redefined:
        lines.append(f"masks of the same name that are not the same: {visible(', '.join(asked.masks_redefined))}")
    return lines


def _show_change(out: Console, change: Change) -> None:
    of = change.of
    line = Text(f"{change.calls:>6}  ", "bold").append(_who(of.subject, of.issuer)).append("  ")
    line.append(_what(of.target, of.method, of.name), "cyan").append("  ")
    line.append_text(_ruled(change.was)).append(" -> ").append_text(_ruled(change.would_be))
    out.print(line, soft_wrap=True)
    out.print(Text(f"        because: {visible(change.would_be.reason)}", "dim"), soft_wrap=True)
    for needed in change.would_be.needs:
        out.print(Text(f"        needs: {visible(needed)}", "dim"), soft_wrap=True)
    if change.on_masked_arguments:
        out.print(Text(f"        {change.on_masked_arguments} judged on masked arguments", "magenta"), soft_wrap=True)
    out.print(Text(f"        such as {', '.join(visible(event) for event in change.examples)}", "dim"), soft_wrap=True)


def _ruled(ruled: Ruled) -> Text:
    text = Text(ruled.outcome, _STYLES.get(ruled.outcome, ""))
    if ruled.rules or ruled.glass:
        text.append(f" ({visible(', '.join(ruled.rules or ruled.glass))})")
    if ruled.masks:
        text.append(f" masks {visible(', '.join(ruled.masks))}", "magenta")
    return text


def _effects(title: str, rows: Mapping[str, Effects]) -> Table:
    table = _table(title, "CALLS", *_EFFECT_TITLES, numbers=1 + len(_EFFECT_TITLES))
    for name, effects in rows.items():
        counts: Iterable[int] = effects.counts.values()
        table.add_row(Text(name), str(effects.calls), *(str(count) if count else "" for count in counts))
    return table


def _table(*titles: str, numbers: int = 0) -> Table:
    table = Table(box=None, pad_edge=False)
    for position, title in enumerate(titles):
        right = position >= len(titles) - numbers
        table.add_column(title, justify="right" if right else "left", overflow="fold", no_wrap=right)
    return table


def _effect(trace: RuleTrace) -> Text:
    return Text(f"{trace.effect.value} (on trial)" if trace.shadow else trace.effect.value)


def _matched(trace: RuleTrace) -> Sequence[Text]:
    if trace.error:
        return Text("cannot be told", "bold red"), Text(visible(trace.error))
    return Text("yes", "bold") if trace.matched else Text("no", "dim"), Text(visible(trace.failed))


def _who(subject: str, issuer: str) -> str:
    return f"{visible(subject)} ({visible(issuer)})" if issuer else visible(subject)


def _what(target: str, method: str, name: str) -> str:
    return " ".join(visible(part) for part in (target, method, name) if part)
