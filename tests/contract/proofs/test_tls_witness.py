"""A witness over TLS and a real recorder: who is not who gateway.yaml says cosigns nothing, and nothing is shown."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from countersign.config.types import Recording, Witness
from countersign.recorder.witnesses import Witnesses
from countersign.witness.part import WitnessPart
from tests.contract.proofs.conftest import WITNESS
from tests.support.events import request
from tests.support.exporting import Certificates, certificates
from tests.support.gateway import free_port
from tests.support.log_keys import log_of
from tests.support.postgres import Postgres
from tests.support.recorders import running_recorder, running_sender, until


@asynccontextmanager
async def witness(dsn: str, folder: Path, served: Certificates) -> AsyncIterator[str]:
    """A witness of the log of ``dsn`` over TLS; yields its port."""
    folder.mkdir()
    (folder / "state").mkdir()
    key, logs = folder / "key", folder / "logs"
    key.touch(0o600)
    key.write_text(WITNESS.secret_text())
    logs.write_text("\n".join(map(str, log_of(dsn).verifiers)))
    served.key.chmod(0o600)
    port = free_port()
    part = WitnessPart(
        key_file=key,
        logs_file=logs,
        state=folder / "state",
        listen=f"127.0.0.1:{port}",
        clock_s=lambda: int(time.time()),
        tls=(served.certificate, served.key),
    )
    running = asyncio.ensure_future(part.run())
    try:
        await until(lambda: part.serving)
        yield str(port)
    finally:
        part.end()
        await running


async def test_a_witness_counts_only_with_a_certificate_for_its_name_from_who_is_believed(
    postgres: Postgres, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dsn = postgres.database()
    (tmp_path / "other").mkdir()
    served, stranger = certificates(tmp_path), certificates(tmp_path / "other")
    ca = tmp_path / "ca.pem"
    ca.write_bytes(stranger.ca.read_bytes())
    async with witness(dsn, tmp_path / "witness", served) as port:
        verifier = str(WITNESS.verifier)
        named = [Witness("w1", f"https://127.0.0.1:{port}", verifier, str(ca))]

        def recording() -> Recording:
            return Recording(witnesses=tuple(named), witnesses_needed=1)

        cosigner = Witnesses(recording)

        def problem() -> str:
            return cosigner.views()[0].problem

        async with (
            running_recorder(dsn, recording=recording, cosigner=cosigner) as (part, address),
            running_sender(address) as sender,
        ):
            await sender.record(request())
            await until(lambda: "its certificate is refused" in problem())
            # By the system's, which do not vouch for it, either.
            named[0] = Witness("w2", f"https://127.0.0.1:{port}", verifier)
            await until(lambda: "its certificate is refused" in problem())
            # Somebody is believed, and the certificate is for another name.
            ca.write_bytes(served.ca.read_bytes())
            named[0] = Witness("w1", f"https://localhost:{port}", verifier, str(ca))
            await until(lambda: "not valid for 'localhost'" in problem())
            named[0] = Witness("w1", f"http://127.0.0.1:{port}", verifier)
            await until(lambda: "cannot be reached" in problem())
            named[0] = Witness("w1", f"https://127.0.0.1:{port}", verifier, str(tmp_path / "nowhere"))
            await until(lambda: "nowhere is no file" in problem())
            assert part.log.published_size == 0
            named[0] = Witness("w1", f"https://127.0.0.1:{port}", verifier, str(ca))
            await until(lambda: part.log.published_size >= 1)
            assert problem() == ""
            # The file that says who is believed is read anew.
            before = part.log.published_size
            ca.write_bytes(b"")
            await sender.record(request())
            await until(lambda: "holds no certificates" in problem())
            assert part.log.published_size == before
            ca.write_bytes(served.ca.read_bytes())
            await until(lambda: part.log.published_size > before)
    told = [record.getMessage() for record in caplog.records if "did not cosign" in record.getMessage()]
    assert any("not valid for 'localhost'" in one for one in told)
