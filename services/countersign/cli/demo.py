"""`countersign demo`: the whole gateway on this machine, with people and a target to try it on."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

# What the demo's servers run on, in processes of their own: to import it here would only take its time.
_EXTRA = ("mcp", "uvicorn", "starlette")


def register(app: typer.Typer) -> None:
    """Add the command to the ``countersign`` command."""
    app.command("demo")(demo)


def demo(
    once: Annotated[bool, typer.Option(help="End after the walk; the exit code says whether all was as told.")] = False,
    state: Annotated[Path, typer.Option(help="Where tokens, logs, databases and gateway.yaml are kept.")] = Path(
        ".demo"
    ),
    listen: Annotated[
        str | None, typer.Option(help="HOST:PORT of the gateway; by default 127.0.0.1:8080, or a free port.")
    ] = None,
) -> None:
    """Start everything here, with an issuer and a target to try it on, and walk through it."""
    if listen is not None and not listen.rpartition(":")[2].isdigit():
        typer.echo(f"{listen!r} is not HOST:PORT: write for example 127.0.0.1:8080", err=True)
        raise typer.Exit(2)
    for needed in _EXTRA:
        if find_spec(needed) is None:
            typer.echo(f"the demo needs {needed}: pip install 'countersign[demo]'", err=True)
            raise typer.Exit(2)
    from countersign.demo.walk import walk

    raise typer.Exit(walk(state, listen, once=once))
