"""`countersign log`: the log that proves the record."""

from __future__ import annotations

import typer

from countersign.cli.log import dump, keys, standing

_app = typer.Typer(
    help="The log that proves the record: its keys, and how it stands.", no_args_is_help=True, rich_markup_mode=None
)
for _room in (keys, standing, dump):
    _room.register(_app)


def register(app: typer.Typer) -> None:
    """Add the commands to the ``countersign`` command."""
    app.add_typer(_app, name="log")
