"""Where events go whose session was sealed: what a sender remembers of it."""

from __future__ import annotations

from collections import OrderedDict
from uuid import UUID

from countersign.api.recorder.v1 import event_pb2
from countersign.model.continuation import session_before

_MOST_REMEMBERED = 10_000


class Continuing:
    """Sessions that were sealed, and the open ones in which they go on; the latest ``most`` of them.

    What was forgotten is learned again from the next refusal.
    """

    def __init__(self, most: int = _MOST_REMEMBERED) -> None:
        self._most = most
        self._known: OrderedDict[str, tuple[str, str]] = OrderedDict()

    def continued(self, message: event_pb2.Event) -> event_pb2.Event:
        """Put the event into the session in which its own goes on, as far as that is known; return it."""
        if self._known and (found := self._known.get(message.session_id)) is not None:
            self._known.move_to_end(message.session_id)
            message.session_id, message.continues = found
        return message

    def go_on(self, message: event_pb2.Event, continue_as: str) -> bool:
        """Put a refused event into the session that the recorder says, and remember it.

        Returns whether that is one that goes on from the event's: else it is left as it is.
        """
        try:
            before = session_before(UUID(continue_as), from_session=UUID(message.session_id))
        except ValueError:
            return False
        if before is None:
            return False
        sealed, onwards = message.session_id, (continue_as, str(before))
        for session_id, (known_as, _) in self._known.items():
            if known_as == sealed:
                self._known[session_id] = onwards
        self._known[sealed] = onwards
        while len(self._known) > self._most:
            self._known.popitem(last=False)
        message.session_id, message.continues = onwards
        return True
