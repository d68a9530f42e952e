"""Keys come from the issuer, and from where it says, without detours; what is sent as a token is read or refused."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countersign.identity import IdentityUnavailable, Unidentified
from countersign.identity.jws import read_jws
from countersign.identity.keys import IssuerKeys
from countersign.identity.keyset import KeySet, keys_of
from countersign.identity.trust import is_client
from tests.support.tokens import minted, signed_text, text

MINTED = minted()
ISSUER = "https://idp.example/realms/acme"
DISCOVERY = f"{ISSUER}/.well-known/openid-configuration"
ELSEWHERE = "https://keys.example/jwks"
Answer = Callable[[httpx.Request], httpx.Response]


def keys(answer: Answer, issuer: str = ISSUER) -> tuple[IssuerKeys, list[str]]:
    asked: list[str] = []

    def noted(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return answer(request)

    return IssuerKeys(issuer, httpx.AsyncClient(transport=httpx.MockTransport(noted)), lambda: 0.0), asked


def issuing(jwks_uri: object, found: httpx.Response | None = None) -> Answer:
    def answer(request: httpx.Request) -> httpx.Response:
        if str(request.url).endswith("/openid-configuration"):
            issuer = str(request.url).removesuffix("/.well-known/openid-configuration")
            return httpx.Response(200, json={"issuer": issuer, "jwks_uri": jwks_uri})
        return found or httpx.Response(200, json=MINTED.jwks())

    return answer


async def test_keys_on_another_host_are_taken_where_the_issuer_says_so_by_https() -> None:
    known, asked = keys(issuing(ELSEWHERE))
    assert await known.find("es") is not None
    assert asked == [DISCOVERY, ELSEWHERE]


@pytest.mark.parametrize(
    "jwks_uri",
    [
        "http://127.0.0.1:9/jwks",
        "http://localhost/jwks",
        "http://keys.example/",
        "file:///etc/passwd",
        "//x",
        "",
        None,
        7,
    ],
)
async def test_an_issuer_leads_to_no_other_place(jwks_uri: object) -> None:
    known, asked = keys(issuing(jwks_uri))
    with pytest.raises(IdentityUnavailable):
        await known.find("es")
    assert asked == [DISCOVERY]


async def test_an_issuer_on_this_machine_may_lead_to_this_machine() -> None:
    known, _ = keys(issuing("http://127.0.0.1:2/jwks"), "http://127.0.0.1:1")
    assert await known.find("es") is not None


@pytest.mark.parametrize(
    "found",
    [
        httpx.Response(302, headers={"location": "http://127.0.0.1:9/"}),
        httpx.Response(500, json=MINTED.jwks()),
        httpx.Response(200, content=gzip.compress(b"{}"), headers={"content-encoding": "gzip"}),
        httpx.Response(200, content=b"[" * 100_000),
        httpx.Response(200, content=b'{"keys":[],"keys":[]}'),
        httpx.Response(200, content=b" " * 1_100_000 + json.dumps(MINTED.jwks()).encode()),
        httpx.Response(200, json={"keys": [MINTED.es.jwk()] * 201}),
        httpx.Response(200, json={"keys": [{"kty": "RSA", "n": "x", "e": 3}, {"kty": ["EC"]}, 5]}),
        httpx.Response(200, json={"keys": [MINTED.es.jwk() | {"alg": ["ES256"]}]}),
        httpx.Response(200, json=[]),
    ],
    ids=["redirect", "error", "compressed", "deep", "twice", "too large", "too many", "malformed", "odd", "a list"],
)
async def test_an_answer_that_is_no_plain_set_of_keys_gives_none(found: httpx.Response) -> None:
    known, asked = keys(issuing(ELSEWHERE, found))
    with pytest.raises(IdentityUnavailable):
        await known.find("es")
    assert asked == [DISCOVERY, ELSEWHERE]


def test_a_key_of_which_its_issuer_says_now_what_it_is_for_is_another() -> None:
    bare = {name: value for name, value in MINTED.rs.jwk().items() if name != "alg"}
    first = keys_of(json.dumps({"keys": [bare]}).encode(), KeySet())
    same = keys_of(json.dumps({"keys": [bare]}).encode(), first)
    other = keys_of(json.dumps({"keys": [{**bare, "alg": "PS256"}]}).encode(), first)
    [key] = first.keys.values()
    assert same.holds(key)
    assert not other.holds(key)


async def test_a_weak_key_is_told_from_an_unknown_one_and_neither_is_used() -> None:
    known, _ = keys(issuing(ELSEWHERE, httpx.Response(200, json={"keys": [MINTED.weak.jwk(), MINTED.es.jwk()]})))
    with pytest.raises(Unidentified, match="too weak"):
        await known.find("weak")
    assert await known.find("unknown") is None
    # Nor is it the only other key that counts when a token names none.
    assert await known.find(None) is None


@given(st.text(max_size=200) | st.binary(max_size=200).map(text))
@settings(max_examples=60, deadline=None)
def test_whatever_is_no_token_is_unidentified(token: str) -> None:
    with pytest.raises(Unidentified):
        read_jws(token)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_NAMES = st.sampled_from(("alg", "kid", "typ", "crit", "iss", "aud", "exp", "sub", "act", "groups", "x"))
_OBJECTS = st.dictionaries(_NAMES, _JSON, max_size=6)


@given(_OBJECTS, _OBJECTS)
@settings(max_examples=60, deadline=None)
def test_a_token_of_any_json_is_read_or_unidentified(header: dict[str, object], claims: dict[str, object]) -> None:
    token = signed_text(MINTED.es, json.dumps({"alg": "ES256", **header}), json.dumps(claims))
    try:
        jws = read_jws(token)
    except Unidentified as refused:
        said = refused.description
    else:
        # Where it lies in memory may spell a short token's claims by chance: {} is e30.
        said = repr(jws).replace(hex(id(jws)), "")
        is_client(jws.unverified, "x")
    assert token.split(".")[1] not in said


@pytest.mark.parametrize("kid", ["rs", "es", "ed", "bound"])
async def test_a_key_verifies_what_it_signed_and_nothing_that_was_signed_otherwise(kid: str) -> None:
    known, _ = keys(issuing(ELSEWHERE))
    found = await known.find(kid)
    assert found is not None
    for signer in (MINTED.rs, MINTED.es, MINTED.ed, MINTED.bound):
        token = read_jws(MINTED.sign({"sub": "x"}, key=signer, kid=kid))
        if signer.kid == kid:
            assert token.signed_by(found)["sub"] == "x"
        else:
            with pytest.raises(Unidentified):
                token.signed_by(found)
