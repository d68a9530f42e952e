"""Which URLs gateway.yaml may hold (RFC 3986), and why not others."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

_URL_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+\Z")
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*\Z")
_DEFAULT_PORTS = {"http": 80, "https": 443}
# What was installed has a scheme of its own; files have no origin, and these would stand for all of them.
_INSTALLED = re.compile(r"(?!file:|data:|blob:|javascript:|about:)[a-z][a-z0-9+.-]{1,40}://[a-z0-9][a-z0-9._-]{0,252}")


class BadUrl(Exception):
    """A URL that is not taken. No part of it is repeated: it may hold a credential."""

    def __init__(self, what: str, remedy: str) -> None:
        self.what = what
        self.remedy = remedy
        super().__init__(what)


def gateway(url: str) -> str:
    """The gateway's own URL: an origin, in the one spelling that every client derives from it. Raises ``BadUrl``."""
    parts = _protected(url)
    if parts.path:
        raise BadUrl("the gateway's URL has a path or a slash at its end", "end it after the host or port")
    if parts.netloc != parts.netloc.lower() or not url.startswith(f"{parts.scheme}://"):
        raise BadUrl("the gateway's URL has capital letters", "write it in small letters, as clients do")
    if parts.port == _DEFAULT_PORTS[parts.scheme]:
        raise BadUrl("the gateway's URL names the port that its scheme has anyway", "remove the port, as clients do")
    return url


def host(text: str) -> str:
    """A name under which the gateway is reached, as callers write it in ``Host``: host, or host:port.

    Raises ``BadUrl``.
    """
    remedy = "write the host, and its port if callers do, such as gateway.internal:8080"
    if "://" in text or "/" in text or "@" in text or "?" in text or "#" in text:
        raise BadUrl("this is no host", remedy)
    if text != text.lower():
        raise BadUrl("the host has capital letters", "write it in small letters")
    if "*" in text:
        raise BadUrl("a wildcard would take names that others own", "name each host in full")
    try:
        _split(f"http://{text}")
    except BadUrl:
        raise BadUrl("this is no host", remedy) from None
    return text


def page_origin(url: str) -> str:
    """An origin of web pages as browsers write it in ``Origin`` (RFC 6454, section 6.2). Raises ``BadUrl``.

    Also that of what a browser or an editor has installed, such as ``chrome-extension://ID``.
    """
    remedy = "write scheme, host and port as browsers do, such as https://inspector.example.com"
    if "*" in url or url == "null":
        raise BadUrl("this would take pages that others own", "name each origin in full")
    scheme = url.partition("://")[0]
    if scheme not in _DEFAULT_PORTS:
        if not _INSTALLED.fullmatch(url):
            raise BadUrl("this is no origin", remedy)
        return url
    parts = _protected(url)
    if parts.path or url != url.lower() or parts.port == _DEFAULT_PORTS[scheme]:
        raise BadUrl("this is not how browsers write an origin", remedy)
    return url


def issuer(url: str) -> str:
    """An OpenID Connect issuer, byte for byte as tokens state it (OIDC Discovery, section 3). Raises ``BadUrl``."""
    _protected(url)
    return url


def target(url: str, *, has_credential: bool) -> str:
    """A target's endpoint. A credential never travels in clear, except on this machine. Raises ``BadUrl``."""
    parts = _split(url)
    if parts.query or "?" in url:
        raise BadUrl("the URL has a query", f"remove it; a key belongs in `credential`, {_BY_REFERENCE}")
    if parts.scheme == "http" and has_credential and not is_loopback(parts.hostname or ""):
        raise BadUrl("the credential would travel unencrypted", "use https://, or a target on this machine")
    return url


def otlp(url: str) -> str:
    """An OTLP/HTTP endpoint: scheme, host and port. Raises ``BadUrl``."""
    parts = _split(url)
    if parts.path not in ("", "/") or "?" in url:
        raise BadUrl("the endpoint has a path or a query", "OTLP over HTTP needs scheme, host and port only")
    return url


def endpoint(url: str) -> str:
    """Where notifications go: they never travel in clear, except on this machine. Raises ``BadUrl``."""
    _protected(url)
    return url


def secret(url: str) -> str:
    """A URL that is a credential itself, by its query or its path. Raises ``BadUrl``."""
    _encrypted(_split(url))
    return url


def redirect(url: str) -> str:
    """Where a browser is sent with a code (RFC 8252, section 7): https, or this machine by its address.

    Raises ``BadUrl``.
    """
    parts = _split(url)
    _encrypted(parts)
    if parts.hostname == "localhost":
        raise BadUrl("`localhost` may be another machine's name", "write http://127.0.0.1 or http://[::1]")
    return url


def is_host(host: str) -> bool:
    """Whether this is a host name or an address."""
    return _is_host(host.lower())


def is_loopback(host: str) -> bool:
    """Whether the host can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a URL that was taken."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or _DEFAULT_PORTS[parts.scheme]


_BY_REFERENCE = "by {env: NAME} or {file: path}"


def _protected(url: str) -> SplitResult:
    """A URL that others build trust on: encrypted unless local, and without a query."""
    parts = _split(url)
    if "?" in url:
        raise BadUrl("the URL has a query", "remove it")
    _encrypted(parts)
    return parts


def _encrypted(parts: SplitResult) -> None:
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise BadUrl("http:// is for hosts on this machine only", "use https://")


def _split(url: str) -> SplitResult:
    if not _URL_CHARACTERS.match(url):
        raise BadUrl("the URL holds spaces or characters that must be escaped", "escape or remove them")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadUrl("this is no URL", "write scheme, host and path, such as https://example.com/mcp") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise BadUrl("the URL starts with neither https:// nor http://", "write it in full")
    if not parts.hostname or port == 0 or parts.netloc.endswith(":"):
        raise BadUrl("the URL has no host, or no usable port", "write it in full, such as https://example.com/mcp")
    if "@" in parts.netloc:
        raise BadUrl(
            "the URL holds a user name or password", f"remove it; a key belongs in `credential`, {_BY_REFERENCE}"
        )
    if "#" in url:
        raise BadUrl("the URL has a fragment", "remove # and what follows")
    if not _is_host(parts.hostname):
        raise BadUrl("the URL's host is no host name or address", "use letters, digits, hyphens and dots")
    if {"..", "."} & set(parts.path.split("/")) or "//" in parts.path:
        raise BadUrl("the URL's path has empty or dotted segments", "write the path that is meant")
    return parts


def _is_host(host: str) -> bool:
    if ":" in host:
        try:
            return ipaddress.IPv6Address(host).scope_id is None
        except ValueError:
            return False
    return len(host) <= 253 and bool(_HOST.match(host))
