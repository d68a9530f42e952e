"""Who calls. Only the identity code makes one; the other parts receive it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


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
    """

    issuer: str
    subject: str
    groups: tuple[str, ...]
    kind: PrincipalKind
    token_id: str
    actors: tuple[str, ...] = ()
