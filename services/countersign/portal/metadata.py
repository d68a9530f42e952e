"""What programs find out about the portal by themselves (RFC 8414, OpenID Connect Discovery 1.0)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from countersign.identity.portal_keys import ALGORITHM

OPENID_PATH = "/portal/.well-known/openid-configuration"
OAUTH_PATH = "/.well-known/oauth-authorization-server/portal"
"""RFC 8414, section 3.1: the well-known part comes before the issuer's path."""


OTHER_OPENID_PATH = "/.well-known/openid-configuration/portal"
"""What clients try besides."""


def metadata(url: str, grant_types: Callable[[], Sequence[str]]) -> dict[str, object]:
    """Return the document of the portal of the gateway at ``url``."""
    issuer = f"{url}/portal"
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "device_authorization_endpoint": f"{issuer}/device_authorization",
        "revocation_endpoint": f"{issuer}/revoke",
        "jwks_uri": f"{issuer}/jwks",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(grant_types()),
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "authorization_response_iss_parameter_supported": True,
        # No ID tokens are issued: these two stand here because the document must have them.
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
    }
