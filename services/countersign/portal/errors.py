"""Why the portal says no. What these say is safe to show, and quotes nothing that came from outside."""

from __future__ import annotations

from starlette.responses import Response

TOO_MANY = "too many programs were let in by this sign-in: sign out, and in again"


class OAuthRefused(Exception):
    """An answer of an OAuth endpoint: ``code`` of RFC 6749 (section 5.2) or its relatives, and why."""

    def __init__(self, code: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.status = status


class Told(Exception):
    """There is an answer already: ``response``."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response
