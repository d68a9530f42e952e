"""What the policy commands have in common: the files they are given."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from countersign.cli.access import USAGE
from countersign.cli.check import print_problems
from countersign.config import ConfigRefused, GatewayConfig, load
from countersign.rehearsal.reports import PolicyFile
from countersign.rehearsal.ruling import Ruling
from countersign.runtime.settings import environment

Trial = Annotated[
    bool, typer.Option("--trial", help="Judge by the rules on trial: `shadow:`, and those in `mode: shadow`, too.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def load_policy(path: Path) -> GatewayConfig:
    """Load a gateway.yaml for its rules; no credential is read.

    Raises:
        typer.Exit: with USAGE, after saying what is wrong with it.
    """
    try:
        return load(path, environment(), reads=frozenset())
    except ConfigRefused as refused:
        print_problems(refused)
        raise typer.Exit(USAGE) from None


def policy_file(path: Path, ruling: Ruling) -> PolicyFile:
    """Say which file it is, as it was named."""
    return PolicyFile(str(path), ruling.version)
