"""``countersign policy``: what rules say, would say, and would have said."""

from __future__ import annotations

import typer

from countersign.cli.policy import backtest, explain, testing

policy_app = typer.Typer(help="Try a policy before it is trusted.", no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    explain.register(policy_app)
    testing.register(policy_app)
    backtest.register(policy_app)
    app.add_typer(policy_app, name="policy")
