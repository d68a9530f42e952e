"""Speaking gRPC to a gateway: one channel, and one line with a remedy for whatever goes wrong on it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

import grpc

from countersign.cli.access import REFUSED, UNREACHABLE, USAGE, stop
from countersign.model.visible import visible

_SAID_CHARACTERS = 500
# A recorded body may be 64 MiB.
_OPTIONS = (("grpc.max_receive_message_length", 80 * 1024 * 1024),)

Remedies = Mapping[grpc.StatusCode, tuple[int, str]]
"""By status: the exit code, and what to do; ``{url}`` stands for the gateway's, ``{details}`` for what it says."""

REMEDIES: Remedies = {
    grpc.StatusCode.UNAUTHENTICATED: (REFUSED, "the gateway does not accept the token: get a new one"),
    grpc.StatusCode.PERMISSION_DENIED: (REFUSED, "you are not an auditor: ask to be put into a group of auditors"),
    grpc.StatusCode.NOT_FOUND: (REFUSED, "no such session: `countersign sessions` lists those that there are"),
    grpc.StatusCode.UNAVAILABLE: (UNREACHABLE, "{url} does not answer: are the gateway and its recorder up?"),
    grpc.StatusCode.DEADLINE_EXCEEDED: (UNREACHABLE, "{url} does not answer in time: is the gateway up?"),
    grpc.StatusCode.UNIMPLEMENTED: (UNREACHABLE, "{url} is not a Countersign gateway: check --gateway"),
}
"""What readers of the record are told."""


@contextmanager
def gateway_channel(url: str, remedies: Remedies = REMEDIES, refused: int = REFUSED) -> Iterator[grpc.Channel]:
    """Connect; an error of a call inside becomes one line and an exit code.

    ``refused`` is the exit code of what the gateway refuses, for commands to which ``REFUSED`` means another thing.

    Raises:
        typer.Exit: after saying what went wrong.
    """
    try:
        with _channel(url) as channel:
            yield channel
    except grpc.RpcError as error:
        # Every error of a call is both, which the types do not say.
        call: object = error
        status = call.code() if isinstance(call, grpc.Call) else grpc.StatusCode.UNKNOWN
        if status is grpc.StatusCode.INVALID_ARGUMENT and isinstance(call, grpc.Call):
            raise stop(f"the gateway refuses the request: {visible(call.details())}", USAGE) from None
        code, remedy = remedies.get(status, (REFUSED, f"the gateway answered {status.name}: see its logs"))
        details = _said(call.details() or "") if isinstance(call, grpc.Call) else ""
        raise stop(remedy.format(url=url, details=details), refused if code == REFUSED else code) from None


def _said(details: str) -> str:
    """What the other side says, in a line; where nobody is behind Envoy, it answers in JSON as it does to callers."""
    try:
        document = json.loads(details)
        details = document["error"]["message"]
    except (ValueError, RecursionError, LookupError, TypeError):
        pass
    return visible(str(details)[:_SAID_CHARACTERS])


def _channel(url: str) -> grpc.Channel:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
        raise stop(f"{url!r} is not a gateway's URL: write http://HOST:PORT or https://HOST", USAGE)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if parts.scheme == "https":
        return grpc.secure_channel(f"{host}:{port or 443}", grpc.ssl_channel_credentials(), options=_OPTIONS)
    return grpc.insecure_channel(f"{host}:{port or 80}", options=_OPTIONS)
