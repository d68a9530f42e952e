"""What all channels have in common: what they are given, how they fail, and how they fit what is too long."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import httpx

from countersign.approver.notify.summary import Notice, Quote, Said
from countersign.approver.notify.wording import clipped

REPLY_BYTES = 64 * 1024
_CHARACTERS = (12_000, 6_000, 3_000, 1_500, 700, 300, 0)


class NotTold(Exception):
    """It was not told, as far as is known; the message is safe to show, and quotes nothing that was said to us.

    ``wait_s`` is what the other side asks to wait, 0 when it does not.
    """

    def __init__(self, problem: str, wait_s: float = 0.0) -> None:
        super().__init__(problem)
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class Telling:
    """One attempt: ``id`` is the delivery's, ``memory`` what the channel noted when it last told of this approval."""

    id: str
    notice: Notice
    memory: str
    now_us: int


@dataclass(frozen=True, slots=True)
class Reply:
    """What an HTTP server said: its status, and the beginning of its body."""

    status: int
    body: bytes
    wait_s: float


async def post(client: httpx.AsyncClient, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
    """Send JSON and return the reply, of whatever status. Raises ``NotTold`` when there is none."""
    ours = {"content-type": "application/json; charset=utf-8", "accept-encoding": "identity"}
    try:
        async with client.stream("POST", url, headers={**headers, **ours}, content=body) as response:
            read = bytearray()
            # As it came: what somebody else compressed could become any size.
            async for chunk in response.aiter_raw():
                read += chunk
                if len(read) >= REPLY_BYTES:
                    break
            return Reply(response.status_code, bytes(read[:REPLY_BYTES]), _wait_s(response.headers))
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ValueError) as error:
        # Their texts may hold the URL, which may be a credential.
        raise NotTold(f"there was no answer ({type(error).__name__})") from None


def check(reply: Reply) -> None:
    """Raise ``NotTold`` unless a server took it (2xx)."""
    if not 200 <= reply.status < 300:
        raise NotTold(f"it answered {reply.status}", reply.wait_s)


def fitting(notice: Notice, render: Callable[[Notice], bytes], at_most: int) -> bytes:
    """Return what ``render`` makes of as much of ``notice`` as fits into ``at_most`` bytes; cut texts say so."""
    for characters in _CHARACTERS:
        rendered = render(shortened(notice, characters))
        if len(rendered) <= at_most:
            return rendered
    raise NotTold("it is too long for this channel, even without the call's texts")


def shortened(notice: Notice, characters: int) -> Notice:
    """Return a notice whose quotes have ``characters`` altogether; each says what was cut of it."""
    body: list[Quote | Said] = []
    for part in notice.body:
        if isinstance(part, Quote):
            body.append(Quote(part.label, clipped(part.text, characters, part.more)))
            characters = max(0, characters - len(part.text))
        else:
            body.append(part)
    return replace(notice, body=tuple(body))


def _wait_s(headers: httpx.Headers) -> float:
    # The form with a date is rare, and clocks differ: then our own back-off does.
    said = headers.get("retry-after", "")
    return float(said) if said.isascii() and said.isdecimal() and len(said) < 6 else 0.0
