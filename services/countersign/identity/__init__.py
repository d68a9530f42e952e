"""Who calls: bearer tokens verified on every call. The only place where a ``Principal`` comes into being."""

from countersign.identity.errors import IdentityUnavailable, Unidentified
from countersign.identity.own import OwnKeys
from countersign.identity.tokens import SignedIn, TokenVerifier

__all__ = ["IdentityUnavailable", "OwnKeys", "SignedIn", "TokenVerifier", "Unidentified"]
