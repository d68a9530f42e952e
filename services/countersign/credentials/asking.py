"""HTTP to those who give credentials: bounded, without redirects and cookies, and with nothing of it in errors."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from countersign.credentials.errors import CredentialUnavailable
from countersign.runtime.tls import trusting

TIMEOUT_S = 4.0
MAX_ANSWER_BYTES = 2 * 1024 * 1024
"""A secret of Kubernetes may have a mebibyte, and grows by a third in base64."""
_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, and the members of the JSON object that came with it; none when there was no such object."""

    status: int
    members: Mapping[str, object]


class Asker:
    """Asks by HTTPS, trusting the certificates in the file ``ca``, else the system's.

    With ``inside`` no proxy of the environment is used: for who is in the same cluster or house.
    """

    def __init__(self, *, ca: str = "", inside: bool = False) -> None:
        self._ca = ca
        self._inside = inside
        self._client: httpx.AsyncClient | None = None

    async def ask(
        self,
        who: str,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        body: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request; ``who`` names the other side in errors. Raises ``CredentialUnavailable``."""
        problem = ""
        try:
            return await self._ask(method, url, dict(headers or {}), form, body)
        except httpx.TimeoutException:
            problem = "does not answer in time"
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError):
            problem = "cannot be reached"
        except (OSError, ssl.SSLError, UnicodeError):
            problem = "cannot be reached with what it is to be asked with"
        except _TooLarge:
            problem = "answers too much"
        # Outside of the handlers: those errors hold the request, and so what it was signed with.
        raise CredentialUnavailable(f"{who} {problem}")

    async def close(self) -> None:
        """Close its connections."""
        if self._client is not None:
            await self._client.aclose()

    async def _ask(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        form: Mapping[str, str] | None,
        body: Mapping[str, str] | None,
    ) -> Answer:
        if self._client is None:
            self._client = self._connecting()
        headers.update({"accept": "application/json", "accept-encoding": "identity"})
        async with self._client.stream(
            method, url, headers=headers, data=None if form is None else dict(form), json=body
        ) as response:
            data = b""
            async for part in response.aiter_raw():
                data += part
                if len(data) > MAX_ANSWER_BYTES:
                    raise _TooLarge
        media = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        return Answer(response.status_code, _members(data) if media == "application/json" else {})

    def _connecting(self) -> httpx.AsyncClient:
        trusted = ssl.create_default_context(cafile=self._ca) if self._ca else trusting(None)
        return httpx.AsyncClient(
            verify=trusted,
            trust_env=not self._inside,
            follow_redirects=False,
            timeout=TIMEOUT_S,
            limits=httpx.Limits(max_connections=_AT_ONCE, max_keepalive_connections=8),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )


class _TooLarge(Exception):
    pass


def _members(data: bytes) -> Mapping[str, object]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
