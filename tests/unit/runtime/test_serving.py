"""Only the user that runs a service can connect to its socket."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import grpc

from countersign.runtime.serving import _listen


async def test_a_socket_is_for_its_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    server = grpc.aio.server()
    socket = tmp_path / "a.sock"
    before = os.umask(0)
    try:
        _listen(server, f"unix:{socket}")
    finally:
        left = os.umask(before)
    mode = socket.stat().st_mode
    await server.stop(0)
    assert left == 0
    assert stat.S_IMODE(mode) & 0o077 == 0
