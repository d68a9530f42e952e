"""What the hub asks of targets: always through Envoy's inner listener, with the caller's own token."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx

from countersign.config import GatewayConfig, Limits
from countersign.masking import NotMaskable
from countersign.masking.sse import SseEvent, SseSplitter
from countersign.mcp.replies import EVENTS_TYPE, JSON_TYPE
from countersign.model.door import SOURCE_HEADER
from countersign.model.principal import Principal
from countersign.runtime.trust import SERVICE_HEADER, is_private

_CONNECT_S = 5.0
_KEPT = 64
# What Envoy takes (envoy/limits.py), but for its own few headers and the first line: what it refuses is on no record.
_MOST_HEADERS = 96
_MOST_HEAD_BYTES = 63 * 1024


class Away(Exception):
    """The gateway inside does not answer, or answers what cannot be passed on. ``str()`` is safe to show."""


class TooLong(Away):
    """In the target's words the request is more than Envoy takes, or has more headers: it was not sent."""

    def __init__(self) -> None:
        super().__init__("the request is larger than this gateway takes")


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose request is at hand: vouched for by authz, with the token that is judged again inside, and the address."""

    principal: Principal
    authorization: str = field(repr=False)
    source: str
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Inner:
    """An answer from inside, of which the head is there."""

    response: httpx.Response
    limits: Limits

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.response.status_code

    @property
    def is_stream(self) -> bool:
        """Whether events follow."""
        return self._type == EVENTS_TYPE

    @property
    def is_json(self) -> bool:
        """Whether JSON follows."""
        return self._type == JSON_TYPE

    @property
    def _type(self) -> str:
        return self.header("content-type").partition(";")[0].strip().lower()

    def header(self, name: str) -> str:
        """A header; empty when there is none."""
        return str(self.response.headers.get(name, ""))

    async def body(self) -> bytes:
        """Return the whole body. Raises ``Away`` when it breaks off, or is longer than the gateway lets through."""
        found = bytearray()
        try:
            async for chunk in self.response.aiter_raw():
                found += chunk
                if len(found) > self.limits.response_bytes:
                    raise Away("the answer is too long")
        except httpx.HTTPError:
            raise Away("the answer broke off") from None
        return bytes(found)

    async def events(self) -> AsyncGenerator[SseEvent, None]:
        """Yield the events of a stream as they come. Raises ``Away`` when it breaks off or cannot be read."""
        splitter = SseSplitter(self.limits.sse_event_bytes)
        try:
            async for chunk in self.response.aiter_raw():
                for event in splitter.feed(chunk):
                    yield event
        except httpx.HTTPError:
            raise Away("the answer broke off") from None
        except NotMaskable:
            raise Away("the answer cannot be read") from None


class Inside:
    """Asks for targets at ``address`` (``HOST:PORT`` or ``unix:/path``); ``token`` is the service token, for TCP.

    ``config`` says what the gateway is called, and how long answers may be.
    """

    def __init__(self, address: str, token: str, config: Callable[[], GatewayConfig]) -> None:
        self._config = config
        self._headers = {} if is_private(address) else {SERVICE_HEADER: token}
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=_KEPT)
        transport = (
            httpx.AsyncHTTPTransport(uds=address.removeprefix("unix:"), limits=limits)
            if is_private(address)
            else httpx.AsyncHTTPTransport(limits=limits)
        )
        self._base = "http://inner" if is_private(address) else f"http://{address}"
        # Envoy bounds how long a target may be silent.
        timeout = httpx.Timeout(None, connect=_CONNECT_S)
        self._client = httpx.AsyncClient(transport=transport, timeout=timeout, follow_redirects=False, trust_env=False)

    @asynccontextmanager
    async def ask(
        self, caller: Caller, target: str, verb: str, headers: Mapping[str, str], body: bytes
    ) -> AsyncIterator[Inner]:
        """Send a request for a target, and hold its answer until the block ends: then it is over inside, too.

        Raises ``Away``, and ``TooLong`` before anything is sent.
        """
        async with self._ask(caller, f"/{target}/mcp", verb, headers, body) as inner:
            yield inner

    @asynccontextmanager
    async def note(self, caller: Caller, verb: str, headers: Mapping[str, str], body: bytes) -> AsyncIterator[Inner]:
        """Send a request for the record alone, and hold its answer until the block ends. Raises ``Away``."""
        async with self._ask(caller, "/mcp", verb, headers, body) as inner:
            yield inner

    @asynccontextmanager
    async def _ask(
        self, caller: Caller, path: str, verb: str, headers: Mapping[str, str], body: bytes
    ) -> AsyncIterator[Inner]:
        config = self._config()
        sent = {
            "host": urlsplit(config.url).netloc,
            "authorization": caller.authorization,
            "accept-encoding": "identity",
            "user-agent": "countersign-hub",
            SOURCE_HEADER: caller.source,
            **({"traceparent": caller.traceparent} if caller.traceparent else {}),
            **self._headers,
            **headers,
        }
        request = self._client.build_request(verb, f"{self._base}{path}", headers=sent, content=body or None)
        head = request.headers.raw
        head_bytes = sum(len(name) + len(value) + 4 for name, value in head)
        if len(head) > _MOST_HEADERS or head_bytes > _MOST_HEAD_BYTES or len(body) > config.limits.request_bytes:
            raise TooLong
        try:
            response = await self._client.send(request, stream=True)
        except httpx.HTTPError:
            raise Away("the gateway does not answer inside") from None
        try:
            yield Inner(response, config.limits)
        finally:
            await response.aclose()

    async def close(self) -> None:
        """Let go of all connections."""
        await self._client.aclose()
