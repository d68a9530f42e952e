"""What gateway.yaml says that targets are shown; what would load and not protect is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from countersign.config import Secret, SecretUse, load
from countersign.config.types_credentials import (
    Asked,
    Basic,
    Bearer,
    ClientCredentials,
    Credential,
    IdJag,
    Kubernetes,
    Stated,
    Stored,
    TokenExchange,
    Vault,
    VaultLogin,
)
from tests.unit.config.files import ENV, GOOD, TOKEN, edited, loaded, refused

BEARER = "{bearer: {env: ORDERS_TOKEN}}"
CLIENT = 'token_url: "https://idp.test/token", client_id: gateway'
SECRET = "client_secret: {env: ORDERS_TOKEN}"
STORES = """
secret_stores:
  main: {vault: {address: "https://vault.test:8200", mount: kv, token: {env: ORDERS_TOKEN}}}
  roles: {vault: {address: "https://vault.test", approle: {role_id: r, secret_id: {env: ORDERS_TOKEN}}}}
  pods: {vault: {address: "https://vault.test", kubernetes: {role: r}}}
  cluster: {kubernetes: {namespace: apps}}
"""
STATED = Stated(Secret(TOKEN))


def shown(folder: Path, credential: str, more: str = "") -> Credential:
    found = loaded(folder, edited(BEARER, credential) + more).targets["orders"].credential
    assert found is not None
    return found


def problems(folder: Path, credential: str, more: str = "") -> list[str]:
    return [problem.what for problem in refused(folder, edited(BEARER, credential) + more)]


def test_headers_and_passwords_are_taken(tmp_path: Path) -> None:
    found = shown(
        tmp_path, "{basic: {username: u, password: {env: ORDERS_TOKEN}}, headers: {X-Api-Key: {env: ORDERS_TOKEN}}}"
    )
    assert found == Credential(Basic("u", STATED), {"x-api-key": STATED})
    assert not found.renewable


def test_a_client_of_an_authorization_server_is_taken(tmp_path: Path) -> None:
    found = shown(tmp_path, f"{{oauth: {{{CLIENT}, {SECRET}, scopes: [read, write], client_secret_in: form}}}}")
    assert isinstance(found.how, ClientCredentials)
    assert found.how.asked == Asked(("read", "write"))
    assert found.how.client.in_form
    assert found.renewable


def test_an_exchange_is_taken(tmp_path: Path) -> None:
    found = shown(tmp_path, f'{{exchange: {{{CLIENT}, {SECRET}, audience: crm, resource: "https://crm.test/"}}}}')
    assert isinstance(found.how, TokenExchange)
    assert found.how.subject_token_type == "urn:ietf:params:oauth:token-type:access_token"
    assert found.how.asked == Asked((), "https://crm.test/", "crm")


def test_an_identity_assertion_is_taken(tmp_path: Path) -> None:
    both = f"identity_provider: {{{CLIENT}, {SECRET}}}, authorization_server: {{{CLIENT}, {SECRET}}}"
    found = shown(tmp_path, f'{{id_jag: {{{both}, issuer: "https://as.test"}}}}')
    assert isinstance(found.how, IdJag)
    assert found.how.asked.audience == "https://as.test"
    assert found.how.subject_token_type.endswith(":id_token")


def test_secrets_are_kept_in_stores(tmp_path: Path) -> None:
    for name, store in {
        "main": Vault("https://vault.test:8200", "kv", STATED),
        "roles": Vault("https://vault.test", "secret", VaultLogin("approle", "r", STATED, approle=True)),
    }.items():
        found = shown(tmp_path, f"{{bearer: {{store: {name}, path: crm/api, key: token, fresh_for: 1m}}}}", STORES)
        assert found.how == Bearer(Stored(store, "crm/api", "token", 60.0))
        assert found.renewable
        assert found.stores == {store}
    found = shown(tmp_path, "{bearer: {store: cluster, path: crm, key: token}}", STORES)
    assert isinstance(found.how, Bearer)
    assert isinstance(found.how.token, Stored)
    assert isinstance(found.how.token.store, Kubernetes)
    assert found.how.token.store.token.mounted
    pods = shown(tmp_path, "{bearer: {store: pods, path: crm, key: token}}", STORES)
    # What was not edited is the same after an edit.
    assert pods == shown(tmp_path, "{bearer: {store: pods, path: crm, key: token}}", STORES)


def test_authz_is_given_all_variables_and_nobody_else_reads_them(tmp_path: Path) -> None:
    credential = "{oauth: {%s, client_secret: {env: OAUTH_SECRET}}, headers: {X-Api-Key: {env: API_KEY}}}" % CLIENT  # noqa: UP031 - braces
    text = edited(BEARER, credential) + STORES
    file = tmp_path / "gateway.yaml"
    file.write_text(text)
    config = load(file, {}, reads=frozenset())
    assert config.variables[SecretUse.TARGETS] == {"OAUTH_SECRET", "API_KEY", "ORDERS_TOKEN"}


@pytest.mark.parametrize(
    ("credential", "what"),
    [
        ("{}", "says nothing to show"),
        ("{bearer: {env: ORDERS_TOKEN}, basic: {username: u, password: {env: ORDERS_TOKEN}}}", "cannot both authorize"),
        ("{basic: {username: 'a:b', password: {env: ORDERS_TOKEN}}}", "colon"),
        ("{bearer: {env: ORDERS_TOKEN}, headers: {Authorization: {env: ORDERS_TOKEN}}}", "said twice"),
        ("{headers: {X-Key: {env: ORDERS_TOKEN}, x-key: {env: ORDERS_TOKEN}}}", "said twice"),
        ('{headers: {"X-Key: a\\r\\nX-Admin": {env: ORDERS_TOKEN}}}', "no name of a header"),
        (f"{{oauth: {{{CLIENT}}}}}", "one of `client_secret` and `private_key`"),
        (f"{{oauth: {{{CLIENT}, {SECRET}, private_key: {{env: ORDERS_TOKEN}}}}}}", "one of `client_secret`"),
        (f"{{oauth: {{{CLIENT}, private_key: {{env: ORDERS_TOKEN}}}}}}", "no private key"),
        (f"{{oauth: {{{CLIENT}, {SECRET}, client_secret_in: query}}}}", "cannot go in `query`"),
        (f"{{oauth: {{{CLIENT}, {SECRET}, scopes: ['a b']}}}}", "no scope"),
        (f'{{oauth: {{{CLIENT}, {SECRET}, resource: "http://crm.test/"}}}}', "http://"),
        (f'{{oauth: {{token_url: "http://idp.test/token", client_id: g, {SECRET}}}}}', "http://"),
        (f'{{oauth: {{token_url: "https://u:p@idp.test/token", client_id: g, {SECRET}}}}}', "user name or password"),
        (f"{{exchange: {{{CLIENT}, {SECRET}, subject_token_type: saml2}}}}", "no kind of token"),
        ("{bearer: {store: other, path: a, key: b}}", "no such store"),
        ("{bearer: {store: main, path: a}}", "wants `path` and `key`"),
        ("{bearer: {store: main, path: ../sys/x, key: b}}", "names with slashes between"),
        ("{bearer: {store: main, path: 'a?version=1', key: b}}", "names with slashes between"),
        ("{bearer: {store: main, path: /a, key: b}}", "names with slashes between"),
        ("{bearer: {store: cluster, path: a/b, key: c}}", "is not a name"),
        ("{bearer: {store: main, path: a, key: b, env: ORDERS_TOKEN}}", "not several"),
        ("{bearer: {env: ORDERS_TOKEN, path: a}}", "belong to a `store`"),
        ("{bearer: {store: main, path: a, key: b, fresh_for: 2d}}", "too long"),
    ],
)
def test_what_would_not_protect_is_refused(tmp_path: Path, credential: str, what: str) -> None:
    assert any(what in problem for problem in problems(tmp_path, credential, STORES))


@pytest.mark.parametrize(
    "name",
    [
        *("Host", "content-length", "Content-Type", "Transfer-Encoding", "Connection", "TE", "Upgrade", "Cookie"),
        *("Mcp-Session-Id", "X-Forwarded-For", "x-envoy-retry-on", "Proxy-Authorization", "Accept", "traceparent"),
        *("X-Countersign-Principal", "Last-Event-ID", "Forwarded", "X-HTTP-Method-Override"),
    ],
)
def test_headers_that_are_ours_to_say_are_refused(tmp_path: Path, name: str) -> None:
    assert problems(tmp_path, f"{{headers: {{{name}: {{env: ORDERS_TOKEN}}}}}}") == [
        f"`{name}` is no header for credentials"
    ]


@pytest.mark.parametrize(
    ("store", "what"),
    [
        ('{vault: {address: "http://vault.test", token: {env: ORDERS_TOKEN}}}', "http://"),
        ('{vault: {address: "https://vault.test"}}', "one of `token`, `kubernetes` and `approle`"),
        ('{vault: {address: "https://vault.test", mount: a/../b, token: {env: ORDERS_TOKEN}}}', "`mount`"),
        ("{kubernetes: {namespace: a/b}}", "`namespace`"),
        ('{kubernetes: {namespace: a, api: "http://10.0.0.1"}}', "http://"),
        ("{}", "one of `vault` and `kubernetes`"),
    ],
)
def test_a_store_that_would_not_protect_is_refused(tmp_path: Path, store: str, what: str) -> None:
    assert any(what in problem for problem in problems(tmp_path, BEARER, f"secret_stores: {{main: {store}}}\n"))


@pytest.mark.parametrize("value", ["a\r\nX-Admin: 1", " a", "a ", "ä", "a\x00"])
def test_what_no_header_may_hold_is_refused_and_not_repeated(tmp_path: Path, value: str) -> None:
    text = edited(BEARER, "{headers: {X-Api-Key: {env: ORDERS_TOKEN}}}")
    (problem,) = refused(tmp_path, text, {**ENV, "ORDERS_TOKEN": value})
    assert "X-Admin" not in str(problem)


def test_a_literal_in_a_header_is_refused_and_not_repeated(tmp_path: Path) -> None:
    literal = "sk-" + "live-" + "0123456789"
    (problem,) = refused(tmp_path, edited(BEARER, f"{{headers: {{X-Api-Key: {literal}}}}}"))
    assert problem.remedy == "never a literal: use {env: NAME} or {file: path}"
    assert literal not in str(problem)


def test_a_credential_in_headers_never_travels_in_clear(tmp_path: Path) -> None:
    text = edited(BEARER, "{headers: {X-Api-Key: {env: ORDERS_TOKEN}}}").replace("127.0.0.1:9000", "orders.test")
    assert any("unencrypted" in problem.what for problem in refused(tmp_path, text))


def test_keys_are_taken_whole_and_weak_ones_refused(tmp_path: Path) -> None:
    def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        return key.private_bytes(encoding, form, serialization.NoEncryption()).decode()

    text = edited(BEARER, f"{{oauth: {{{CLIENT}, private_key: {{file: key.pem}}}}}}")
    file = tmp_path / "key.pem"
    file.touch(mode=0o600)
    good = pem(ec.generate_private_key(ec.SECP256R1()))
    file.write_text(good)
    found = loaded(tmp_path, text).targets["orders"].credential
    assert found is not None
    assert isinstance(found.how, ClientCredentials)
    assert found.how.client.private_key == Stated(Secret(good), file)
    for weak in (ec.generate_private_key(ec.SECP224R1()), rsa.generate_private_key(65537, 1024)):
        file.write_text(pem(weak))
        (problem,) = refused(tmp_path, text)
        assert "neither RSA of 2,048 bits" in problem.what


def test_the_example_of_the_documentation_loads(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "credentials.md").read_text()
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    file = tmp_path / "gateway.yaml"
    head = 'version: 1\ngateway: {url: "https://gateway.test"}\nidentity: {oidc: [{issuer: "https://idp.test"}]}\n'
    file.write_text(f"{head}{example}rules: [{{name: r, allow: {{groups: [g]}}}}]\n")
    targets = load(file, {}, reads=frozenset()).targets
    assert {name: target.credential is not None for name, target in targets.items()} == {"crm": True, "search": True}


def test_the_good_file_is_as_it_was(tmp_path: Path) -> None:
    assert shown(tmp_path, BEARER) == Credential(Bearer(STATED))
    assert GOOD.count(BEARER) == 1
