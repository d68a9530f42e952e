"""The room of what issuers tell, put together."""

from __future__ import annotations

from countersign.portal.hears.listener import Listener
from countersign.portal.hears.room import Hears
from countersign.portal.hears.telling_keys import TellersKeys
from countersign.portal.ports import Shared


def hears(shared: Shared) -> Hears:
    """Return the room over what the portal's rooms share."""
    keys = TellersKeys(shared.config, shared.client, shared.monotonic)
    listener = Listener(shared.config, keys, shared.applying, lambda: shared.now_us() / 1_000_000)
    return Hears(listener, shared.monotonic)
