"""Who signed in, wherever they did."""

from __future__ import annotations

import json
from dataclasses import dataclass

from countersign.model.principal import Principal, PrincipalKind


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who proved to ``issuer`` (an OpenID Connect issuer, or a SAML entity id) to be ``subject``.

    ``signed_in`` is the issuer's id of that sign-in (``sid``, or SessionIndex); where it gave none, one of ours.
    ``at_s`` is when it was (seconds since the epoch); ``methods`` (``amr``) and ``context`` (``acr``) say how, if the
    issuer told. ``token_subject`` is what the issuer's tokens call ``subject``, where gateway.yaml calls it otherwise.
    """

    issuer: str
    subject: str
    groups: tuple[str, ...]
    signed_in: str
    at_s: int
    methods: tuple[str, ...] = ()
    context: str = ""
    token_subject: str = ""

    def principal(self) -> Principal:
        """Return the principal of tokens of this sign-in, to ask what takes it back.

        A revocation of what was issued before some time takes all back that comes of an earlier sign-in.
        """
        return Principal(
            issuer=self.issuer,
            subject=self.subject,
            groups=self.groups,
            kind=PrincipalKind.PERSON,
            token_id="",
            issued_s=self.at_s,
            signed_in=self.signed_in,
            token_subject=self.token_subject,
        )

    def listed(self) -> str:
        """Return all of it as JSON, for ``of_listed``."""
        listed = [self.issuer, self.subject, self.groups, self.signed_in, self.at_s, self.methods, self.context]
        return json.dumps([*listed, self.token_subject])

    @classmethod
    def of_listed(cls, text: str) -> Person:
        """Return what ``listed`` was made of."""
        issuer, subject, groups, signed_in, at_s, methods, context, token_subject = json.loads(text)
        return cls(issuer, subject, tuple(groups), signed_in, at_s, tuple(methods), context, token_subject)
