"""What the demo issuer promises to the gateway and to the tests that lean on it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import jwt
import pytest

from countersign.demo.issuer import Issuer, SigningKey
from countersign.demo.people import SHARED_SECRET
from countersign.demo.serving import ThreadedServer

RESOURCE = "http://127.0.0.1:8080/orders/mcp"


@pytest.fixture
def served() -> Iterator[tuple[Issuer, ThreadedServer]]:
    issuer = Issuer("http://127.0.0.1:1")
    with ThreadedServer(issuer.app()) as server:
        issuer.url = server.url
        yield issuer, server


def ask(url: str, **form: str | list[str]) -> httpx.Response:
    asked = {"grant_type": "client_credentials", "client_id": "alice", "client_secret": SHARED_SECRET, **form}
    return httpx.post(f"{url}/token", data=asked)


def published_key(url: str, token: str) -> jwt.PyJWK:
    discovery = httpx.get(f"{url}/.well-known/openid-configuration").json()
    assert discovery["issuer"] == url
    keys = jwt.PyJWKSet.from_dict(httpx.get(discovery["jwks_uri"]).json())
    return keys[jwt.get_unverified_header(token)["kid"]]


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_a_token_verifies_by_the_published_keys_alone(served: tuple[Issuer, ThreadedServer], algorithm: str) -> None:
    issuer, server = served
    issuer.rotate(algorithm=algorithm)
    token = ask(server.url, resource=RESOURCE).json()["access_token"]
    claims = jwt.decode(
        token, published_key(server.url, token), algorithms=[algorithm], audience=RESOURCE, issuer=server.url
    )
    assert (claims["sub"], claims["groups"]) == ("alice", ["analysts"])
    assert issuer.fetches == {"token": 1, "discovery": 1, "jwks": 1}


def test_the_resource_parameters_become_the_audience(served: tuple[Issuer, ThreadedServer]) -> None:
    _, server = served
    two = [RESOURCE, "http://127.0.0.1:8080"]
    token = ask(server.url, resource=two).json()["access_token"]
    assert jwt.decode(token, options={"verify_signature": False})["aud"] == two


@pytest.mark.parametrize(
    ("form", "status", "code"),
    [
        ({"client_id": "mallory", "resource": RESOURCE}, 401, "invalid_client"),
        ({"client_secret": "guess", "resource": RESOURCE}, 401, "invalid_client"),
        ({"grant_type": "password", "resource": RESOURCE}, 400, "unsupported_grant_type"),
        ({}, 400, "invalid_target"),
        ({"resource": "orders"}, 400, "invalid_target"),
        ({"resource": RESOURCE + "#x"}, 400, "invalid_target"),
        ({"resource": [RESOURCE, "orders"]}, 400, "invalid_target"),
    ],
)
def test_no_token_for_strangers_or_for_no_resource(
    served: tuple[Issuer, ThreadedServer], form: dict[str, str], status: int, code: str
) -> None:
    answer = ask(served[1].url, **form)
    assert (answer.status_code, answer.json()["error"]) == (status, code)
    assert "access_token" not in answer.json()


def test_rotation_signs_by_a_new_key_and_can_withdraw_the_old(served: tuple[Issuer, ThreadedServer]) -> None:
    issuer, _ = served
    first = issuer.key.kid
    issuer.rotate()
    assert {key["kid"] for key in issuer.jwks()["keys"]} == {first, issuer.key.kid}
    issuer.rotate(keep_old=False)
    assert [key["kid"] for key in issuer.jwks()["keys"]] == [issuer.key.kid]
    assert jwt.get_unverified_header(issuer.token("bob", RESOURCE))["kid"] == issuer.key.kid


def test_private_halves_are_never_published(served: tuple[Issuer, ThreadedServer]) -> None:
    issuer, _ = served
    issuer.rotate(algorithm="RS256")
    for key in issuer.jwks()["keys"]:
        assert not {"d", "p", "q", "dp", "dq", "qi"} & key.keys()


def test_an_issuer_that_is_down_refuses_and_comes_back_on_the_same_port(served: tuple[Issuer, ThreadedServer]) -> None:
    issuer, server = served
    assert httpx.get(f"{server.url}/jwks").json() == issuer.jwks()
    server.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/jwks")
    server.start()
    assert httpx.get(f"{server.url}/jwks").json() == issuer.jwks()


def test_a_key_of_an_unwanted_algorithm_is_refused() -> None:
    with pytest.raises(ValueError, match="HS256"):
        SigningKey.new("HS256")
