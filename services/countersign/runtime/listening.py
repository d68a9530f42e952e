"""Taking an address to listen on."""

from __future__ import annotations

import os
import socket
from pathlib import Path


class CannotListen(RuntimeError):
    """The address is taken or not ours."""


def bound(address: str) -> socket.socket:
    """Take ``HOST:PORT`` or ``unix:/path``, where only this user connects. Raises ``CannotListen``."""
    try:
        if address.startswith("unix:"):
            return _unix(Path(address.removeprefix("unix:")))
        host, _, port = address.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not 0 < int(port) < 1 << 16:
            raise ValueError("no port")
        return _bound(socket.AF_INET6 if ":" in host else socket.AF_INET, (host, int(port)))
    except (OSError, ValueError):
        raise CannotListen(f"cannot listen on {address}: it is taken, or not an address of this machine") from None


def _unix(path: Path) -> socket.socket:
    # One that a killed process left behind would refuse us for ever.
    path.unlink(missing_ok=True)
    before = os.umask(0o077)
    try:
        return _bound(socket.AF_UNIX, str(path))
    finally:
        os.umask(before)


def _bound(family: socket.AddressFamily, where: str | tuple[str, int]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family is not socket.AF_UNIX:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
    except OSError:
        listener.close()
        raise
    return listener
