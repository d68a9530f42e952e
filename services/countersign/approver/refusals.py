"""What goes wrong in the approver, as gRPC says it."""

from __future__ import annotations

from typing import NoReturn

import grpc

from countersign.approver.asked import BadQuestion
from countersign.approver.following import NoRoom
from countersign.approver.ports import (
    ApprovalError,
    MayNot,
    NoSuchApproval,
    NoteMissing,
    NotOpen,
    NotRecordedYet,
    Stale,
    TooManyPending,
)
from countersign.runtime.postgres import DatabaseError
from countersign.runtime.recording import NotRecorded
from countersign.runtime.revocations import Ended, NotKnown, Revoked

Context = grpc.aio.ServicerContext[object, object]

REFUSALS = (BadQuestion, ApprovalError, NoRoom, NotRecorded, DatabaseError, Ended)
"""What ``abort`` has a status for."""


async def abort(context: Context, error: Exception) -> NoReturn:
    """End a call with the status of an error, in words that are safe to show."""
    await context.abort(*_status(error))
    raise AssertionError("abort returns never")


def _status(error: Exception) -> tuple[grpc.StatusCode, str]:
    code = grpc.StatusCode
    match error:
        case BadQuestion() | NoteMissing():
            return code.INVALID_ARGUMENT, str(error)
        case NoSuchApproval():
            return code.NOT_FOUND, "there is no such approval that you may see"
        case MayNot():
            return code.PERMISSION_DENIED, str(error)
        case NotOpen():
            return code.FAILED_PRECONDITION, str(error)
        case Stale():
            return code.ABORTED, str(error)
        case TooManyPending():
            return code.RESOURCE_EXHAUSTED, str(error)
        case NotRecordedYet():
            return code.UNAVAILABLE, str(error)
        case Revoked():
            return code.UNAUTHENTICATED, str(error)
        case NotKnown():
            return code.UNAVAILABLE, f"{error}: try again"
        case NoRoom():
            return code.UNAVAILABLE, "too many wait here already, or it is stopping: try again"
        case _:
            return code.UNAVAILABLE, "approvals cannot be read or changed now: try again"
