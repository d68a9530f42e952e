"""Cookies as browsers keep them: what is Secure goes to one's own machine without TLS, too."""

from __future__ import annotations

from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx


class BrowserCookies:
    """For one client, as hooks: httpx's own cookies do without what is Secure."""

    def __init__(self) -> None:
        self._kept = httpx.Cookies(CookieJar(DefaultCookiePolicy(secure_protocols=("https", "http"))))

    def show(self, request: httpx.Request) -> None:
        """Put on a request what is kept for it."""
        request.headers.pop("cookie", None)
        self._kept.set_cookie_header(request)

    def take(self, response: httpx.Response) -> None:
        """Keep what an answer sets."""
        self._kept.extract_cookies(response)
