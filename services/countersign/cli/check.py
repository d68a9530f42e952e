"""``countersign check``: is this gateway.yaml good?"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from countersign.config import ConfigRefused, GatewayConfig, load
from countersign.runtime.settings import environment

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The gateway.yaml.", metavar="FILE")]


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("check", epilog="Example: countersign check -c gateway.yaml")(check)


def check(
    config: ConfigOption,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")] = False,
) -> None:
    """Say whether a gateway.yaml would be taken, and if not, what is wrong with it.

    The first ten problems are shown; --json shows all. Exit code 0: good; 1: refused.
    """
    try:
        loaded = load(config, environment())
    except ConfigRefused as refused:
        if as_json:
            print(json.dumps({"valid": False, "problems": [asdict(problem) for problem in refused.problems]}))
        else:
            print_problems(refused)
        raise typer.Exit(1) from None
    if as_json:
        candidate = {"candidate_version": loaded.candidate.version} if loaded.candidate else {}
        print(json.dumps({"valid": True, "policy_version": loaded.version} | candidate))
    else:
        print(f"{config}: good (policy version {loaded.version}, {_counts(loaded)})")


def print_problems(refused: ConfigRefused) -> None:
    """Print the first problems to stderr, each on a line of its own, and how many more there are."""
    print(refused, file=sys.stderr)


def _counts(config: GatewayConfig) -> str:
    counts = [f"{len(config.targets)} targets, {len(config.rules)} rules, {len(config.masks)} masks"]
    if config.rate_limits:
        counts.append(f"{len(config.rate_limits)} rate limits")
    if on_trial := sum(rule.shadow for rule in config.rules):
        counts.append(f"{on_trial} rules on trial")
    if config.candidate:
        counts.append(f"candidate {config.candidate.version} on trial")
    return ", ".join(counts)
