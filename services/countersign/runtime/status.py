"""What a service says of itself to those who run it: what is in force, and what keeps an edit from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import grpc

from countersign.api.access.v1 import status_pb2, status_pb2_grpc
from countersign.config import ConfigRefused

SERVICE = status_pb2.DESCRIPTOR.services_by_name["StatusService"].full_name


@dataclass(frozen=True, slots=True)
class Report:
    """The version of gateway.yaml in force, that of a candidate on trial, why an edit was refused, and warnings.

    ``log`` is how the recorder's log stands, a line.
    """

    policy_version: str
    trial_version: str = ""
    refused: ConfigRefused | None = None
    warnings: tuple[str, ...] = ()
    log: str = ""


class StatusServer(status_pb2_grpc.StatusServiceServicer):
    """Answers with what ``report`` and ``available`` say at that moment."""

    def __init__(self, service: str, report: Callable[[], Report], available: Callable[[], bool]) -> None:
        self._service = service
        self._report = report
        self._available = available

    async def GetStatus(
        self,
        request: status_pb2.GetStatusRequest,
        context: grpc.aio.ServicerContext[status_pb2.GetStatusRequest, status_pb2.GetStatusResponse],
    ) -> status_pb2.GetStatusResponse:
        """See status.proto."""
        report = self._report()
        return status_pb2.GetStatusResponse(
            service=self._service,
            version=product_version(),
            available=self._available(),
            policy_version=report.policy_version,
            trial_version=report.trial_version,
            refused=[
                status_pb2.ConfigProblem(
                    file=problem.file,
                    line=problem.line,
                    column=problem.column,
                    what=problem.what,
                    remedy=problem.remedy,
                )
                for problem in (report.refused.problems if report.refused else ())
            ],
            warnings=report.warnings,
            log=report.log,
        )


def product_version() -> str:
    """Return the version of the installed distribution."""
    try:
        return version("countersign")
    except PackageNotFoundError:
        return "unknown"
