"""``countersign policy backtest``: what would these rules have said of the calls that there were?"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from countersign.cli.access import DEFAULT_GATEWAY, USAGE, GatewayUrl, Token, TokenFile, bearer, stop
from countersign.cli.gateway import gateway_channel
from countersign.cli.policy.options import AsJson, Trial, load_policy, policy_file
from countersign.cli.policy.record import Record, Wanted
from countersign.cli.policy.shown import console, show_backtest
from countersign.model.rule import Mask
from countersign.rehearsal.backtest import Backtest
from countersign.rehearsal.moments import NoMoment, read_moment_or_age
from countersign.rehearsal.reports import Asked, backtest_json
from countersign.rehearsal.ruling import Ruling
from countersign.rehearsal.usage import LONGEST_US
from countersign.runtime.moments import now_us

CHANGED, GATEWAY_REFUSED = 1, 4
_TELL_EVERY_S = 2.0


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("backtest", epilog="Example: countersign policy backtest new.yaml --since 7d --token-file carol.token")(
        backtest
    )


def backtest(
    new: Annotated[Path, typer.Argument(help="The gateway.yaml to try.", metavar="NEW.yaml")],
    since: Annotated[str, typer.Option(help="The first calls to judge: 7d, 12h, or a time, ISO 8601 (UTC).")] = "7d",
    until: Annotated[str | None, typer.Option(help="Up to when, likewise; up to now, unless given.")] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="Compare with this file, not with what was decided.", metavar="OLD.yaml"),
    ] = None,
    target: Annotated[str, typer.Option(help="Only calls of this target.")] = "",
    subject: Annotated[str, typer.Option(help="Only calls of this subject.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many ways to change are shown one by one.")] = 20,
    fail_on_change: Annotated[bool, typer.Option("--fail-on-change", help="End with 1 when anything changes.")] = False,
    trial: Trial = False,
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Judge recorded calls by other rules, and show which decisions, masks and approvals would change.

    Exit code 0: done (and nothing changes, with --fail-on-change); 1: something changes, with --fail-on-change; 2: the
    command line or a file is wrong; 3: the gateway does not answer; 4: it refuses.
    """
    now = now_us()
    since_us, until_us = _moment("since", since, now), now if until is None else _moment("until", until, now)
    if until_us <= since_us:
        raise stop("--until is not after --since: there are no calls in between", USAGE)
    new_config, old_config = load_policy(new), load_policy(config) if config is not None else None
    candidate = Ruling(new_config, trial=trial)
    baseline = Ruling(old_config) if old_config is not None else None
    redefined = () if baseline is None else _redefined(baseline, candidate)
    asked = Asked(
        candidate=policy_file(new, candidate),
        baseline=policy_file(config, baseline) if config is not None and baseline is not None else None,
        since_us=since_us,
        until_us=until_us,
        target=target,
        subject=subject,
        trial=trial,
        masks_redefined=redefined,
    )
    run = Backtest(candidate, baseline, since_us)
    # Before the first call, what counts towards its usage; without bodies, as it is not judged.
    read_from_us = since_us - LONGEST_US if run.needs_usage else since_us
    sent = bearer(token_file, token, gateway)
    with gateway_channel(gateway, refused=GATEWAY_REFUSED) as channel:
        wanted = Wanted(read_from_us, until_us, since_us, target, subject)
        for fact in Record(channel, sent).facts(wanted, _Progress()):
            run.add(fact)
    findings = run.findings()
    if as_json:
        typer.echo(backtest_json(asked, findings))
    else:
        show_backtest(console(), asked, findings, limit)
    raise typer.Exit(CHANGED if fail_on_change and findings.changed else 0)


def _moment(option: str, text: str, now: int) -> int:
    try:
        return read_moment_or_age(text, now)
    except NoMoment as error:
        raise stop(f"--{option} {text!r} is not a time: {error}", USAGE) from None


def _redefined(old: Ruling, new: Ruling) -> tuple[str, ...]:
    def finds_other(mask: Mask) -> bool:
        return any(old.detectors.get(name) != new.detectors.get(name) for name in mask.detectors)

    shared = {name: mask for name, mask in new.masks.items() if name in old.masks}
    return tuple(sorted(name for name, mask in shared.items() if old.masks[name] != mask or finds_other(mask)))


class _Progress:
    """Says on standard error how far a long reading has come."""

    def __init__(self) -> None:
        self._next_s = time.monotonic() + _TELL_EVERY_S

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + _TELL_EVERY_S
            typer.echo(f"read {done:,} of {total:,} recorded events", err=True)
