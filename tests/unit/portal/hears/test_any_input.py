"""Whatever is sent, it is understood or refused: nothing else escapes, and nothing of it is quoted."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countersign.config.types_portal import LogoutSource, SignalSource
from countersign.portal.hears.logouts import LOGOUT_EVENT, read_logout
from countersign.portal.hears.signals import read_signal
from countersign.portal.hears.signed import opened
from countersign.portal.hears.told import Heard, NotTaken
from tests.support.telling import ANNA, AUDIENCE, CAEP, CLIENT, ISSUER, NOW_S, RISC, TRANSMITTER, assembled

SIGNALS = SignalSource(TRANSMITTER, AUDIENCE, ISSUER, f"{TRANSMITTER}/keys")
LOGOUTS = LogoutSource(ISSUER, CLIENT)
# Words that mean something, so that chance gets past the first checks.
WORDS = st.sampled_from(
    [
        AUDIENCE,
        CLIENT,
        ISSUER,
        "canary",
        "iss_sub",
        "opaque",
        "complex",
        "aliases",
        "email",
        "jwt_id",
        "\ud800",
        "",
        "\0",
    ]
)
NAMES = st.sampled_from(
    [
        *("format", "subject_type", "iss", "sub", "id", "jti", "email", "user", "session", "tenant", "identifiers"),
        *("subject", "change_type", LOGOUT_EVENT, f"{CAEP}session-revoked", f"{RISC}account-enabled"),
    ]
)
VALUES: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.just(int(NOW_S)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)
CLAIMS = st.fixed_dictionaries(
    {},
    optional={
        "aud": st.just(AUDIENCE) | st.just(CLIENT) | VALUES,
        "iat": st.just(int(NOW_S)) | VALUES,
        "exp": st.just(int(NOW_S) + 60) | VALUES,
        "jti": st.just("t-1") | VALUES,
        "sub": VALUES,
        "sid": VALUES,
        "nonce": VALUES,
        "sub_id": st.just(dict(ANNA)) | st.dictionaries(NAMES, VALUES, max_size=4) | VALUES,
        "events": st.dictionaries(NAMES, st.just({}) | VALUES, max_size=2) | VALUES,
    },
)


def check(heard: Heard) -> None:
    """Only of the issuer that its sender may speak of, by names that can be stored and shown."""
    for one in (*heard.revocations, *heard.lifted):
        assert one.issuer == ISSUER
        assert one.value.isprintable()
        assert 0 < len(one.value) <= 512


def refusal(read: Callable[[], Heard]) -> str:
    """Return why it was refused, empty when it was not."""
    try:
        check(read())
    except NotTaken as refused:
        return refused.description
    return ""


@given(CLAIMS)
@settings(max_examples=60)
def test_claims_of_any_shape(claims: dict[str, object]) -> None:
    assert "canary" not in refusal(lambda: read_logout("logout+jwt", claims, LOGOUTS, skew_s=10, now_s=NOW_S))
    told = refusal(lambda: read_signal("secevent+jwt", claims, SIGNALS, by_mail=True, skew_s=10, now_s=NOW_S))
    assert "canary" not in told


ODD = st.text(alphabet='{}[]":,.e1\\u', max_size=100)


@given(st.binary(max_size=200) | ODD.map(lambda text: assembled(text, text)))
@settings(max_examples=60)
def test_bytes_of_any_kind(token: bytes) -> None:
    with pytest.raises(NotTaken):
        opened(token)


@given(st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "jku"]), VALUES), CLAIMS)
@settings(max_examples=25)
def test_headers_of_any_shape(header: dict[str, object], claims: dict[str, object]) -> None:
    token = assembled({"alg": "ES256", **header}, json.dumps({"iss": ISSUER, **claims}))
    with suppress(NotTaken):
        jws, _ = opened(token)
        assert jws.key_id is None or isinstance(jws.key_id, str)
