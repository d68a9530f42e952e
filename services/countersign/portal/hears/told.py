"""What was understood of something told, and why something is not taken. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from countersign.model.revocation import Revocation, RevocationKind


class Err(StrEnum):
    """Codes of RFC 8935, section 2.4."""

    REQUEST = "invalid_request"
    KEY = "invalid_key"
    ISSUER = "invalid_issuer"
    AUDIENCE = "invalid_audience"
    AUTHENTICATION = "authentication_failed"
    ACCESS = "access_denied"


class NotTaken(Exception):
    """What was told is not believed, or not understood where it must be.

    ``description`` helps its honest sender: it is safe to show and to log, and quotes nothing of what was sent.
    """

    def __init__(self, err: Err, description: str) -> None:
        super().__init__(description)
        self.err = err
        self.description = description


@dataclass(frozen=True, slots=True)
class Heard:
    """What somebody told, understood: ``revocations`` to be put in force, and ``lifted`` ones that it takes back.

    ``source`` is the way by which it was told, ``teller`` who signed it, ``told_id`` the id that its teller gave it.
    All are without what the recorder says of revocations; those ``lifted`` are what this teller told by this source.
    """

    source: str
    teller: str
    told_id: str
    revocations: tuple[Revocation, ...]
    lifted: tuple[Revocation, ...] = ()

    @property
    def source_id(self) -> str:
        """What tells this telling from every other of its source. Issuers have no spaces."""
        return f"{self.teller} {self.told_id}"

    @property
    def empty(self) -> bool:
        """Whether nothing is to be done."""
        return not self.revocations and not self.lifted


def unnumbered(
    kind: RevocationKind,
    issuer: str,
    value: str,
    reason: str,
    *,
    issued_before_s: int | None = None,
    until_us: int = 0,
) -> Revocation:
    """Return a revocation as it is told: the recorder gives it an id and its time."""
    return Revocation(
        revocation_id="",
        kind=kind,
        issuer=issuer,
        value=value,
        reason=reason,
        revoked_us=0,
        issued_before_s=issued_before_s,
        until_us=until_us,
    )
