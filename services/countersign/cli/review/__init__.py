"""``countersign review``: what was used, what was granted for nothing, and what reviewers say of it."""

from __future__ import annotations

import typer

from countersign.cli.review import reporting, signing

_app = typer.Typer(help="Review who used what, and what nobody needed.", rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    reporting.register(_app)
    signing.register(_app)
    app.add_typer(_app, name="review")
