"""Tokens as the issuers that companies run make them, signed by keys of the tests; and bad ones, by their defects."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm, get_default_algorithms

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
Claims = dict[str, object]

TENANT = "6f0c1d0e-7a4d-4d8b-9c3e-2a1b0c9d8e7f"
APP = "a1b2c3d4-0000-4111-8222-333344445555"
OKTA = "https://acme.okta.com/oauth2/default"
ENTRA_1 = f"https://sts.windows.net/{TENANT}/"
ENTRA_2 = f"https://login.microsoftonline.com/{TENANT}/v2.0"
GOOGLE = "https://accounts.google.com"
KEYCLOAK = "https://sso.acme.example/realms/acme"
AUTH0 = "https://acme.eu.auth0.com/"
GITHUB = "https://token.actions.githubusercontent.com"
GITLAB = "https://gitlab.com"
KUBERNETES = "https://kubernetes.default.svc.cluster.local"
SPIFFE = "https://spiffe.acme.example"
GOOGLE_CLIENT = "1234567890-abc.apps.googleusercontent.com"

# As docs/identity.md shows them.
ISSUERS: tuple[Mapping[str, object], ...] = (
    {"issuer": OKTA, "clock_skew": "30s"},
    {"issuer": ENTRA_1},
    {"issuer": ENTRA_2, "groups": "roles", "subject": "oid", "audiences": [f"api://{APP}", APP]},
    {
        "issuer": GOOGLE,
        "subject": "email",
        "audiences": [GOOGLE_CLIENT],
        "id_tokens": True,
        "required": {"hd": "acme.example", "email_verified": True},
    },
    {"issuer": KEYCLOAK, "groups": "realm_access.roles", "algorithms": ["RS256"]},
    {"issuer": AUTH0, "groups": "https://acme.example/groups"},
    {"issuer": GITHUB, "only_machines": True},
    {"issuer": GITLAB, "only_machines": True},
    {"issuer": KUBERNETES, "only_machines": True},
    {"issuer": SPIFFE, "only_machines": True, "algorithms": ["ES256", "RS256"]},
)
MACHINES: Mapping[str, Mapping[str, object]] = {
    "payments-ci": {
        "issuer": GITHUB,
        "claims": {"repository": "acme/payments", "ref": "refs/heads/main"},
        "groups": ["ci"],
    },
    "payments-release": {
        "issuer": GITHUB,
        "claims": {"repository": "acme/payments", "environment": "production"},
        "groups": ["ci", "release"],
    },
    "ledger-ci": {
        "issuer": GITLAB,
        "claims": {"project_path": "acme/ledger", "ref_protected": True, "ref": ["main", "release-*"]},
        "groups": ["ci"],
    },
    "deployer": {
        "issuer": KUBERNETES,
        "claims": {"kubernetes.io.namespace": "payments", "kubernetes.io.serviceaccount.name": "deployer"},
    },
    "reports": {"issuer": SPIFFE, "claims": {"sub": "spiffe://acme.example/ns/reports/sa/*"}, "groups": ["batch"]},
}


@dataclass(frozen=True)
class Key:
    """A private key and how it is published."""

    algorithm: str
    kid: str
    private: Private
    published: Mapping[str, object] = field(default_factory=dict)

    def jwk(self) -> dict[str, object]:
        """Its public half (RFC 7517)."""
        public = self.private.public_key()
        made: Mapping[str, object]
        if isinstance(public, rsa.RSAPublicKey):
            made = RSAAlgorithm.to_jwk(public, as_dict=True)
        elif isinstance(public, ec.EllipticCurvePublicKey):
            made = ECAlgorithm.to_jwk(public, as_dict=True)
        else:
            made = OKPAlgorithm.to_jwk(public, as_dict=True)
        return {**{name: each for name, each in made.items() if name != "key_ops"}, "kid": self.kid, **self.published}


def rsa_key(kid: str, bits: int = 2048, algorithm: str = "RS256", **published: object) -> Key:
    """A key for RSA, which need not be a strong one."""
    return Key(algorithm, kid, rsa.generate_private_key(public_exponent=65537, key_size=bits), published)


def ec_key(kid: str, curve: ec.EllipticCurve | None = None, algorithm: str = "ES256", **published: object) -> Key:
    """A key on P-256, or on another curve."""
    return Key(algorithm, kid, ec.generate_private_key(curve or ec.SECP256R1()), published)


def ed_key(kid: str) -> Key:
    """A key for EdDSA."""
    return Key("EdDSA", kid, ed25519.Ed25519PrivateKey.generate())


class Minted:
    """What all issuers sign by: keys of each kind, the same for all of them, as only ``iss`` tells them apart here."""

    def __init__(self) -> None:
        self.rs = rsa_key("rs", use="sig")
        self.ps = Key("PS256", "ps", self.rs.private)
        self.es = ec_key("es", alg="ES256")
        self.ed = ed_key("ed")
        self.weak = rsa_key("weak", 1024)
        self.p384 = ec_key("p384", ec.SECP384R1())
        self.enc = Key("RS256", "enc", self.rs.private, {"use": "enc"})
        self.bound = ec_key("bound", ec.SECP384R1(), "ES384", alg="ES384")
        self.stranger = ec_key("stranger")

    def jwks(self) -> dict[str, object]:
        """The published keys; one is symmetric, which no issuer should publish, and none of ours may use."""
        known = (self.rs, self.ps, self.es, self.ed, self.weak, self.p384, self.enc, self.bound)
        symmetric = {"kty": "oct", "kid": "sym", "alg": "HS256", "k": text(b"k" * 32)}
        return {"keys": [*(key.jwk() for key in known), symmetric]}

    def sign(self, claims: Mapping[str, object], *, key: Key | None = None, **header: object) -> str:
        """A token of these claims; what is ``None`` in the claims or the header is left out."""
        signer = key or self.es
        head = {"alg": signer.algorithm, "kid": signer.kid, **header}
        return signed(signer, _without_none(head), _without_none(claims))


@cache
def minted() -> Minted:
    """The same keys for all tests of a process: to make them takes long."""
    return Minted()


def signed(key: Key, header: Mapping[str, object], claims: Mapping[str, object]) -> str:
    """A token of exactly this header and these claims."""
    return signed_text(key, json.dumps(header), json.dumps(claims))


def signed_text(key: Key, header: str, claims: str) -> str:
    """A token of texts, which need not be JSON."""
    message = f"{text(header.encode())}.{text(claims.encode())}"
    return f"{message}.{text(get_default_algorithms()[key.algorithm].sign(message.encode(), key.private))}"


def text(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def times(life_s: int = 3_600) -> Claims:
    """``iat`` and ``exp`` of a token that was issued now."""
    now = int(time.time())
    return {"iat": now, "exp": now + life_s}


def okta(audience: str, **changed: object) -> Claims:
    """A custom authorization server's access token: no ``nbf``."""
    return {
        "ver": 1,
        "jti": f"AT.{uuid.uuid4().hex}",
        "iss": OKTA,
        "aud": audience,
        **times(),
        "cid": "0oa1client",
        "uid": "00u1user",
        "scp": ["orders"],
        "auth_time": int(time.time()) - 60,
        "sub": "alice@acme.example",
        "groups": ["Everyone", "analysts"],
        **changed,
    }


