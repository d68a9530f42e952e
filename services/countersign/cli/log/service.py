"""The gateway's LogService, as the commands use it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import grpc
import typer

from countersign.api.recorder.v1 import log_pb2, log_pb2_grpc
from countersign.cli.access import REFUSED, UNREACHABLE, bearer
from countersign.cli.gateway import REMEDIES, gateway_channel

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_TIMEOUT_S = 30.0
_REMEDIES = {
    **REMEDIES,
    grpc.StatusCode.FAILED_PRECONDITION: (REFUSED, "{details}"),
    grpc.StatusCode.NOT_FOUND: (REFUSED, "{details}"),
    grpc.StatusCode.DATA_LOSS: (REFUSED, "{details}"),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (REFUSED, "{details}"),
    grpc.StatusCode.UNAVAILABLE: (UNREACHABLE, "{url} does not answer, or its recorder cannot: {details}"),
}


class Log:
    """What auditors ask of the log. Errors are ``grpc.RpcError``, inside of :func:`log_service` exit codes."""

    def __init__(self, channel: grpc.Channel, token: str) -> None:
        self._stub = log_pb2_grpc.LogServiceStub(channel)
        self._metadata = (("authorization", f"Bearer {token}"),)

    def status(self) -> log_pb2.GetLogStatusResponse:
        """How the log stands."""
        return self._stub.GetLogStatus(log_pb2.GetLogStatusRequest(), metadata=self._metadata, timeout=_TIMEOUT_S)

    def checkpoint(self) -> str:
        """The latest checkpoint, a signed note."""
        asked = log_pb2.GetCheckpointRequest()
        return self._stub.GetCheckpoint(asked, metadata=self._metadata, timeout=_TIMEOUT_S).checkpoint

    def export(self, session_id: str, *, bodies: bool, unsealed: bool) -> Iterator[bytes]:
        """The export of a session, in pieces; it takes as long as it takes."""
        asked = log_pb2.ExportSessionRequest(session_id=session_id, without_bodies=not bodies, unsealed=unsealed)
        for piece in self._stub.ExportSession(asked, metadata=self._metadata):
            yield piece.content

    def consistency(self, old: int, new: int) -> Sequence[bytes]:
        """The proof that the tree of the first ``old`` events begins that of the first ``new``."""
        asked = log_pb2.GetConsistencyProofRequest(from_size=old, to_size=new)
        return self._stub.GetConsistencyProof(asked, metadata=self._metadata, timeout=_TIMEOUT_S).hashes

    def dump(self, from_size: int = 0) -> Iterator[log_pb2.DumpLogResponse]:
        """All files of the log but entries below ``from_size``, in pieces; it takes as long as it takes."""
        yield from self._stub.DumpLog(log_pb2.DumpLogRequest(from_size=from_size), metadata=self._metadata)


@contextmanager
def log_service(gateway: str, token_file: Path | None, token: str | None) -> Iterator[Log]:
    """Speak to the gateway's LogService; an error inside becomes one line and an exit code.

    Raises:
        typer.Exit: after saying what went wrong.
    """
    sent = bearer(token_file, token, gateway)
    with gateway_channel(gateway, _REMEDIES) as channel:
        yield Log(channel, sent)
