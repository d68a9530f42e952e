"""Nothing is believed but what one of the issuer's keys signed, and no token says where keys are to be had."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest
from cryptography.hazmat.primitives import serialization

from countersign.demo.issuer import SigningKey
from countersign.identity.jws import MAX_TOKEN_BYTES
from countersign.portal.hears.claims import Claims
from countersign.portal.hears.signed import opened, verified
from countersign.portal.hears.told import Err, NotTaken
from tests.support.telling import ISSUER, KeysOf, assembled, logout_claims, signed

KEY = SigningKey.new("ES256", "k1")
RSA = SigningKey.new("RS256", "k2")
HEAD = {"alg": "ES256", "typ": "logout+jwt", "kid": "k1"}


@pytest.mark.parametrize("key", [KEY, RSA], ids=lambda key: key.algorithm)
async def test_what_is_signed_is_read_as_it_was_said(key: SigningKey) -> None:
    jws, issuer = opened(signed(logout_claims(), key, "logout+jwt").encode())
    assert (issuer, jws.typ, jws.key_id) == (ISSUER, "logout+jwt", key.kid)
    assert await verified(jws, KeysOf(KEY, RSA)) == logout_claims()


async def read(token: bytes, keys: KeysOf) -> Claims:
    jws, _ = opened(token)
    return await verified(jws, keys)


def hmac_signed() -> bytes:
    public = KEY.private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    unsigned = assembled({**HEAD, "alg": "HS256"}, logout_claims(), b"").rstrip(b".")
    signature = hmac.digest(public, unsigned, hashlib.sha256)
    return assembled({**HEAD, "alg": "HS256"}, logout_claims(), signature)


FORGED: list[tuple[str, bytes]] = [
    ("another key under a known id", signed(logout_claims(), SigningKey.new("ES256", "k1")).encode()),
    ("a key that nobody published", signed(logout_claims(), SigningKey.new("ES256", "k9")).encode()),
    ("a key without an id", signed(logout_claims(), KEY, kid=...).encode()),
    ("an algorithm that is not its key's", assembled({**HEAD, "alg": "RS256"}, logout_claims())),
    ("a curve that is not its key's", assembled({**HEAD, "alg": "ES384"}, logout_claims())),
    ("a signature that is cut", signed(logout_claims(), KEY).encode()[:-6]),
    ("a path as a key's id", signed(logout_claims(), KEY, kid="../../dev/null").encode()),
]


@pytest.mark.parametrize("token", [row[1] for row in FORGED], ids=[row[0] for row in FORGED])
async def test_forged_tokens_are_refused(token: bytes) -> None:
    with pytest.raises(NotTaken) as refused:
        await read(token, KeysOf(KEY, RSA))
    assert refused.value.err is Err.KEY
    assert "k1" not in refused.value.description


async def test_altered_claims_are_refused() -> None:
    head, _, signature = signed(logout_claims(), KEY).encode().split(b".")
    claims = assembled({}, logout_claims(sub="bob")).split(b".")[1]
    with pytest.raises(NotTaken):
        await read(b".".join((head, claims, signature)), KeysOf(KEY))


MALFORMED: list[tuple[str, bytes]] = [
    ("signed by nobody", assembled({**HEAD, "alg": "none"}, logout_claims())),
    ("an algorithm in capitals", assembled({**HEAD, "alg": "NONE"}, logout_claims())),
    ("no algorithm", assembled({"kid": "k1"}, logout_claims())),
    ("a public key as HMAC secret", hmac_signed()),
    ("nothing", b""),
    ("dots", b".."),
    ("an encrypted token", b"a.b.c.d.e"),
    ("no signature", signed(logout_claims(), KEY).encode().rpartition(b".")[0] + b"."),
    ("what is no base64", b"%%%.%%%.%%%"),
    ("what is no text", b"\xff.\xff.\xff"),
    ("what is no JSON", assembled("nope", "nope")),
    ("lists", assembled("[]", "[]")),
    ("JSON in UTF-16", b".".join((assembled(HEAD, {}).split(b".")[0], b"-_8", b"eA"))),
    ("a header's member twice", assembled('{"alg":"ES256","alg":"none","kid":"k1"}', logout_claims())),
    ("a claim twice", assembled(HEAD, '{"iss":"https://a.example","iss":"https://b.example"}')),
    ("a claim twice within another", assembled(HEAD, '{"iss":"https://a.example","events":{"a":{},"a":{}}}')),
    ("no number", assembled(HEAD, '{"iss":"https://a.example","iat":NaN}')),
    ("a number without end", assembled(HEAD, '{"iss":"https://a.example","iat":' + "9" * 5000 + "}")),
    ("too deep", assembled(HEAD, '{"iss":"https://a.example","a":' + "[" * 40 + "]" * 40 + "}")),
    ("far too deep", assembled(HEAD, '{"iss":"https://a.example","a":' + "[" * 20_000 + "]" * 20_000 + "}")),
    ("no issuer", assembled(HEAD, logout_claims(iss=...))),
    ("an issuer that is a list", assembled(HEAD, logout_claims(iss=[ISSUER]))),
    ("an algorithm that is a list", assembled({**HEAD, "alg": ["ES256"]}, logout_claims())),
    ("a huge key id", assembled({**HEAD, "kid": "k" * 513}, logout_claims())),
    ("a key id that is a number", assembled({**HEAD, "kid": 1}, logout_claims())),
    ("more than is read", assembled(HEAD, {**logout_claims(), "x": "x" * MAX_TOKEN_BYTES})),
    *(
        (f"`{name}`", assembled({**HEAD, name: value}, logout_claims()))
        for name, value in {
            "jku": "https://evil.example/keys",
            "x5u": "https://evil.example/cert",
            "jwk": {"kty": "EC"},
            "crit": ["exp"],
            "b64": False,
            "x5c": ["MIIB"],
        }.items()
    ),
]


@pytest.mark.parametrize("token", [row[1] for row in MALFORMED], ids=[row[0] for row in MALFORMED])
async def test_what_is_no_plain_signed_token_costs_no_look_for_a_key(token: bytes) -> None:
    keys = KeysOf(KEY)
    with pytest.raises(NotTaken):
        await read(token, keys)
    assert keys.asked == 0


async def test_claims_that_stand_twice_are_refused_though_they_are_signed() -> None:
    body = json.dumps(logout_claims())[:-1] + ', "sub": "bob"}'
    with pytest.raises(NotTaken):
        opened(assembled(HEAD, body))
