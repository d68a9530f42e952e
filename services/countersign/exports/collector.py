"""OTLP over HTTP: an export counts when the collector took all of it (OTLP 1, section "OTLP/HTTP Response")."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import httpx

from countersign.config.types import OtlpSink
from countersign.exports.facts import Fact
from countersign.exports.ports import NotTaken

POST_S = 20.0
MOST_WAIT_S = 300.0
_MOST_ANSWER_BYTES = 64 * 1024
_TOO_LARGE = 413


class CollectorDestination:
    """Posts batches; see ``Destination``. ``render`` makes the body. No redirect is followed: the token goes along."""

    def __init__(self, how: OtlpSink, render: Callable[[Sequence[Fact]], bytes]) -> None:
        self._url = f"{how.endpoint.rstrip('/')}/v1/logs"
        self._render = render
        self._headers = {
            "content-type": "application/json",
            "user-agent": "countersign",
            # What is packed may be far larger than it looks.
            "accept-encoding": "identity",
        }
        if how.token is not None:
            self._headers["authorization"] = f"Bearer {how.token.reveal()}"
        self._client: httpx.AsyncClient | None = None

    async def take(self, facts: Sequence[Fact]) -> None:
        """See ``Destination.take``: when this returns, the collector said that it took every record."""
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=POST_S, follow_redirects=False)
        try:
            status, wait_s, answer = await _post(self._client, self._url, self._headers, self._render(facts))
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise NotTaken(f"the collector cannot be reached ({type(error).__name__})") from None
        if not 200 <= status < 300:
            raise NotTaken(f"the collector answered {status}", wait_s=wait_s, smaller=status == _TOO_LARGE)
        if rejected := _rejected(answer):
            # Its message may quote what it rejected: it is not shown.
            raise NotTaken(f"the collector rejected {rejected} of {len(facts)} records", smaller=True)

    async def close(self) -> None:
        """See ``Destination.close``."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


async def _post(client: httpx.AsyncClient, url: str, headers: dict[str, str], body: bytes) -> tuple[int, float, bytes]:
    async with client.stream("POST", url, headers=headers, content=body) as response:
        answer = b""
        async for piece in response.aiter_bytes():
            answer += piece
            if len(answer) > _MOST_ANSWER_BYTES:
                raise NotTaken("the collector's answer is too long to be one")
        return response.status_code, _wait_s(response.headers.get("retry-after", "")), answer


def _wait_s(text: str) -> float:
    return min(float(text), MOST_WAIT_S) if text.isascii() and text.isdigit() else 0.0


def _rejected(answer: bytes) -> int:
    """Return how many records were rejected, of an answer with status 2xx. Raises ``NotTaken``."""
    if not answer.strip():
        return 0
    try:
        told = json.loads(answer)
        partial = told.get("partialSuccess") or told.get("partial_success") or {}
        # In the JSON of protobuf a 64-bit integer is a text; some write a number.
        return int(partial.get("rejectedLogRecords") or partial.get("rejected_log_records") or 0)
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise NotTaken("the collector's answer cannot be read: nobody knows what it took") from None
