"""Who calls: bearer tokens verified on every call. The only place where a ``Principal`` comes into being."""

from countersign.identity.errors import IdentityUnavailable, Unidentified
from countersign.identity.tokens import SignedIn, TokenVerifier

__all__ = ["IdentityUnavailable", "SignedIn", "TokenVerifier", "Unidentified"]
