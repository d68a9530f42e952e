"""Times as SAML writes them (core, section 1.3.3): in UTC, to the second or finer."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from countersign.portal.saml.document import Element
from countersign.portal.saml.refused import SamlRefused

SKEW_S = 60
"""How far a provider's clock may be from ours, seconds."""

_INSTANT = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,9})?Z")


def instant(element: Element, attribute: str) -> float | None:
    """Return an attribute's time in seconds since the epoch, ``None`` without it. Raises ``SamlRefused`` for others."""
    stated = element.get(attribute)
    if stated is None:
        return None
    fitting = _INSTANT.fullmatch(stated)
    try:
        if fitting is None:
            raise ValueError
        whole = datetime.fromisoformat(fitting[1]).replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise SamlRefused(f"{attribute} is not a time in UTC") from None
    return whole + float(fitting[2] or 0)


def within(element: Element, what: str, now_s: float) -> float | None:
    """Return when ``element`` ends, ``None`` if never. Raises ``SamlRefused`` before its start and from its end on."""
    start, end = instant(element, "NotBefore"), instant(element, "NotOnOrAfter")
    if start is not None and now_s < start - SKEW_S:
        raise SamlRefused(f"{what} is not good before {written(start)}")
    if end is not None and now_s >= end + SKEW_S:
        raise SamlRefused(f"{what} expired at {written(end)}")
    return end


def written(now_s: float) -> str:
    """Return a time as SAML writes it, to the second."""
    return f"{datetime.fromtimestamp(int(now_s), UTC):%Y-%m-%dT%H:%M:%S}Z"
