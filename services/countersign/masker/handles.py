"""What an answer hands its caller to come back with: durable before it is shown; and whose the listed tasks are."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence

from countersign.masker.withheld import Withheld
from countersign.mcp import Handle, HandleKind
from countersign.model.handoff import Handoff
from countersign.runtime.handles import HandleOwner, Handles, HandlesAway, Known

log = logging.getLogger(__name__)

# Ids as programs draw them: a number, or one that looks random. No text of a target is written like that.
_DRAWN = re.compile(r'-?\d{1,16}|"[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}"')
_MOST_TASKS = 10_000


class Unasked(Exception):
    """It must first be found out which of these tasks are the caller's."""

    def __init__(self, ids: Sequence[str]) -> None:
        super().__init__()
        self.ids = tuple(ids)


class OfAnothersTask(Exception):
    """A notification tells of a task that is not its caller's. ``str()`` is safe to record."""


class ShownHandles:
    """The handles of one answer. Without ``handles`` nobody keeps any, so what shows one is withheld."""

    def __init__(self, handles: Handles | None, handoff: Handoff) -> None:
        self._handles = handles
        self._owner = HandleOwner.of(handoff)
        self._masks = handoff.masks
        self._known: dict[str, Known | None] = {}

    async def keep(self, shown: Sequence[Handle]) -> None:
        """Make handles durable that are about to be shown. Raises ``Withheld``."""
        if not shown:
            return
        if self._handles is None:
            raise Withheld("nobody keeps what the target hands out")
        try:
            await self._handles.keep(self._owner, shown, self._masks)
        except HandlesAway as error:
            raise Withheld(f"what the target hands out could not be kept: {error}") from None

    def asked(self, ids: Sequence[str]) -> None:
        """Raise ``Unasked`` unless it is known of all these tasks whether they are the caller's."""
        if not self._known.keys() >= set(ids):
            raise Unasked(ids)

    def begin(self) -> None:
        """Look at something new: a task may be the caller's by now, or a call that is masked may have joined it."""
        self._known.clear()

    def owns(self, task_id: str) -> bool:
        """Whether a task that was ``asked`` about is the caller's."""
        return self._known.get(task_id) is not None

    def masks_of(self, ids: Iterable[str]) -> frozenset[str]:
        """Return the masks of the calls that began those of these tasks that are the caller's."""
        known = (self._known.get(task_id) for task_id in ids)
        return frozenset(mask for each in known if each is not None for mask in each.masks)

    async def learn(self, ids: Sequence[str]) -> None:
        """Find out which tasks are the caller's. Raises ``Withheld``."""
        if len(ids) > _MOST_TASKS:
            raise Withheld("the answer lists too many tasks")
        tasks = [Handle(HandleKind.TASK, task_id) for task_id in dict.fromkeys(ids)]
        try:
            known = None if self._handles is None else await self._handles.find(self._owner, tasks)
        except HandlesAway as error:
            raise Withheld(f"whose the listed tasks are is not known: {error}") from None
        self._known |= {task.value: one for task, one in zip(tasks, known or [None] * len(tasks), strict=True)}

    async def session_ended(self) -> None:
        """Forget what the caller's session was asked: it is over. What is not forgotten now ends by its time."""
        if self._handles is None:
            return
        try:
            await self._handles.drop_session(self._owner)
        except HandlesAway as error:
            log.warning("what a session was asked could not be forgotten: %s", error)


def drawn_ids(shown: Iterable[Handle]) -> frozenset[str]:
    """Return the ids (JSON texts) of a target's requests that are as programs draw them.

    To its client such an id is no text to be read, and masked it could not be answered.
    """
    ids = (handle.value for handle in shown if handle.kind is HandleKind.REQUEST)
    return frozenset(each for each in ids if _DRAWN.fullmatch(each))
