"""Who calls: bearer tokens verified on every call. The only place where a ``Principal`` comes into being."""

from countersign.authz.identity.errors import IdentityUnavailable, Unidentified
from countersign.authz.identity.tokens import TokenVerifier

__all__ = ["IdentityUnavailable", "TokenVerifier", "Unidentified"]
