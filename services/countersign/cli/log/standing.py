"""`countersign log status`, `policy` and `checkpoint`: how the log stands, and whose keys it is checked with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import typer

from countersign.api.recorder.v1 import log_pb2
from countersign.cli.access import DEFAULT_GATEWAY, REFUSED, USAGE, GatewayUrl, Token, TokenFile, stop
from countersign.cli.log.service import AsJson, log_service
from countersign.model.visible import visible
from countersign.tlog import Group, TlogError, TrustPolicy, parse_note, parse_policy, parse_verifier, write_policy

_GROUP = "Witnesses"
"""Not the name of a witness: those have small letters."""

Out = Annotated[Path | None, typer.Option("--out", "-o", help="A file to write to, which must not exist.")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command("status", epilog="Examples: countersign log status;  countersign log status --json | jq .stopped")(
        status
    )
    app.command("policy", epilog="Example: countersign log policy --out trusted.policy")(policy)
    app.command("checkpoint", epilog="Example: countersign log checkpoint --out 2026-11.checkpoint")(checkpoint)


def status(
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Show how many events are recorded, in the tree, and published; and who signs. Ends with 1 when it is stopped."""
    with log_service(gateway, token_file, token) as log:
        found = log.status()
    print(json.dumps(_document(found), indent=2) if as_json else "\n".join(_lines(found)))
    if found.stopped:
        raise typer.Exit(REFUSED)


def policy(
    out: Out = None,
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
) -> None:
    """Print a trust policy (c2sp.org/tlog-policy) with the keys that the gateway names, for `countersign verify`.

    Compare the keys with what you were told otherwise before you trust them: who could forge the record could print
    any keys here.
    """
    with log_service(gateway, token_file, token) as log:
        found = log.status()
    try:
        text = write_policy(_policy(found))
        parse_policy(text)
    except TlogError as error:
        raise stop(f"what the gateway says of its log is no policy: {error}", REFUSED) from None
    _write(out, f"# As the gateway says. Compare the keys with what you were told otherwise.\n{text}")


def checkpoint(
    out: Out = None,
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
) -> None:
    """Print the latest published checkpoint: keep it, and nothing that it shows can be removed unnoticed."""
    with log_service(gateway, token_file, token) as log:
        note = log.checkpoint()
    try:
        parse_note(note)
    except TlogError as error:
        raise stop(f"what the gateway sent is no checkpoint: {error}", REFUSED) from None
    _write(out, note)


def _write(out: Path | None, text: str) -> None:
    if out is None:
        print("\n".join(map(visible, text.split("\n"))), end="")
        return
    try:
        with out.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
    except OSError as error:
        raise stop(f"{out} cannot be made: {error.strerror}", USAGE) from None


def _policy(found: log_pb2.GetLogStatusResponse) -> TrustPolicy:
    """The policy that asks for what the gateway asks for."""
    logs = tuple(map(parse_verifier, found.keys))
    witnesses = {one.name: parse_verifier(one.key) for one in found.witnesses}
    need = found.witnesses_needed
    if not need:
        groups, quorum = dict[str, Group](), "none"
    elif len(witnesses) == 1:
        groups, quorum = {}, next(iter(witnesses))
    else:
        groups, quorum = {_GROUP: Group(need, tuple(witnesses))}, _GROUP
    return TrustPolicy(logs, MappingProxyType(witnesses), MappingProxyType(groups), quorum)


def _lines(found: log_pb2.GetLogStatusResponse) -> Iterator[str]:
    yield f"log        {visible(found.origin)}"
    yield f"recorded   {found.recorded_size} events"
    yield f"in tree    {found.integrated_size}"
    when = f", {_instant(found.published_time_us)}" if found.published_time_us else ""
    yield f"published  {found.published_size}{when}"
    if found.stopped:
        yield f"STOPPED    {visible(found.stopped)}"
    yield from (f"key        {visible(key)}" for key in found.keys)
    if found.witnesses or found.witnesses_needed:
        yield f"witnesses  {found.witnesses_needed} of {len(found.witnesses)} needed"
    for one in found.witnesses:
        told = visible(one.problem) if one.problem else f"cosigned {one.cosigned_size}"
        yield f"           {visible(one.name)}: {told}"


def _document(found: log_pb2.GetLogStatusResponse) -> dict[str, object]:
    return {
        "origin": found.origin,
        "recorded_size": found.recorded_size,
        "integrated_size": found.integrated_size,
        "published_size": found.published_size,
        "published_at": _instant(found.published_time_us) if found.published_time_us else None,
        "stopped": found.stopped or None,
        "keys": list(found.keys),
        "witnesses_needed": found.witnesses_needed,
        "witnesses": [
            {"name": one.name, "key": one.key, "cosigned_size": one.cosigned_size, "problem": one.problem or None}
            for one in found.witnesses
        ],
    }


def _instant(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
