"""Why a SAML message was refused."""

from __future__ import annotations


class SamlRefused(Exception):
    """A message of SAML that names nobody.

    ``reason`` may be shown to whoever sent it, and recorded: it says what is wrong and what was expected, and quotes of
    the message at most its times and whom it says it is for.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
