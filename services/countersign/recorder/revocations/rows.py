"""Rows of revocations: their columns, and what they are read as."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Final

from countersign.model.revocation import Revocation, RevocationKind
from countersign.recorder.revocations.ports import Revoked

NUMBERS: Final = MappingProxyType(
    {
        RevocationKind.PRINCIPAL: 1,
        RevocationKind.TOKEN: 2,
        RevocationKind.SIGN_IN: 3,
        RevocationKind.SESSION: 4,
        RevocationKind.ISSUER: 5,
    }
)
"""The kinds as columns hold them; those of ``RevocationKind`` in revocations.proto, too."""

KINDS: Final = MappingProxyType({number: kind for kind, number in NUMBERS.items()})

COLUMNS: Final = (
    b"revocation_id::text, kind, issuer, value, reason, revoked_us, issued_before_s, until_us, by_issuer, by_subject,"
    b" source"
)


def revoked_of(row: tuple[Any, ...]) -> Revoked:
    """Return what the ``COLUMNS`` of a row say."""
    revocation_id, kind, issuer, value, reason, revoked_us, issued_before_s, until_us, *by = row
    revocation = Revocation(
        revocation_id,
        KINDS[kind],
        issuer,
        value,
        reason,
        revoked_us,
        issued_before_s=issued_before_s,
        until_us=until_us,
    )
    return Revoked(revocation, *by)
