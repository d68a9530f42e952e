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


def bearer(token_file: Path | None, token: str | None, resource: str) -> str:
    """The token to send to ``resource``, the URL of a gateway or of one of its targets.

    The file goes before the environment, and both before what `countersign login` keeps.

    Raises:
        typer.Exit: with USAGE, after saying what is missing or wrong; the token itself is never shown.
    """
    if token_file is not None:
        try:
            token = token_file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise stop(f"the token in {token_file} cannot be read: {type(error).__name__}", USAGE) from None
    token = (token or "").strip() or _signed_in(resource)
    if not token:
        raise stop("no token: sign in (countersign login), give --token-file PATH, or set COUNTERSIGN_TOKEN", USAGE)
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise stop("what was given as a token is none: it holds blanks or signs that no token has", USAGE)
    return token


def _signed_in(resource: str) -> str:
    # Here, not at the top: they need what is here.
    from countersign.cli.portal_client import token_for
    from countersign.cli.sign_ins import SignIns
    from countersign.runtime.settings import state_directory

    folder = state_directory()
    return (token_for(SignIns(folder), resource) or "") if folder is not None else ""


def stop(message: str, code: int) -> typer.Exit:
    """Say one line on standard error; raise what this returns to end with ``code``."""
    Console(stderr=True).print(visible(message), markup=False, highlight=False, soft_wrap=True)
    return typer.Exit(code)
