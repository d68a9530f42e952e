"""Why a caller could not be identified."""

from __future__ import annotations


class Unidentified(Exception):
    """The caller gave no token, or one that is not good here.

    ``description`` helps the honest caller and is safe to show and to record: it never quotes the token. ``presented``
    tells whether there was a token at all (RFC 6750 section 3.1: no error code without one). ``recorded`` is what the
    record says in place of the description, where that is more than the caller may hear. ``of_session`` tells that the
    caller is known and the token good, and that it is this one session which was revoked.
    """

    def __init__(
        self, description: str, *, presented: bool = True, recorded: str = "", of_session: bool = False
    ) -> None:
        super().__init__(description)
        self.description = description
        self.presented = presented
        self.recorded = recorded or description
        self.of_session = of_session


class IdentityUnavailable(Exception):
    """The issuer's keys cannot be had now, or what was revoked is not known: nobody of that issuer can be verified."""
