"""The portal in gateway.yaml: what it says is read, and what would let in others than meant is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from countersign.config import SecretUse, load
from countersign.config.types import LogoutSource, PortalClient, SignInClient
from tests.unit.config.files import loaded, refused

HEAD = """\
version: 1
gateway: {url: "https://mcp.example.com"}
identity: {oidc: [{issuer: "https://login.example.com"}]}
targets: {orders: {mcp: "https://orders.example/mcp"}}
rules: [{name: base, allow: {groups: [base]}}]
"""
SIGN_IN = "{issuer: 'https://login.example.com', client_id: portal}"
ENV = {"PORTAL_SECRET": "portal-" + "secret", "SIGNALS_TOKEN": "signals-" + "token"}


def portal(section: str) -> str:
    return f"{HEAD}portal: {{{section}}}\n"


def certificate(path: Path, key: ec.EllipticCurvePrivateKey | None = None) -> str:
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "idp")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .sign(key, SHA256())
        .public_bytes(Encoding.PEM)
    )
    path.write_bytes(made)
    return made.decode()


def test_that_a_weak_key_of_an_identity_provider_is_refused(tmp_path: Path) -> None:
    certificate(tmp_path / "idp.pem", ec.generate_private_key(ec.SECP192R1()))
    saml = "{name: corp, entity_id: 'urn:idp', sso_url: 'https://idp.example/sso', certificates: [idp.pem]}"
    assert "too weak" in str(refused(tmp_path, portal(f"saml: [{saml}]")))


def test_what_stands_there_is_what_services_use(tmp_path: Path) -> None:
    pem = certificate(tmp_path / "idp.pem")
    saml = "{name: corp, entity_id: 'urn:idp', sso_url: 'https://idp.example/sso?x=1', certificates: [idp.pem]}"
    sign_in = "{issuer: 'https://login.example.com', client_id: portal, client_secret: {env: PORTAL_SECRET}}"
    client = "{client_id: editor, redirect_uris: ['http://127.0.0.1/back', 'https://editor.example/back']}"
    signals = (
        "{issuer: 'https://ssf.example', audience: us, subjects_of: 'urn:idp', "
        "jwks: 'https://ssf.example/jwks', token: {env: SIGNALS_TOKEN}}"
    )
    file = tmp_path / "gateway.yaml"
    file.write_text(
        portal(
            f"token: 5m, session: 1h, keys: {{every: 7d, generation: 3}}, oidc: [{sign_in}], saml: [{saml}], "
            f"clients: [{client}], logout: [{SIGN_IN}], signals: [{signals}]"
        )
    )
    config = load(file, ENV)
    found = config.portal
    assert found is not None
    assert (found.token_s, found.session_s, found.key_s, found.key_generation) == (300, 3600, 7 * 86_400, 3)
    assert found.oidc[0].client_secret is not None
    assert found.oidc[0].client_secret.reveal() == ENV["PORTAL_SECRET"]
    assert found.saml[0].certificates == (pem,)
    assert found.clients == (PortalClient("editor", ("http://127.0.0.1/back", "https://editor.example/back")),)
    assert found.logouts == (LogoutSource("https://login.example.com", "portal"),)
    assert found.signals[0].token is not None
    assert config.variables[SecretUse.PORTAL] == {"PORTAL_SECRET", "SIGNALS_TOKEN"}


def test_other_services_do_not_read_its_credentials(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    sign_in = "{issuer: 'https://login.example.com', client_id: portal, client_secret: {env: NOT_SET}}"
    file.write_text(portal(f"oidc: [{sign_in}]"))
    found = load(file, {}, reads={SecretUse.TARGETS}).portal
    assert found is not None
    assert found.oidc[0].client_secret is not None
    with pytest.raises(PermissionError):
        found.oidc[0].client_secret.reveal()


def test_without_the_section_there_is_none_and_its_defaults_are_short(tmp_path: Path) -> None:
    assert loaded(tmp_path, HEAD).portal is None
    found = loaded(tmp_path, portal(f"oidc: [{SIGN_IN}]")).portal
    assert found is not None
    assert (found.token_s, found.session_s) == (600, 8 * 3600)
    assert found.oidc == (SignInClient("https://login.example.com", "portal"),)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("token: 10m", "nobody could sign in"),
        (f"oidc: [{SIGN_IN}], token: 2h", "too long"),
        (f"oidc: [{SIGN_IN}], session: 90d", "too long"),
        (f"oidc: [{SIGN_IN}], keys: {{every: 1h}}", "too short"),
        (f"oidc: [{SIGN_IN}, {SIGN_IN}]", "stands twice"),
        ("oidc: [{issuer: 'https://evil.example', client_id: x}]", "none of the issuers"),
        (f"oidc: [{SIGN_IN}], logout: [{{issuer: 'https://evil.example', client_id: x}}]", "none of the issuers"),
        (
            f"oidc: [{SIGN_IN}], clients: [{{client_id: countersign-cli, redirect_uris: ['https://x.example/']}}]",
            "anyway",
        ),
        (f"oidc: [{SIGN_IN}], clients: [{{client_id: x, redirect_uris: ['http://x.example/']}}]", "on this machine"),
        (f"oidc: [{SIGN_IN}], clients: [{{client_id: x, redirect_uris: ['http://localhost/b']}}]", "another machine"),
        (f"oidc: [{SIGN_IN}], clients: [{{client_id: x, redirect_uris: ['https://u@x.example/']}}]", "user name"),
        (f"oidc: [{SIGN_IN}], clients: [{{client_id: x, redirect_uris: ['https://x.example/#a']}}]", "fragment"),
        (
            (
                "saml: [{name: corp, entity_id: 'https://login.example.com', sso_url: 'https://i.example', "
                "certificates: [none.pem]}]"
            ),
            "that of another provider",
        ),
        ("saml: [{name: ../x, entity_id: i, sso_url: 'https://i.example', certificates: [none.pem]}]", "usable name"),
        (
            (
                f"oidc: [{SIGN_IN}], signals: [{{issuer: 'https://s.example', audience: us, "
                "subjects_of: 'https://evil.example', jwks: 'https://s.example/jwks'}]"
            ),
            "whose principals",
        ),
        (
            (
                f"oidc: [{SIGN_IN}], signals: [{{issuer: 'https://s.example', audience: us, "
                "subjects_of: 'https://login.example.com', jwks: 'http://s.example/jwks'}]"
            ),
            "on this machine",
        ),
    ],
)
def test_what_would_let_in_others_than_meant_is_refused(tmp_path: Path, section: str, said: str) -> None:
    assert said in str(refused(tmp_path, portal(section)))


def test_no_two_issuers_send_browsers_back_to_one_place(tmp_path: Path) -> None:
    issuers = [f"https://login.example.com/realms/{realm}" for realm in ("eu_1", "eu-1")]
    head = HEAD.replace('{issuer: "https://login.example.com"}', ", ".join(f"{{issuer: '{one}'}}" for one in issuers))
    section = ", ".join(f"{{issuer: '{one}', client_id: portal}}" for one in issuers)
    assert "is that of" in str(refused(tmp_path, f"{head}portal: {{oidc: [{section}]}}\n"))