def entra_1(audience: str, **changed: object) -> Claims:
    """An access token of version 1.0: groups by their ids."""
    now = int(time.time())
    return {
        "aud": audience,
        "iss": ENTRA_1,
        **times(),
        "nbf": now,
        "acr": "1",
        "aio": "AXQAi",
        "amr": ["pwd", "mfa"],
        "appid": APP,
        "appidacr": "0",
        "ipaddr": "192.0.2.7",
        "name": "Alice",
        "oid": "11111111-2222",
        "rh": "0.A",
        "scp": "orders.read",
        "sub": "pairwise-1",
        "tid": TENANT,
        "unique_name": "alice@acme.example",
        "upn": "alice@acme.example",
        "uti": uuid.uuid4().hex,
        "ver": "1.0",
        "groups": ["3f2e1d00-aaaa-4bbb-8ccc-000000000001"],
        **changed,
    }


def entra_2(**changed: object) -> Claims:
    """An access token of version 2.0: the audience is the application's id, roles are those that it defines."""
    now = int(time.time())
    return {
        "aud": APP,
        "iss": ENTRA_2,
        **times(),
        "nbf": now,
        "aio": "AXQAi",
        "azp": "caller-app",
        "azpacr": "0",
        "name": "Alice",
        "oid": "11111111-2222",
        "preferred_username": "alice@acme.example",
        "rh": "0.A",
        "roles": ["Orders.Read"],
        "scp": "access",
        "sub": "pairwise-2",
        "tid": TENANT,
        "uti": uuid.uuid4().hex,
        "ver": "2.0",
        **changed,
    }


