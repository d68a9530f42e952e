"""Waiting on this machine for the code that a browser brings (RFC 8252, section 7.3)."""

from __future__ import annotations

import hmac
import http.server
import threading
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

_PATH = "/callback"
_DONE = (
    b"<!doctype html><meta charset=utf-8><title>Countersign</title><p>Go on in the terminal. You can close this page.\n"
)
_MOST = 8_000
_SOCKET_S = 5.0


class Receiver:
    """Listens on a port of 127.0.0.1 for the one answer that brings ``state`` and is of ``issuer`` (RFC 9207)."""

    def __init__(self, state: str, issuer: str) -> None:
        self._answer: dict[str, str] | None = None
        self._done = threading.Event()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            timeout = _SOCKET_S

            def do_GET(self) -> None:
                good = receiver._take(self.path, state, issuer)
                self.send_response(200 if good else 404)
                self.send_header("content-type", "text/html")
                self.send_header("content-security-policy", "default-src 'none'")
                self.send_header("referrer-policy", "no-referrer")
                self.end_headers()
                self.wfile.write(_DONE if good else b"")
                if good:
                    receiver._done.set()

            def log_message(self, *_: object) -> None:
                """Say nothing: codes are in it."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()

    @property
    def redirect_uri(self) -> str:
        """Where the browser is to be sent."""
        return f"http://127.0.0.1:{self._server.server_address[1]}{_PATH}"

    def wait(self, seconds: float) -> dict[str, str] | None:
        """Return the answer (`code`, or `error`), or ``None`` when none comes in time."""
        self._done.wait(seconds)
        return self._answer

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _take(self, path: str, state: str, issuer: str) -> bool:
        """Whether this is the answer. Any page in the browser can send us another, which must not count."""
        with suppress(ValueError):
            parts = urlsplit(path[:_MOST])
            said = parse_qs(parts.query, max_num_fields=20)
            if parts.path != _PATH or self._answer is not None or any(len(values) != 1 for values in said.values()):
                return False
            answer = {name: values[0] for name, values in said.items()}
            mine = hmac.compare_digest(answer.get("state", "").encode(), state.encode())
            if mine and answer.get("iss") == issuer and ("code" in answer) != ("error" in answer):
                self._answer = answer
                return True
        return False
