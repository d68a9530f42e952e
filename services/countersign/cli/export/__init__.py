"""`countersign export`: the record as it leaves the gateway."""

from __future__ import annotations

import typer

from countersign.cli.export import run, session

_app = typer.Typer(
    help="Save sessions with their proofs; hand the record on to files, collectors and SIEMs, and see how far each is.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
for _room in (session, run):
    _room.register(_app)


def register(app: typer.Typer) -> None:
    """Add the commands to the ``countersign`` command."""
    app.add_typer(_app, name="export")
