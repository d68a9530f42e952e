"""What the caller of a call is answered that waits for approval, by what its client can do. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from countersign.authz.approving import words
from countersign.mcp import (
    Means,
    Message,
    Reply,
    Task,
    TaskStatus,
    accepted_later,
    input_required,
    task_started,
    waiting_result,
)
from countersign.model.approval import Approval, ApprovalState
from countersign.model.principal import Principal
from countersign.runtime.sealing import MOST_NESTED_BYTES, Sealer, TaskState, WaitState

MOST_ROUNDS = 10
"""Clients come back by themselves so often, and then give up with an error that no model reads."""
RETRY_AFTER_S = 5
# Ten rounds of held calls reach about this far; a task is asked about for as long as its client likes.
_TASK_FROM_US = 8 * 60 * 1_000_000
_SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Telling:
    """Everything that an answer about a pending approval depends on.

    ``location`` is where its state can be asked for by the same caller, ``page`` where people look at it; empty when
    there is none. ``what`` and ``digest`` are those of the call, ``resumed`` what its client handed back.
    """

    message: Message
    means: Means
    principal: Principal
    target: str
    session_id: str
    what: bytes
    digest: bytes
    resumed: WaitState | None
    prefers_async: bool
    location: str
    page: str
    now_us: int


@dataclass(frozen=True, slots=True)
class Told:
    """The answer, and until when (microseconds since the epoch) its caller is expected back."""

    reply: Reply
    back_by_us: int


def pending(telling: Telling, approval: Approval, sealer: Sealer) -> Told:
    """Return what to answer when a call may be held no longer, and people have not decided."""
    text = words.waiting(approval)
    message, means, resumed = telling.message, telling.means, telling.resumed
    left_us = approval.expires_at_us - telling.now_us
    if telling.prefers_async:
        return Told(accepted_later(f"{telling.location}{approval.id}", RETRY_AFTER_S, text), approval.expires_at_us)
    nested = resumed.nested if resumed is not None else means.nested
    # Its client counts the rounds of the target as well; who goes on with one has had one at least.
    rounds = resumed.rounds if resumed is not None else int(nested != "{}")
    if means.takes_tasks and rounds == 0 and nested == "{}" and left_us > _TASK_FROM_US:
        task_id = sealer.seal_task(telling.principal, telling.target, TaskState(approval.id, telling.session_id))
        return Told(task_started(message, task_of(task_id, approval)), approval.expires_at_us)
    if not means.takes_rounds or rounds >= MOST_ROUNDS or len(nested.encode()) > MOST_NESTED_BYTES:
        return Told(waiting_result(message, text), approval.expires_at_us)
    shown = resumed is not None and resumed.url_shown
    shows = bool(telling.page) and means.elicits_urls and not shown
    state = WaitState(
        approval_id=approval.id,
        what=telling.what,
        digest=telling.digest,
        # Whoever was told in the last moment that they wait may still use what is agreed to in the last moment.
        expires_us=approval.expires_at_us + (approval.expires_at_us - approval.asked_at_us) + 60 * _SECOND_US,
        rounds=rounds + 1,
        url_shown=shown or shows,
        nested=nested,
    )
    url = f"{telling.page}{approval.id}" if shows else ""
    sealed = sealer.seal_wait(telling.principal, telling.target, state)
    # While a person looks at the page nothing is connected, and that may take as long as the approval does.
    back_by_us = approval.expires_at_us if shows else telling.now_us + 60 * _SECOND_US
    return Told(input_required(message, sealed, url, text if shows else ""), back_by_us)


def task_of(task_id: str, approval: Approval) -> Task:
    """Return the task that a client asks about while it waits. Its end is that the call may be made, or may not."""
    status, text = _status(approval)
    return Task(
        id=task_id,
        status=status,
        text=text,
        created_us=approval.asked_at_us,
        updated_us=max(approval.asked_at_us, approval.decided_at_us),
        ttl_ms=max(1, (approval.expires_at_us - approval.asked_at_us) // 1_000),
        poll_ms=RETRY_AFTER_S * 1_000,
    )


def _status(approval: Approval) -> tuple[TaskStatus, str]:
    match approval.state:
        case ApprovalState.PENDING:
            return TaskStatus.WORKING, words.waiting(approval)
        case ApprovalState.APPROVED:
            return TaskStatus.COMPLETED, words.ready(approval)
        case ApprovalState.ABANDONED | ApprovalState.CANCELLED:
            return TaskStatus.CANCELLED, words.over(approval)
        case ApprovalState.CONSUMED:
            return TaskStatus.COMPLETED, words.over(approval)
        case _:
            return TaskStatus.FAILED, words.over(approval)
