"""An approver without a server: what authz asks is asked of a store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from countersign.approver.ports import ApprovalStore, NoSuchApproval, NotOpen, TooManyPending
from countersign.model.approval import Approval, Person, Question, Waiter
from countersign.runtime.approvals import ApproverAway, TooManyAsked, UnknownApproval
from countersign.runtime.postgres import DatabaseError
from tests.support.memory_approvals import MemoryApprovalStore


class StoreBroker:
    """See ``runtime.approvals.Broker``; ``waiting`` is set when somebody waits.

    Have a store that is not in memory, or whoever changes something in it, call ``changed``.
    """

    def __init__(self, now_us: Callable[[], int], store: ApprovalStore | None = None) -> None:
        self.memory = MemoryApprovalStore(changed=self.changed)
        self.store: ApprovalStore = store or self.memory
        self._changed = asyncio.Event()
        self.left: list[tuple[str, bool]] = []
        self.waiting = asyncio.Event()
        self._now_us = now_us

    def changed(self, approval_id: str = "", version: int = 0) -> None:
        """Wake who waits."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def start(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def ask(self, question: Question) -> tuple[Approval, bool]:
        try:
            asked = await self.store.ask(question, self._now_us())
        except TooManyPending as error:
            raise TooManyAsked from error
        except DatabaseError as error:
            raise ApproverAway("the store is away") from error
        return asked.approval, asked.joined

    async def rejoin(self, approval_id: str, caller: Person, waiter: Waiter | None) -> Approval:
        try:
            return await self.store.rejoin(approval_id, caller, waiter, self._now_us())
        except NoSuchApproval as error:
            raise UnknownApproval from error

    async def wait(self, approval_id: str, version: int, up_to_s: float) -> Approval:
        self.waiting.set()
        try:
            async with asyncio.timeout(up_to_s):
                while True:
                    # Taken before the look: what changes during it must not be missed.
                    changed = self._changed
                    if (found := await self.store.get(approval_id)).version != version:
                        break
                    await changed.wait()
        except TimeoutError:
            return await self.store.get(approval_id)
        return found

    async def leave(self, approval_id: str, waiter_id: str, *, hung_up: bool, until_us: int = 0) -> None:
        self.left.append((approval_id, hung_up))
        await self.store.leave(approval_id, waiter_id, hung_up=hung_up, until_us=until_us, now_us=self._now_us())

    async def withdraw(self, caller: Person, session_id: str, rpc_id: str) -> int:
        return len(await self.store.withdraw(caller, session_id, rpc_id, self._now_us()))

    async def consume(self, approval_id: str, digest: bytes, call_id: str) -> tuple[bool, Approval]:
        taken = await self.store.consume(approval_id, digest, call_id, self._now_us())
        return taken.granted, taken.approval

    async def cancel(self, approval_id: str, caller: Person, reason: str) -> Approval:
        try:
            return await self.store.cancel(approval_id, caller, reason, self._now_us())
        except NotOpen as error:
            return error.approval
        except NoSuchApproval as error:
            raise UnknownApproval from error
