"""``countersign serve``: one service alone, as containers run it."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from countersign.runtime.settings import SettingsError, load_witness_settings

serve_app = typer.Typer(help="Run one service alone, configured by environment and file.", no_args_is_help=True)

_VARIABLES = (
    "Settings: COUNTERSIGN_CONFIG (gateway.yaml), COUNTERSIGN_LISTEN (HOST:PORT or unix:/path, default "
    "127.0.0.1:9000), "
    "COUNTERSIGN_KEY_FILE or COUNTERSIGN_KEY (32 random bytes in base64, the same for all services), "
    "COUNTERSIGN_CACHE, COUNTERSIGN_LOG_LEVEL, COUNTERSIGN_DRAIN_S"
)


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.add_typer(serve_app, name="serve")


@serve_app.command(
    epilog=f"{_VARIABLES}, COUNTERSIGN_RECORDER (the recorder's address), COUNTERSIGN_APPROVER (the approver's; where "
    "it is not set, calls that need approval are refused)."
)
def authz() -> None:
    """Envoy's ext_authz: who is it, may they."""
    _run("authz")


@serve_app.command(epilog=f"{_VARIABLES}, COUNTERSIGN_RECORDER (the recorder's address).")
def masker() -> None:
    """Envoy's ext_proc: no secret or personal value leaves."""
    _run("masker")


@serve_app.command(
    epilog=f"{_VARIABLES}, COUNTERSIGN_POSTGRES_DSN (unless gateway.yaml names one), COUNTERSIGN_LOG_KEYS_FILE or "
    "COUNTERSIGN_LOG_KEYS (what signs the log, `countersign log new-key NAME --out FILE`), COUNTERSIGN_LOG_STATE (a "
    "file in which it remembers what it signed)."
)
def recorder() -> None:
    """Every session, durable before anything is released."""
    _run("recorder")


@serve_app.command(
    epilog=f"{_VARIABLES}, COUNTERSIGN_RECORDER (the recorder's address), COUNTERSIGN_POSTGRES_DSN (unless "
    "gateway.yaml names one), COUNTERSIGN_LISTEN_HTTP (where the page is served, HOST:PORT or unix:/path, default "
    "127.0.0.1:9001)."
)
def approver() -> None:
    """Asks people, keeps what they decided, and gives each agreement to one call."""
    _run("approver")


@serve_app.command(
    epilog=f"{_VARIABLES}, COUNTERSIGN_RECORDER (the recorder's address), COUNTERSIGN_POSTGRES_DSN (unless "
    "gateway.yaml names one), COUNTERSIGN_LISTEN_HTTP (where its pages are served, HOST:PORT or unix:/path, default "
    "127.0.0.1:9001)."
)
def portal() -> None:
    """Signs people in, issues the gateway's own tokens, and hears what issuers tell."""
    _run("portal")


@serve_app.command(
    epilog=f"{_VARIABLES}, COUNTERSIGN_RECORDER (the recorder's address), COUNTERSIGN_INNER (where Envoy listens to "
    "it: `envoy-config --inner`), COUNTERSIGN_LISTEN_HTTP (where it serves, HOST:PORT or unix:/path, default "
    "127.0.0.1:9001)."
)
def hub() -> None:
    """One door for all targets."""
    _run("hub")


@serve_app.command(
    epilog=f"{_VARIABLES}, COUNTERSIGN_RECORDER (the recorder's address), COUNTERSIGN_LISTEN_HTTP (where it serves, "
    "HOST:PORT or unix:/path, default 127.0.0.1:9001). Run it as a user of its own, whose rights its servers have."
)
def bridge() -> None:
    """Runs the targets that speak on standard input and output."""
    _run("bridge")


@serve_app.command(
    epilog="Settings: COUNTERSIGN_WITNESS_KEY_FILE (its key, `countersign log new-key --witness NAME`), "
    "COUNTERSIGN_WITNESS_LOGS_FILE (verifier keys of the logs that it knows, one a line), COUNTERSIGN_WITNESS_STATE "
    "(a folder of its own, which must be there and outlive it), COUNTERSIGN_LISTEN_HTTP (HOST:PORT or unix:/path, "
    "default 127.0.0.1:9001), COUNTERSIGN_TLS_CERTIFICATE and COUNTERSIGN_TLS_KEY, COUNTERSIGN_LOG_LEVEL. It needs "
    "nothing of a gateway."
)
def witness(
    tls_certificate: Annotated[
        str | None,
        typer.Option(
            help="PEM: the certificate to show, and those that vouch for it; goes before its variable. Without one, "
            "plain HTTP.",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    tls_key: Annotated[
        str | None,
        typer.Option(help="PEM: its private key, readable by its owner alone.", metavar="FILE", show_default=False),
    ] = None,
) -> None:
    """A witness of logs: cosigns what only grows (c2sp.org/tlog-witness)."""
    from countersign.cli.wiring.witness import run

    try:
        run(load_witness_settings(tls_certificate=tls_certificate, tls_key=tls_key))
    except (SettingsError, RuntimeError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(1) from None


def _run(service: str) -> None:
    from countersign.cli.services import main

    raise typer.Exit(main(service))
