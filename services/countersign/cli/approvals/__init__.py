"""`countersign approvals`: see the calls that wait for people, and agree to them or not."""

from __future__ import annotations

import typer

from countersign.cli.approvals import deciding, ending, seeing, watching

_app = typer.Typer(
    help="See the calls that wait for people; agree to them, deny them, take them back.",
    epilog="Your token must be for the gateway itself, and name the groups that you decide for.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
for _room in (seeing, watching, deciding, ending):
    _room.register(_app)


def register(app: typer.Typer) -> None:
    """Add the commands to the ``countersign`` command."""
    app.add_typer(_app, name="approvals")
