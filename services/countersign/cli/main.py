"""``countersign``: the commands and what they have in common."""

from __future__ import annotations

import sys

import typer

from countersign.cli import classify

app = typer.Typer(
    name="countersign",
    help="A governed gateway in front of MCP servers, HTTP APIs and databases.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def together() -> None:
    """Stand for the group, so that it stays one when only one command is registered."""


match sys.argv[1:2]:
    case ["classify"]:
        # What the other commands import takes half a second, and classify is run once a statement in loops.
        classify.register(app)
    case ["serve"]:
        # A process that judges traffic holds nothing that tries policies: that makes principals without a token.
        from countersign.cli import serve

        serve.register(app)
    case _:
        from countersign.cli import call, check, demo, envoy_config, policy, serve, sessions, status, tools, up

        up.register(app)
        check.register(app)
        serve.register(app)
        envoy_config.register(app)
        call.register(app)
        tools.register(app)
        sessions.register(app)
        status.register(app)
        policy.register(app)
        demo.register(app)
        classify.register(app)


if __name__ == "__main__":
    app()
