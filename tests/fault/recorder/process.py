"""``python -m tests.fault.recorder.process unix:PATH DSN``: the recorder alone, to be killed."""

from __future__ import annotations

import sys
from typing import cast

import grpc
import uvloop

from countersign.recorder import RecorderPart
from countersign.runtime.rpc import Server
from countersign.runtime.sealing import KEY_BYTES, Sealer
from countersign.runtime.serving import MAX_MESSAGE_BYTES
from tests.support.log_keys import log_of


async def main(address: str, dsn: str) -> None:
    part = RecorderPart(dsn, sealer=Sealer(bytes(KEY_BYTES)), log=log_of(dsn), is_auditor=lambda _: True)
    await part.open()
    server = Server(most_bytes=MAX_MESSAGE_BYTES)
    part.register(cast(grpc.aio.Server, server))
    server.add_insecure_port(address)
    await server.start()

    await part.run()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2]))
