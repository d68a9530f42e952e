"""What `countersign revoke` and `countersign revocations` have in common: the service, times, how one is shown."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final

import grpc
import typer
from rich.table import Table
from rich.text import Text

from countersign.api.access.v1 import revocations_pb2, revocations_pb2_grpc
from countersign.cli.access import REFUSED, UNREACHABLE, USAGE, bearer, stop
from countersign.cli.gateway import REMEDIES, gateway_channel
from countersign.model.visible import visible

TIMEOUT_S: Final = 30.0
PAGE: Final = 500
_REMEDIES: Final = {
    **REMEDIES,
    grpc.StatusCode.PERMISSION_DENIED: (
        REFUSED,
        "you may not do this: operators revoke and lift, auditors and operators list (gateway.yaml)",
    ),
    grpc.StatusCode.NOT_FOUND: (REFUSED, "{details}: see `countersign revocations list`"),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (REFUSED, "{details}"),
    # Its own words may say what is in force all the same.
    grpc.StatusCode.UNAVAILABLE: (UNREACHABLE, "{url} does not answer, or cannot do it now: {details}"),
}
_KINDS: Final = MappingProxyType(
    {
        revocations_pb2.REVOCATION_KIND_PRINCIPAL: "principal",
        revocations_pb2.REVOCATION_KIND_TOKEN: "token",
        revocations_pb2.REVOCATION_KIND_SIGN_IN: "sign-in",
        revocations_pb2.REVOCATION_KIND_SESSION: "session",
        revocations_pb2.REVOCATION_KIND_ISSUER: "issuer",
    }
)
_SPANS: Final = MappingProxyType({"s": 1, "m": 60, "h": 3_600, "d": 86_400})
_LONGEST_SPAN: Final = 6

Reason = Annotated[str, typer.Option(help="Why, such as a case's number; it is recorded.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass(frozen=True, slots=True)
class Revocations:
    """The gateway's RevocationService; its errors are ``grpc.RpcError``."""

    stub: revocations_pb2_grpc.RevocationServiceStub
    metadata: tuple[tuple[str, str], ...]

    def revoke(self, wanted: revocations_pb2.Revocation) -> revocations_pb2.Revocation:
        """Revoke; return what is in force."""
        asked = revocations_pb2.RevokeRequest(revocation=wanted)
        return self.stub.Revoke(asked, metadata=self.metadata, timeout=TIMEOUT_S).revocation

    def lift(self, revocation_id: str, reason: str) -> None:
        """Lift one."""
        asked = revocations_pb2.LiftRevocationRequest(revocation_id=revocation_id, reason=reason)
        self.stub.LiftRevocation(asked, metadata=self.metadata, timeout=TIMEOUT_S)

    def listed(self, issuer: str, value: str, limit: int) -> Iterator[revocations_pb2.Revocation]:
        """Those in force, the newest first, page by page."""
        asked = revocations_pb2.ListRevocationsRequest(issuer=issuer, value=value)
        while limit > 0:
            asked.page_size = min(limit, PAGE)
            page = self.stub.ListRevocations(asked, metadata=self.metadata, timeout=TIMEOUT_S)
            yield from page.revocations[:limit]
            limit -= len(page.revocations)
            if not page.next_page_token:
                return
            asked.page_token = page.next_page_token


@contextmanager
def revocations(url: str, token_file: Path | None, token: str | None) -> Iterator[Revocations]:
    """Connect; what goes wrong inside becomes one line and an exit code."""
    sent = bearer(token_file, token, url)
    with gateway_channel(url, _REMEDIES) as channel:
        yield Revocations(revocations_pb2_grpc.RevocationServiceStub(channel), (("authorization", f"Bearer {sent}"),))


def kind(revocation: revocations_pb2.Revocation) -> str:
    """What it names, in a word."""
    return _KINDS.get(revocation.kind, "unknown")


def name(revocation: revocations_pb2.Revocation) -> str:
    """Whom it is about, safe to show."""
    return visible(revocation.value or "everybody")


def seconds_of(option: str, text: str, now: datetime) -> int:
    """Read ``--issued-before``: a time, how long ago, or ``now``; seconds since the epoch. Raises ``typer.Exit``.

    ``now`` is the next whole second, so that what was issued within this one is struck.
    """
    if text == "now":
        return int(now.timestamp()) + 1
    return int(_time(option, text, now, ahead=False).timestamp())


def microseconds_of(option: str, text: str, now: datetime) -> int:
    """Read ``--until``: a time, or for how long; microseconds since the epoch. Raises ``typer.Exit``."""
    return int(_time(option, text, now, ahead=True).timestamp() * 1_000_000)


def strikes_own(token: str, wanted: revocations_pb2.Revocation) -> bool:
    """Whether a bearer token may be one of those that are revoked, as far as it can be read; it is not verified."""
    claims = _claims(token)
    issuers = {claims.get("iss"), claims.get("idp")}
    if wanted.issuer not in issuers:
        return False
    # The portal's tokens count from when their person signed in.
    issued_s = claims.get("auth_time" if "idp" in claims else "iat")
    if wanted.HasField("issued_before_s") and isinstance(issued_s, int) and issued_s >= wanted.issued_before_s:
        return False
    # Whichever of them gateway.yaml has the subject in.
    return not wanted.value or wanted.value in [value for value in claims.values() if isinstance(value, str)]


def table(found: Iterable[revocations_pb2.Revocation]) -> Table:
    """Those in force, for people."""
    made = Table(box=None, pad_edge=False)
    for title in (
        "REVOCATION",
        "KIND",
        "OF",
        "ISSUER",
        "TOKENS ISSUED",
        "UNTIL (UTC)",
        "REVOKED (UTC)",
        "BY",
        "REASON",
    ):
        made.add_column(title, no_wrap=title in ("REVOCATION", "KIND"), overflow="fold")
    for one in found:
        issued = f"before {_day(one.issued_before_s)}" if one.HasField("issued_before_s") else "at any time"
        until = _day(one.until_us // 1_000_000) if one.until_us else "it is lifted"
        by = one.by_subject or f"told by {one.by_issuer}"
        texts = (one.revocation_id, kind(one), name(one), visible(one.issuer), issued, until)
        made.add_row(*map(Text, texts), _day(one.revoked_us // 1_000_000), _text(by), _text(one.reason))
    return made


def _text(text: str) -> Text:
    return Text(visible(text))


def _day(time_s: int) -> str:
    try:
        return f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return "no time"


def _time(option: str, text: str, now: datetime, *, ahead: bool) -> datetime:
    try:
        number, unit = text[:-1], text[-1:]
        if unit in _SPANS and number.isascii() and number.isdigit() and len(number) <= _LONGEST_SPAN:
            span = timedelta(seconds=int(number) * _SPANS[unit])
            return now + span if ahead else now - span
        found = datetime.fromisoformat(text)
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        example = "30d for thirty days" if ahead else "now, or 2h for two hours ago"
        raise stop(f"--{option} {text!r} is not a time: write 2026-11-21T10:00:00Z, or {example}", USAGE) from None


def _claims(token: str) -> dict[str, Any]:
    try:
        _, body, _ = token.split(".")
        claims = json.loads(base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_"))
    except (ValueError, binascii.Error, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}
