"""Whose tokens are taken, which machines they name, and how long a replica may not know what was revoked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Claims = Mapping[str, tuple[str, ...]]
"""What claims must be: by their paths, globs of which one must fit a claim's text, or one text of its list."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """Whose tokens are taken. ``audiences`` empty means that each target takes tokens for its own URL only.

    ``groups_claim`` and ``subject_claim`` are paths (``identity.claims``). Without ``algorithms``, any asymmetric one
    will do. ``required`` is what every token's claims must be. ``keys_file``, a JWKS on disk, takes the place of the
    issuer's discovery. With ``only_machines``, a token that fits none of gateway.yaml's machines is refused.
    ``id_tokens`` says that its ID tokens are taken, too, for issuers without other JWTs; only with ``audiences``.
    """

    issuer: str
    groups_claim: str = "groups"
    audiences: tuple[str, ...] = ()
    subject_claim: str = "sub"
    algorithms: tuple[str, ...] = ()
    clock_skew_s: int = 10
    required: Claims = field(default_factory=dict)
    keys_file: str = ""
    only_machines: bool = False
    id_tokens: bool = False


@dataclass(frozen=True, slots=True)
class Machine:
    """A workload that is named by what its tokens claim: all of ``claims`` must fit. ``groups`` are all it has."""

    name: str
    issuer: str
    claims: Claims
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Revoking:
    """How revocation is known. A replica that has not heard for ``unknown_after_s`` seconds admits nobody."""

    unknown_after_s: float = 5.0
