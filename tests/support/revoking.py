"""Revocations that a test makes, where the recorder's would be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from countersign.model.principal import Principal
from countersign.model.revocation import Revocation, RevocationKind, RevocationList

_NUMBERS = count(1)


def revocation(kind: RevocationKind, value: str, issuer: str = "", *, before_s: int | None = None) -> Revocation:
    """A revocation that never lapses."""
    return Revocation(f"r-{next(_NUMBERS)}", kind, issuer, value, "stolen", 1, before_s)


def of_principal(principal: Principal) -> Revocation:
    """What takes a principal back."""
    return revocation(RevocationKind.PRINCIPAL, principal.subject, principal.issuer)


def nobody_is(_principal: Principal, _session_id: str) -> None:
    """Let everybody go on: see ``Exchange``, ``RequestSide``."""


@dataclass
class FakeRevocations:
    """See ``countersign.runtime.revocations.Revocations``. Known at once, and as long as the test says so."""

    fresh: bool = True
    known: RevocationList = field(default_factory=RevocationList)
    callbacks: list[Callable[[], None]] = field(default_factory=list)
    asked: int = 0

    def revoke(self, one: Revocation) -> None:
        """Revoke, and tell those who follow."""
        self.known.put(one)
        self.tell()

    def forget(self) -> None:
        """Know nothing any more, and tell those who follow."""
        self.fresh = False
        self.tell()

    def tell(self) -> None:
        """Tell those who follow that something changed."""
        for callback in self.callbacks:
            callback()

    def of_principal(self, principal: Principal, now_us: int) -> Revocation | None:
        """See ``Revocations``."""
        self.asked += 1
        return self.known.of_principal(principal, now_us)

    def of_session(self, session_id: str, now_us: int) -> Revocation | None:
        """See ``Revocations``."""
        return self.known.of_session(session_id, now_us)

    def on_change(self, callback: Callable[[], None]) -> None:
        """See ``Revocations``."""
        self.callbacks.append(callback)


class FollowedFake(FakeRevocations):
    """One that a part of the gateway starts and closes."""

    async def start(self) -> None:
        """Known already."""

    async def close(self) -> None:
        """Nobody to let go of."""
