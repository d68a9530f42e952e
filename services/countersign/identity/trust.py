"""One issuer's tokens: which keys they are signed by, and whom their claims name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from countersign.config.types_identity import Issuer, Machine
from countersign.identity.claims import ClaimPath, Demands, actors_of, groups_of, is_name, text_of
from countersign.identity.errors import Unidentified
from countersign.identity.jws import Claims, Jws
from countersign.identity.keys import Keys
from countersign.model.principal import Principal, PrincipalKind

_NAMED_AT_ONCE = 3


@dataclass(frozen=True, slots=True)
class _Workload:
    machine: Machine
    demands: Demands


class Trust:
    """What is taken of ``issuer``: signed by one of ``keys``, and named by its claims or by one of ``machines``.

    ``reserved`` are the names of all machines: nobody else may be called so, whichever issuer says it.
    """

    def __init__(self, issuer: Issuer, keys: Keys, machines: Iterable[Machine], reserved: frozenset[str]) -> None:
        self.issuer = issuer
        self.keys = keys
        self._reserved = reserved
        self._demands = Demands(issuer.required)
        self._groups = ClaimPath(issuer.groups_claim)
        self._subject = ClaimPath(issuer.subject_claim)
        self._workloads = tuple(
            _Workload(machine, Demands(machine.claims)) for machine in machines if machine.issuer == issuer.issuer
        )

    def principal(self, jws: Jws, claims: Claims) -> Principal:
        """Return whom these claims name; they were signed, and looked at otherwise. Raises ``Unidentified``."""
        unmet = self._demands.unmet(claims)
        if unmet:
            said = "the token lacks a claim that is required here, or has another value there"
            raise Unidentified(said, recorded=f"{said} ({unmet})")
        machine = self._machine(claims)
        said = _subject(claims, ClaimPath("sub")) if machine is not None else _subject(claims, self._subject)
        if machine is None and said in self._reserved:
            raise Unidentified("the token's subject is the name of a machine here")
        # Some issuers write it as text (Apple's do). One that says nothing of it vouches for all its addresses.
        if self._subject.text == "email" and claims.get("email_verified", True) not in (True, "true"):
            raise Unidentified("the token's email address is not verified")
        subject = said if machine is None else machine.name
        own = text_of(claims, "sub")
        actors = actors_of(claims, self.issuer.issuer)
        by_itself = machine is not None or is_client(claims, own or subject)
        return Principal(
            issuer=self.issuer.issuer,
            subject=subject,
            groups=groups_of(claims, self._groups) if machine is None else tuple(sorted(machine.groups)),
            kind=PrincipalKind.AGENT if actors else PrincipalKind.MACHINE if by_itself else PrincipalKind.PERSON,
            token_id=token_id(jws, claims),
            actors=actors,
            issued_s=issued_s(claims),
            signed_in=text_of(claims, "sid"),
            token_subject="" if own == subject else own,
        )

    def _machine(self, claims: Claims) -> Machine | None:
        fitting = [each.machine for each in self._workloads if not each.demands.unmet(claims)]
        if len(fitting) > 1:
            said = "the token fits more than one of the machines that are named here"
            names = ", ".join(machine.name for machine in fitting[:_NAMED_AT_ONCE])
            raise Unidentified(said, recorded=f"{said} ({names})")
        if not fitting and self.issuer.only_machines:
            raise Unidentified("the token fits none of the machines that are named here")
        return fitting[0] if fitting else None


def token_id(jws: Jws, claims: Claims) -> str:
    """Return the token's ``jti``, or a digest of what is signed."""
    return text_of(claims, "jti") or f"sha256:{jws.digest.hex()[:32]}"


def issued_s(claims: Claims) -> int:
    """Return when the token was issued, in seconds since the epoch; 0 when it does not say."""
    found = claims.get("iat")
    return int(found) if isinstance(found, int | float) and not isinstance(found, bool) else 0


def is_client(claims: Mapping[str, object], subject: str) -> bool:
    """Whether a client authenticated by itself, and no person is behind it.

    It is its own subject (RFC 9068 section 2.2), or its issuer says so in a way of its own: Okta by ``cid``, Auth0 by
    ``gty`` and the subject, Entra ID by ``idtyp``, Keycloak by the name of the account that it gives to a client.
    """
    clients = [client for client in map(claims.get, ("client_id", "azp", "cid")) if isinstance(client, str) and client]
    if subject in clients or claims.get("gty") == "client-credentials" or claims.get("idtyp") == "app":
        return True
    username = claims.get("preferred_username")
    return any(subject == f"{client}@clients" or username == f"service-account-{client}" for client in clients)


def _subject(claims: Claims, path: ClaimPath) -> str:
    found = path.find(claims)
    if not is_name(found):
        raise Unidentified("the token's subject is missing, too long, or holds control characters")
    return found
