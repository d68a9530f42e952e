"""``python -m tests.fault.recorder.process unix:PATH DSN``: the recorder alone, to be killed."""

from __future__ import annotations

import sys

import grpc
import uvloop

from countersign.recorder import RecorderPart
from countersign.runtime.sealing import KEY_BYTES, Sealer
from tests.support.log_keys import log_of


async def main(address: str, dsn: str) -> None:
    part = RecorderPart(dsn, sealer=Sealer(bytes(KEY_BYTES)), log=log_of(dsn), is_auditor=lambda _: True)
    await part.open()
    server = grpc.aio.server()
    part.register(server)
    server.add_insecure_port(address)
    await server.start()

    await part.run()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2]))
