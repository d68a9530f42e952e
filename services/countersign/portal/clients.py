"""Programs that may ask for tokens, and where their codes may be sent (RFC 8252, RFC 9700 section 2.1)."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from countersign.config.types import BUILT_IN_CLIENT, Portal, PortalClient

CALLBACK = "/callback"
"""Where `countersign login` waits for its code, on its own machine."""
_BUILT_IN = PortalClient(BUILT_IN_CLIENT, (f"http://127.0.0.1{CALLBACK}", f"http://[::1]{CALLBACK}"))
# RFC 8252, section 7.3: any port, by the address; `localhost` may be another machine's name (section 8.3).
_LOOPBACK = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]))(?::([0-9]{1,5}))?(/[!-~]*)?")
_MOST_CHARACTERS = 500


def client_of(portal: Portal, client_id: str) -> PortalClient | None:
    """Return the program of this id; ``None`` when gateway.yaml has none."""
    return next((one for one in (_BUILT_IN, *portal.clients) if one.client_id == client_id), None)


def may_be_sent_to(client: PortalClient, uri: str) -> bool:
    """Whether codes for ``client`` may be sent to ``uri``: character for character, but for the port on loopback."""
    if len(uri) > _MOST_CHARACTERS:
        return False
    if uri in client.redirect_uris:
        return True
    asked = _loopback(uri)
    return asked is not None and asked in {_loopback(one) for one in client.redirect_uris}


def origin_of(uri: str) -> str:
    """Return where a redirect URI leads, as a source of a Content-Security-Policy."""
    parts = urlsplit(uri)
    # Such a policy has no way to write addresses of IPv6.
    return "http:" if parts.hostname == "::1" else f"{parts.scheme}://{parts.netloc}"


def _loopback(uri: str) -> tuple[str, str] | None:
    found = _LOOPBACK.fullmatch(uri)
    if found is None or (found[2] is not None and not 0 < int(found[2]) < 1 << 16):
        return None
    return found[1], found[3] or ""
