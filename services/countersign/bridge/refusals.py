"""What the bridge answers itself, and what it remembers of servers that know the legacy era alone."""

from __future__ import annotations

from countersign.bridge.requests import Posted
from countersign.bridge.streams import Event
from countersign.config import Target
from countersign.jsontext import parse, value_span
from countersign.mcp import Failure
from countersign.mcp.errors import METHOD_NOT_FOUND
from countersign.mcp.replies import error_json

_DISCOVER = "server/discover"
_NO_SUCH_METHOD = 404
_MOST = 1_000


def error(id_json: str, code: int, text: str) -> bytes:
    """Write the body of an error."""
    return error_json(id_json, code, text).encode()


def failure(how: Failure, text: str, id_json: str = "") -> tuple[int, bytes]:
    """Return status and body of a call that could not be made; ``text`` must be safe to show."""
    return how.status, error(id_json, how.code, text)


def unknown_session() -> tuple[int, bytes]:
    """What a client is told whose session is over, or was never its own: to initialize anew."""
    return failure(Failure.NO_SESSION, "there is no such session; initialize anew")


class KnownLegacy:
    """Servers that refused to be discovered, by what is stated of them: clients who ask again need no process."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def answer(self, target: Target, posted: Posted) -> tuple[int, bytes] | None:
        """Return what the server would answer but for its words, when that is known."""
        if posted.method != _DISCOVER or target.mcp_url not in self._known:
            return None
        # In our words: the server's may repeat what another caller sent.
        return _NO_SUCH_METHOD, error(posted.id_json, METHOD_NOT_FOUND, "Method not found")

    def learn(self, target: Target, posted: Posted, last: Event) -> bool:
        """Take in how a request was answered; true when the server refused to be discovered.

        Remembered is only that it has no such method: any other refusal may be due to what this very client sent.
        """
        if posted.method != _DISCOVER or last.status not in (400, 404):
            return False
        span = value_span(parse(last.data, permit_nan=True), ("error",))
        if span is None or last.status != _NO_SUCH_METHOD:
            return span is not None
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known.add(target.mcp_url)
        return True
