"""What Slack says when somebody presses a button: acknowledged, and nothing more.

The buttons lead to the page, where people sign in. Slack still tells of each press and shows an error unless it is
answered within three seconds; who is who in Slack decides nothing here.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from countersign.approver.notify.slack_signature import signed_by_slack
from countersign.config.types import SlackChannel
from countersign.runtime.forms import BadBody, body_of

log = logging.getLogger(__name__)

_MOST_BYTES = 256 * 1024
_SAY_EVERY_S = 60.0


class Interactions:
    """Answers 200 to what any of ``channels()`` signed in the last five minutes, else 401."""

    def __init__(
        self,
        channels: Callable[[], Sequence[SlackChannel]],
        now_us: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._channels = channels
        self._now_us = now_us
        self._monotonic = monotonic
        self._refused = 0
        self._said_at_s = -_SAY_EVERY_S

    async def answer(self, request: Request) -> Response:
        """Acknowledge what Slack signed."""
        try:
            body = await body_of(request, _MOST_BYTES)
        except BadBody as error:
            return PlainTextResponse(f"{error}\n", error.status)
        if self._is_signed(request, body):
            return Response(status_code=200)
        self._count_refused()
        return PlainTextResponse("not signed by Slack for this gateway, or too long ago\n", 401)

    def _is_signed(self, request: Request, body: bytes) -> bool:
        return signed_by_slack(
            [channel.signing_secret for channel in self._channels()],
            timestamp=request.headers.get("x-slack-request-timestamp", ""),
            signature=request.headers.get("x-slack-signature", ""),
            body=body,
            now_s=self._now_us() / 1_000_000,
        )

    def _count_refused(self) -> None:
        """Anybody can send these: say how many there were, now and then."""
        self._refused += 1
        now_s = self._monotonic()
        if now_s - self._said_at_s >= _SAY_EVERY_S:
            log.warning("requests in Slack's name without its signature were refused", extra={"count": self._refused})
            self._refused, self._said_at_s = 0, now_s
