"""The portal's keys: the same for whoever holds the deployment's, overlapping in time, and nobody else's."""

from __future__ import annotations

import json
import secrets

import jwt
import pytest

from countersign.identity.portal_keys import ALGORITHM, PortalKeys

ISSUER = "https://gateway.example.com/portal"
DAY_S = 86_400
KEY = secrets.token_bytes(32)


class Clock:
    def __init__(self, now_s: float = 100 * DAY_S) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


def keys_of(clock: Clock, key: bytes = KEY, generation: int = 1) -> PortalKeys:
    return PortalKeys(key, ISSUER, key_s=DAY_S, generation=generation, clock=clock)


def opened(token: str, keys: PortalKeys) -> dict[str, object] | None:
    found = keys.find(jwt.get_unverified_header(token)["kid"])
    if found is None:
        return None
    return jwt.decode(token, found.key, algorithms=[ALGORITHM])


def test_another_process_with_the_same_key_takes_what_one_signed() -> None:
    token = keys_of(Clock()).sign({"sub": "alice"})
    assert opened(token, keys_of(Clock())) == {"sub": "alice"}
    header = jwt.get_unverified_header(token)
    assert header["alg"] == "ES256"
    assert header["typ"] == "at+jwt"


def test_tokens_outlive_the_change_of_keys_by_one_span_and_no_more() -> None:
    clock = Clock(101 * DAY_S - 1)
    keys = keys_of(clock)
    token = keys.sign({"sub": "alice"})
    clock.now_s += 2
    assert opened(token, keys) is not None, "signed a moment before the change"
    assert jwt.get_unverified_header(keys.sign({}))["kid"] != jwt.get_unverified_header(token)["kid"]
    clock.now_s = 102 * DAY_S - 1
    assert opened(token, keys) is not None
    clock.now_s = 102 * DAY_S
    assert opened(token, keys) is None


def test_the_next_key_is_shown_before_it_signs() -> None:
    clock = Clock()
    keys = keys_of(clock)
    shown = {key["kid"] for key in keys.jwks()["keys"]}
    assert len(shown) == 3
    clock.now_s += DAY_S
    assert jwt.get_unverified_header(keys.sign({}))["kid"] in shown


@pytest.mark.parametrize("other", ["generation", "key"])
def test_another_generation_or_deployment_takes_nothing_of_this_one(other: str) -> None:
    token = keys_of(Clock()).sign({"sub": "alice"})
    stranger = keys_of(Clock(), generation=2) if other == "generation" else keys_of(Clock(), secrets.token_bytes(32))
    assert opened(token, stranger) is None


def test_the_key_set_shows_no_private_part() -> None:
    shown = keys_of(Clock()).jwks()
    assert {name for key in shown["keys"] for name in key} == {"alg", "crv", "kid", "kty", "use", "x", "y"}
    assert len(jwt.PyJWKSet.from_json(json.dumps(shown)).keys) == 3


@pytest.mark.parametrize("key_id", [None, "", "../keys", "' OR 1=1 --", "x" * 10_000])
def test_a_key_id_that_is_not_ours_finds_nothing(key_id: str | None) -> None:
    assert keys_of(Clock()).find(key_id) is None


def test_a_short_deployment_key_makes_no_keys() -> None:
    with pytest.raises(ValueError, match="sealing key"):
        keys_of(Clock(), b"short")