def google(**changed: object) -> Claims:
    """An ID token, the only JWT that Google gives to people's applications."""
    return {
        "iss": GOOGLE,
        "azp": GOOGLE_CLIENT,
        "aud": GOOGLE_CLIENT,
        "sub": "110169484474386276334",
        **times(),
        "hd": "acme.example",
        "email": "alice@acme.example",
        "email_verified": True,
        "at_hash": "HK6E_P6Dh8Y93mRN",
        "name": "Alice",
        "given_name": "Alice",
        "nonce": "n-0S6",
        **changed,
    }


def keycloak(audience: str, **changed: object) -> Claims:
    """An access token: what it is for, it says in the claim ``typ``."""
    return {
        **times(300),
        "auth_time": int(time.time()) - 60,
        "jti": f"onrtac:{uuid.uuid4()}",
        "iss": KEYCLOAK,
        "aud": [audience, "account"],
        "sub": "f8f7e2c5-0d2e-4f29-8f57-000000000001",
        "typ": "Bearer",
        "azp": "console",
        "sid": "8d5c3c1e-session",
        "acr": "1",
        "allowed-origins": ["*"],
        "realm_access": {"roles": ["offline_access", "analysts"]},
        "scope": "openid profile",
        "resource_access": {"account": {"roles": ["manage-account"]}},
        "preferred_username": "alice",
        **changed,
    }


def auth0(audience: str, **changed: object) -> Claims:
    """An access token: claims of one's own have names of one's own."""
    return {
        "iss": AUTH0,
        "sub": "auth0|64f1",
        "aud": [audience, f"{AUTH0}userinfo"],
        **times(),
        "azp": "spa-client",
        "scope": "openid orders",
        "https://acme.example/groups": ["analysts"],
        **changed,
    }


def github(audience: str, **changed: object) -> Claims:
    """What a workflow's job gets."""
    now = int(time.time())
    return {
        "jti": str(uuid.uuid4()),
        "sub": "repo:acme/payments:ref:refs/heads/main",
        "aud": audience,
        "iss": GITHUB,
        "nbf": now - 300,
        "iat": now,
        "exp": now + 300,
        "ref": "refs/heads/main",
        "sha": "f1d2d2f924e986ac86fdf7b3",
        "repository": "acme/payments",
        "repository_owner": "acme",
        "repository_owner_id": "65",
        "run_id": "30433642",
        "repository_visibility": "private",
        "repository_id": "74",
        "actor": "alice",
        "workflow": "CI",
        "head_ref": "",
        "ref_protected": "true",
        "ref_type": "branch",
        "event_name": "push",
        "runner_environment": "github-hosted",
        "job_workflow_ref": "acme/payments/.github/workflows/ci.yml@refs/heads/main",
        **changed,
    }


def gitlab(audience: str, **changed: object) -> Claims:
    """What a pipeline's job gets by `id_tokens`."""
    now = int(time.time())
    return {
        "namespace_id": "72",
        "namespace_path": "acme",
        "project_id": "20",
        "project_path": "acme/ledger",
        "user_login": "alice",
        "user_email": "alice@acme.example",
        "pipeline_source": "push",
        "job_id": "302",
        "ref": "main",
        "ref_type": "branch",
        "ref_protected": "true",
        "runner_environment": "self-hosted",
        "iss": GITLAB,
        "iat": now,
        "nbf": now - 5,
        "exp": now + 3_600,
        "aud": audience,
        "jti": str(uuid.uuid4()),
        "sub": "project_path:acme/ledger:ref_type:branch:ref:main",
        **changed,
    }


def kubernetes(audience: str, **changed: object) -> Claims:
    """A projected token of a service account."""
    now = int(time.time())
    about = {
        "namespace": "payments",
        "pod": {"name": "deployer-7d9f", "uid": "5fb8c8a2"},
        "serviceaccount": {"name": "deployer", "uid": "14ee3fa4"},
        "warnafter": now + 3_607,
    }
    return {
        "aud": [audience],
        **times(),
        "iss": KUBERNETES,
        "jti": str(uuid.uuid4()),
        "kubernetes.io": about,
        "nbf": now,
        "sub": "system:serviceaccount:payments:deployer",
        **changed,
    }


def spiffe(audience: str, **changed: object) -> Claims:
    """A JWT-SVID of a SPIRE server that says its issuer (`jwt_issuer`)."""
    return {
        "sub": "spiffe://acme.example/ns/reports/sa/nightly",
        "aud": [audience],
        **times(300),
        "iss": SPIFFE,
        **changed,
    }


def _without_none(given: Mapping[str, object]) -> Claims:
    return {name: value for name, value in given.items() if value is not None}
