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
    """Say whether a gateway.yaml would be taken, and if not, everything that is wrong with it.

    Exit code 0: good; 1: refused.
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
        print(json.dumps({"valid": True, "policy_version": loaded.version}))
    else:
        print(f"{config}: good (policy version {loaded.version}, {_counts(loaded)})")


def print_problems(refused: ConfigRefused) -> None:
    """Print the first problems to stderr, each on a line of its own, and how many more there are."""
    print(refused, file=sys.stderr)


def _counts(config: GatewayConfig) -> str:
    return f"{len(config.targets)} targets, {len(config.rules)} rules, {len(config.masks)} masks"
