"""``countersign envoy-config``: Envoy's files, for an Envoy that runs beside services in containers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from countersign.cli.check import ConfigOption, print_problems
from countersign.config import ConfigRefused, load
from countersign.runtime.settings import SettingsError, environment, load_sealing_key

_EXAMPLE = (
    "Example: COUNTERSIGN_KEY_FILE=key countersign envoy-config -c gateway.yaml --out /etc/envoy --listen 0.0.0.0:8080 "
    "--authz authz:9000 --masker masker:9000 --recorder recorder:9000 && envoy -c /etc/envoy/bootstrap.json"
)


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("envoy-config", epilog=_EXAMPLE)(envoy_config)


def envoy_config(
    config: ConfigOption,
    out: Annotated[Path, typer.Option(help="The directory to write to; Envoy must see it under the same path.")],
    listen: Annotated[str, typer.Option(help="Where Envoy listens, HOST:PORT.")],
    authz: Annotated[str, typer.Option(help="authz's address, HOST:PORT or unix:/path.")],
    masker: Annotated[str, typer.Option(help="masker's address.")],
    recorder: Annotated[str, typer.Option(help="recorder's address.")],
    approver: Annotated[str, typer.Option(help="approver's gRPC address, when rules ask for approval.")] = "",
    approver_http: Annotated[str, typer.Option(help="The address of approver's page.")] = "",
    portal_http: Annotated[str, typer.Option(help="The portal's address, when gateway.yaml has a portal.")] = "",
    hub_http: Annotated[str, typer.Option(help="The hub's address, when gateway.yaml has `hub: true`.")] = "",
    bridge_http: Annotated[str, typer.Option(help="The bridge's address, when a target has a command.")] = "",
    inner: Annotated[str, typer.Option(help="Where Envoy listens to the hub: its COUNTERSIGN_INNER.")] = "",
    admin: Annotated[str, typer.Option(help="Envoy's admin address; by default a Unix socket in --out.")] = "",
    access_log: Annotated[Path, typer.Option(help="Where Envoy logs accesses.")] = Path("/dev/stdout"),
) -> None:
    """Write bootstrap.json, routes.json, inner-routes.json and clusters.json; again after each edit of gateway.yaml.

    The files hold the service token (derived from COUNTERSIGN_KEY_FILE or COUNTERSIGN_KEY), so they are mode 0600. A
    running Envoy takes up all but a new bootstrap.json by itself. Exit code 0: written; 1: refused.
    """
    from countersign.envoy import EnvoyFiles, Wiring, write_bootstrap, write_dynamic
    from countersign.runtime.sealing import service_token

    try:
        # No credential of a target comes into Envoy's files, so none is read.
        loaded = load(config, environment(), reads=frozenset())
        token = service_token(load_sealing_key(environment()))
        folder = out.resolve()
        wiring = Wiring(
            listen=listen,
            admin=admin or f"unix:{folder / 'admin.sock'}",
            authz=authz,
            masker=masker,
            recorder=recorder,
            access_log=access_log,
            approver=approver,
            approver_http=approver_http,
            portal_http=portal_http,
            hub_http=hub_http,
            inner=inner,
            bridge_http=bridge_http,
            service_token=token,
        )
        files = EnvoyFiles.below(folder)
        write_dynamic(loaded, wiring, files)
        write_bootstrap(loaded, wiring, files)
    except ConfigRefused as refused:
        print_problems(refused)
        raise typer.Exit(1) from None
    except (SettingsError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    if loaded.asks_for_approval and not (approver and approver_http):
        print("warning: rules ask for approval, which needs --approver and --approver-http", file=sys.stderr)
    if loaded.portal is not None and not portal_http:
        print("warning: gateway.yaml has a portal, which needs --portal-http", file=sys.stderr)
    if loaded.has_stdio_targets and not bridge_http:
        print("warning: gateway.yaml has targets with a command, which need --bridge-http", file=sys.stderr)
    if loaded.hub and not (hub_http and inner):
        print("warning: gateway.yaml has a hub, which needs --hub-http and --inner", file=sys.stderr)
    print(f"{files.bootstrap}: written (policy version {loaded.version})")
