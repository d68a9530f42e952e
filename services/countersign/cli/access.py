"""What every command that speaks to a gateway has in common: its address, the token, exit codes, one-line errors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from countersign.model.visible import visible

REFUSED, USAGE, UNREACHABLE = 1, 2, 3
"""Exit codes: the gateway said no, or there is no such thing; the command line is wrong; nobody answered."""

DEFAULT_GATEWAY = "http://127.0.0.1:8080"

GatewayUrl = Annotated[str, typer.Option("--gateway", envvar="COUNTERSIGN_GATEWAY", help="The gateway's URL.")]
TokenFile = Annotated[Path | None, typer.Option(help="A file that holds the bearer token.")]
Token = Annotated[
    # Hidden: a token on a command line is seen by everybody on the machine.
    str | None, typer.Option("--token", envvar="COUNTERSIGN_TOKEN", hidden=True)
]


def bearer(token_file: Path | None, token: str | None) -> str:
    """The token to send; the file goes before the environment.

    Raises:
        typer.Exit: with USAGE, after saying what is missing or wrong; the token itself is never shown.
    """
    if token_file is not None:
        try:
            token = token_file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise stop(f"the token in {token_file} cannot be read: {type(error).__name__}", USAGE) from None
    token = (token or "").strip()
    if not token:
        raise stop("no token: give --token-file PATH, or set COUNTERSIGN_TOKEN", USAGE)
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise stop("what was given as a token is none: it holds blanks or signs that no token has", USAGE)
    return token


def stop(message: str, code: int) -> typer.Exit:
    """Say one line on standard error; raise what this returns to end with ``code``."""
    Console(stderr=True).print(visible(message), markup=False, highlight=False, soft_wrap=True)
    return typer.Exit(code)
