"""The demo's issuer inside the test's process, and the forged tokens that no issuer would sign."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from cryptography.hazmat.primitives import serialization

from countersign.demo.issuer import Issuer, SigningKey
from countersign.demo.people import PEOPLE, Person
from countersign.demo.serving import ThreadedServer


@dataclass(frozen=True, slots=True)
class Mint:
    """Makes good tokens of an issuer, and bad ones in its name; needs no server."""

    issuer: Issuer

    @property
    def url(self) -> str:
        return self.issuer.url

    def token(self, person: str, audience: str | Sequence[str], **changed: object) -> str:
        """A token with claims replaced; a claim that is changed to ``None`` is left out."""
        claims = {**self.issuer.claims(person, audience), **changed}
        return self.issuer.sign({name: value for name, value in claims.items() if value is not None})

    def forged(self, person: str, audience: str, how: str) -> str:
        """A token that must not be taken: ``how`` is one of FORGERIES."""
        claims = self.issuer.claims(person, audience)
        kid = self.issuer.key.kid
        if how == "alg none":
            return _assemble({"alg": "none", "typ": "at+jwt", "kid": kid}, claims, b"")
        if how == "public key as HMAC secret":
            public = self.issuer.key.private.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            signed = _unsigned({"alg": "HS256", "typ": "at+jwt", "kid": kid}, claims)
            return f"{signed}.{_base64(hmac.digest(public, signed.encode(), hashlib.sha256))}"
        if how == "another key under a known key id":
            return self.issuer.sign(claims, key=SigningKey.new("ES256", kid))
        if how == "a key that nobody published":
            return self.issuer.sign(claims, key=SigningKey.new("ES256"))
        if how == "altered claims":
            head, _, signature = self.issuer.sign(claims).split(".")
            altered = _base64(json.dumps({**claims, "groups": ["analysts", "auditors"]}).encode())
            return f"{head}.{altered}.{signature}"
        if how == "no signature":
            return self.issuer.sign(claims).rpartition(".")[0] + "."
        raise ValueError(how)


@dataclass(frozen=True, slots=True)
class RunningIssuer(Mint):
    """An issuer and its server: ``server.stop()`` and ``server.start()`` take it down and bring it back."""

    server: ThreadedServer


FORGERIES = (
    "alg none",
    "public key as HMAC secret",
    "another key under a known key id",
    "a key that nobody published",
    "altered claims",
    "no signature",
)


@contextmanager
def running_issuer(people: Sequence[Person] = PEOPLE) -> Iterator[RunningIssuer]:
    """An issuer at a free port of 127.0.0.1, on a thread of its own."""
    issuer = Issuer("", people)
    with ThreadedServer(issuer.app()) as server:
        issuer.url = server.url
        yield RunningIssuer(issuer, server)


def _assemble(head: Mapping[str, object], claims: Mapping[str, object], signature: bytes) -> str:
    return f"{_unsigned(head, claims)}.{_base64(signature)}"


def _unsigned(head: Mapping[str, object], claims: Mapping[str, object]) -> str:
    return f"{_base64(json.dumps(head).encode())}.{_base64(json.dumps(claims).encode())}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
