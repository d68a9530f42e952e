"""A receiver of webhooks beside a gateway, which believes only what is signed."""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


@dataclass(frozen=True, slots=True)
class Pager:
    """``secret`` is what events are signed with; ``events`` are those that were, in the order in which they came."""

    url: str
    secret: str
    events: list[dict[str, Any]] = field(default_factory=list)

    def heard(self, approval_id: str) -> list[str]:
        """The types of what came about an approval."""
        return [event["type"] for event in self.events if event["data"]["approval"]["id"] == approval_id]

    def link(self, approval_id: str) -> str:
        """Where the first message about an approval leads."""
        links = [one["data"]["link"] for one in self.events if one["data"]["approval"]["id"] == approval_id]
        return str(links[0])


@contextmanager
def running_pager() -> Iterator[Pager]:
    """A receiver on a port of its own, for as long as the block runs."""
    secret = f"whsec_{base64.b64encode(os.urandom(32)).decode()}"
    events: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            try:
                event = Webhook(secret).verify(body, dict(self.headers))
            except WebhookVerificationError:
                self.send_response(401)
            else:
                assert isinstance(event, dict)
                events.append(event)
                self.send_response(204)
            self.end_headers()

        def log_request(self, code: object = "-", size: object = "-") -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield Pager(f"http://127.0.0.1:{server.server_port}/hook", secret, events)
        finally:
            server.shutdown()
            thread.join()
