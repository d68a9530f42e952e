"""``countersign up``: the whole gateway on this machine."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from countersign.cli.check import ConfigOption, print_problems
from countersign.config import ConfigRefused, ConfigWatcher
from countersign.runtime.settings import environment


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("up", epilog="Example: countersign up -c gateway.yaml --listen 127.0.0.1:8080 --state ./state")(up)


def up(
    config: ConfigOption,
    listen: Annotated[str, typer.Option(help="Where Envoy listens, HOST:PORT; by default what gateway.url says.")] = "",
    state: Annotated[Path, typer.Option(help="Directory for sockets, logs, keys and the embedded database.")] = Path(
        ".countersign"
    ),
) -> None:
    """Start Envoy, Postgres, recorder, authz and masker, and approver, portal, hub and bridge where gateway.yaml
    needs them; stop on Ctrl-C.

    Exit code 0: stopped as asked; 1: something cannot start, with the reason in one line.
    """
    from countersign.local.child import CannotStart
    from countersign.local.state import StateError, open_state
    from countersign.local.up import Up, default_listen

    try:
        watcher = ConfigWatcher(config, environment())
        opened = open_state(state)
        address = listen or default_listen(watcher.current)
        asyncio.run(Up(watcher, config, opened, address, environment(), _say).run())
    except ConfigRefused as refused:
        print_problems(refused)
        raise typer.Exit(1) from None
    except (CannotStart, StateError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(1) from None


def _say(part: str, what: str) -> None:
    print(f"{part + ':':<13} {what}", flush=True)
