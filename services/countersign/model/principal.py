"""Who calls. Only the identity code makes one; the other parts receive it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class PrincipalKind(StrEnum):
    """What a principal is."""

    PERSON = "person"
    AGENT = "agent"
    MACHINE = "machine"


@dataclass(frozen=True, slots=True)
class Principal:
    """A verified caller.

    To hold one means that a token was verified on this very call: construct it only in ``countersign.identity``
    and where a sealed copy is opened again. (``rehearsal`` makes some to ask what rules say, and ``approver`` of those
    who asked or decided before, for the record: these open nothing.)
    ``token_id`` is the token's ``jti`` or a digest, never the token. ``actors`` are the subjects that act for this one,
    the outermost first (``act``, RFC 8693 section 4.1); empty when the subject acts by itself.
    ``issued_s`` is when the token was issued (``iat``, seconds since the epoch), 0 when it does not say; ``signed_in``
    the issuer's id of the sign-in behind it (``sid``, OpenID Connect Front-Channel Logout 1.0, section 3). Where
    gateway.yaml names a machine by its claims, ``subject`` is that name and ``token_subject`` what the token calls it.
    """

    issuer: str
    subject: str
    groups: tuple[str, ...]
    kind: PrincipalKind
    token_id: str
    actors: tuple[str, ...] = ()
    issued_s: int = 0
    signed_in: str = ""
    token_subject: str = ""

    def listed(self) -> list[object]:
        """Return all that is known of it, as JSON can hold it: for ``of_listed``."""
        return [
            *(self.issuer, self.subject, list(self.groups), self.kind.value, self.token_id, list(self.actors)),
            *(self.issued_s, self.signed_in, self.token_subject),
        ]

    @classmethod
    def of_listed(cls, listed: Any) -> Principal:
        """Return what ``listed`` was made of. Raises ``ValueError`` or ``TypeError`` for anything else."""
        issuer, subject, groups, kind, token_id, actors, issued_s, signed_in, token_subject = listed
        return cls(
            *(issuer, subject, tuple(groups), PrincipalKind(kind), token_id, tuple(actors)),
            *(issued_s, signed_in, token_subject),
        )
