"""What callers do about their own approvals beside waiting: ask how one stands, take one back."""

from __future__ import annotations

import json

from countersign.authz.approving import telling, words
from countersign.authz.approving.desk import Desk
from countersign.authz.deciding import Undecidable
from countersign.jsontext import Number, parse, quote
from countersign.mcp import (
    INVALID_PARAMS,
    Era,
    McpRefused,
    Message,
    Reply,
    Request,
    read_task_id,
    task_acknowledged,
    task_state,
)
from countersign.model.approval import ApprovalState
from countersign.model.principal import Principal
from countersign.runtime.approvals import ApproverAway, UnknownApproval
from countersign.runtime.sealing import Sealer, Unsealable, is_task

_CANCELLED = "notifications/cancelled"
_DEEPEST = 1_000  # More than gateway.yaml can permit.


class FollowUps:
    """Answers about approvals of the principal who asks, and of nobody else."""

    def __init__(self, desk: Desk, sealer: Sealer) -> None:
        self._desk = desk
        self._sealer = sealer

    async def task(self, request: Request, principal: Principal, target: str) -> tuple[Reply, str] | None:
        """Answer what is asked about one of our tasks, with the approval's id; ``None`` for what is about none.

        Raises ``McpRefused`` for a task that only looks like ours, and ``Undecidable``.
        """
        message = request.messages[0]
        if request.is_batch or message.call is None or not message.call.method.startswith("tasks/"):
            return None
        task_id = read_task_id(message)
        if not is_task(task_id):
            return None
        try:
            approval_id = self._sealer.open_task(principal, target, task_id).approval_id
            return await self._about_task(message, task_id, approval_id, principal), approval_id
        except (Unsealable, UnknownApproval):
            refusal = McpRefused(400, INVALID_PARAMS, "there is no such task")
        except ApproverAway as error:
            raise Undecidable(f"how the approval stands is not known now: {error}") from None
        refusal.id_json = message.id_json
        raise refusal

    async def _about_task(self, message: Message, task_id: str, approval_id: str, principal: Principal) -> Reply:
        method = message.call.method if message.call is not None else ""
        if method == "tasks/get":
            return task_state(message, telling.task_of(task_id, await self._desk.stand(approval_id, principal)))
        if method == "tasks/cancel":
            await self._desk.cancel(approval_id, principal, "its caller cancelled the task")
        elif method != "tasks/update":
            refusal = McpRefused(400, INVALID_PARAMS, "a task that waits for approval has only get, update and cancel")
            refusal.id_json = message.id_json
            raise refusal
        return task_acknowledged(message)

    async def withdraw(self, request: Request, principal: Principal, session_id: str) -> None:
        """Take back what a legacy client cancels, or waits for in the session that it ends. Raises ``Undecidable``."""
        if request.era is not Era.LEGACY:
            return
        try:
            for message in request.messages:
                call = message.call
                if call is not None and call.method == "DELETE":
                    await self._desk.withdraw(principal, session_id)
                elif call is not None and call.method == _CANCELLED and (rpc_id := _cancelled_id(call.params_json)):
                    await self._desk.withdraw(principal, session_id, rpc_id)
        except ApproverAway as error:
            raise Undecidable(f"what waits for approval cannot be taken back now: {error}") from None

    async def status(self, principal: Principal, target: str, approval_id: str) -> Reply:
        """Say to a plain HTTP client how its own approval stands, of a call of ``target``; 404 for any other.

        Raises ``Undecidable``.
        """
        none = Reply(404, json.dumps({"error": "there is no such approval of yours"}).encode())
        try:
            approval = await self._desk.stand(approval_id, principal)
        except UnknownApproval:
            return none
        except ApproverAway as error:
            raise Undecidable(f"how the approval stands is not known now: {error}") from None
        if approval.target != target:
            # Its token is for this target, and tells it nothing of others.
            return none
        pending = approval.state is ApprovalState.PENDING
        text = words.waiting(approval) if pending else words.over(approval)
        if approval.state is ApprovalState.APPROVED:
            text = words.ready(approval)
        body = {
            "id": approval.id,
            "state": approval.state.value,
            "message": text,
            "expires_at_us": approval.expires_at_us,
        }
        headers = (("retry-after", str(telling.RETRY_AFTER_S)),) if pending else ()
        return Reply(200, json.dumps(body, ensure_ascii=False).encode(), headers=headers)


def _cancelled_id(params_json: str) -> str:
    """Return the JSON text of the id that a cancellation names; empty when it names none."""
    params = parse(params_json, max_depth=_DEEPEST).root if params_json else None
    found = params.get("requestId") if isinstance(params, dict) else None
    if isinstance(found, Number):
        return str(found)
    return quote(found) if isinstance(found, str) else ""
