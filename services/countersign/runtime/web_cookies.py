"""Cookies of our pages: no script reads them, other sites' forms do not send them, and no other host can set them."""

from __future__ import annotations

from typing import Literal

from starlette.responses import Response

_HOST = "__Host-"


def name_of(name: str, url: str) -> str:
    """Return the name under which a page of the gateway at ``url`` keeps a cookie."""
    # Only a page over TLS of this very host can set such a one (RFC 6265bis, section 4.1.3.2).
    return f"{_HOST}{name}" if url.startswith("https://") else name


def put(response: Response, name: str, value: str, seconds: int, *, posted_from_elsewhere: bool = False) -> None:
    """Have the browser keep a cookie.

    Lax, not Strict: a link in a message, and the issuer's answer, must find it. One that must be found where another
    site's form is posted to us, as SAML's answers are, is neither; it may do nothing but tell that browser again.
    """
    # Browsers take None from what is Secure alone; and Secure over TLS, or from this machine itself.
    site: Literal["lax", "none"] = "none" if posted_from_elsewhere else "lax"
    secure = posted_from_elsewhere or name.startswith(_HOST)
    response.set_cookie(name, value, max_age=seconds, path="/", secure=secure, httponly=True, samesite=site)


def drop(response: Response, name: str) -> None:
    """Have the browser forget a cookie."""
    put(response, name, "", 0)
