"""Rows for the table of tokens: good ones and whom they make, bad ones and what is told of them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from hmac import digest
from typing import Any

from tests.support.tokens import (
    AUTH0,
    GOOGLE_CLIENT,
    KEYCLOAK,
    OKTA,
    Claims,
    Key,
    auth0,
    entra_1,
    entra_2,
    github,
    gitlab,
    google,
    keycloak,
    kubernetes,
    minted,
    okta,
    signed,
    signed_text,
    spiffe,
    text,
)

MINTED = minted()
OTHER = "https://elsewhere.example/api"


@dataclass(frozen=True)
class Who:
    """Whom a good token makes, as the record says it."""

    subject: str
    kind: str = "person"
    groups: tuple[str, ...] = ()
    token_subject: str = ""
    actors: tuple[str, ...] = ()


Token = Callable[[str], str]


@dataclass(frozen=True)
class Ago:
    """A moment so many seconds before the token is made."""

    seconds: int


def by(
    claims: Callable[..., Claims], key: Key = MINTED.rs, header: Mapping[str, object] | None = None, **changed: object
) -> Token:
    """A token for the resource that is asked for; ``header`` and ``changed`` are what differs from the issuer's own."""
    return lambda audience: MINTED.sign(claims(audience, **_now(changed)), key=key, **(header or {}))


def no_audience(claims: Callable[..., Claims], key: Key = MINTED.rs, **changed: object) -> Token:
    """A token whose audience is not the resource."""
    return lambda _: MINTED.sign(claims(**changed), key=key, typ="JWT")


def _now(changed: Mapping[str, object]) -> Claims:
    now = int(time.time())
    return {name: now - value.seconds if isinstance(value, Ago) else value for name, value in changed.items()}


ALICE = Who("alice@acme.example", groups=("Everyone", "analysts"))
BOT: dict[str, Any] = {"act": {"sub": "bot-7", "act": {"sub": "planner"}}}
DEV: dict[str, Any] = {"kubernetes.io": {"namespace": "dev", "serviceaccount": {"name": "deployer"}}}
OVERAGE: dict[str, Any] = {
    "_claim_names": {"groups": "src1"},
    "_claim_sources": {"src1": {"endpoint": "https://graph.example/x"}},
}

GOOD: dict[str, tuple[Token, Who]] = {
    "Okta": (by(okta), ALICE),
    "Okta, a client on its own": (
        by(okta, cid="svc", sub="svc", uid=None, groups=None),
        Who("svc", "machine"),
    ),
    "Okta, expired within the skew": (by(okta, exp=Ago(5)), ALICE),
    "Entra v1": (
        by(entra_1),
        Who("pairwise-1", groups=("3f2e1d00-aaaa-4bbb-8ccc-000000000001",)),
    ),
    "Entra v1, an application": (
        by(entra_1, idtyp="app", groups=None, scp=None, roles=["Orders.All"], sub="app-1"),
        Who("app-1", "machine"),
    ),
    "Entra v2": (no_audience(entra_2), Who("11111111-2222", groups=("Orders.Read",), token_subject="pairwise-2")),
    "Entra v2, overage where roles count": (
        no_audience(entra_2, **OVERAGE),
        Who("11111111-2222", groups=("Orders.Read",), token_subject="pairwise-2"),
    ),
    "Entra v2, by the URI of the API": (
        no_audience(entra_2, aud=f"api://{entra_2()['aud']}", roles=None),
        Who("11111111-2222", token_subject="pairwise-2"),
    ),
    "Google": (no_audience(google), Who("alice@acme.example", token_subject="110169484474386276334")),
    "Keycloak": (
        by(keycloak),
        Who("f8f7e2c5-0d2e-4f29-8f57-000000000001", groups=("analysts", "offline_access")),
    ),
    "Keycloak, a service account": (
        by(keycloak, preferred_username="service-account-console", realm_access=None),
        Who("f8f7e2c5-0d2e-4f29-8f57-000000000001", "machine"),
    ),
    "Auth0": (by(auth0, header={"typ": "JWT"}), Who("auth0|64f1", groups=("analysts",))),
    "Auth0, RFC 9068": (by(auth0, header={"typ": "at+jwt"}), Who("auth0|64f1", groups=("analysts",))),
    "Auth0, a client on its own": (
        by(auth0, sub="m2m@clients", azp="m2m", gty="client-credentials"),
        Who("m2m@clients", "machine", ("analysts",)),
    ),
    "GitHub, main": (
        by(github, header={"typ": "JWT"}),
        Who("payments-ci", "machine", ("ci",), "repo:acme/payments:ref:refs/heads/main"),
    ),
    "GitHub, an environment": (
        by(github, ref="refs/tags/v1", environment="production", sub="repo:acme/payments:environment:production"),
        Who("payments-release", "machine", ("ci", "release"), "repo:acme/payments:environment:production"),
    ),
    "GitLab": (
        by(gitlab, ref="release-7", sub="project_path:acme/ledger:ref_type:branch:ref:release-7"),
        Who("ledger-ci", "machine", ("ci",), "project_path:acme/ledger:ref_type:branch:ref:release-7"),
    ),
    "Kubernetes": (by(kubernetes), Who("deployer", "machine", (), "system:serviceaccount:payments:deployer")),
    "SPIFFE": (
        by(spiffe, MINTED.es, {"typ": "JOSE"}),
        Who("reports", "machine", ("batch",), "spiffe://acme.example/ns/reports/sa/nightly"),
    ),
    "delegated to an agent": (
        by(okta, **BOT),
        Who("alice@acme.example", "agent", ALICE.groups, actors=("bot-7", "planner")),
    ),
    "several audiences, ours among them": (lambda audience: MINTED.sign(okta(audience, aud=[OTHER, audience])), ALICE),
    "RSA-PSS": (by(okta, MINTED.ps), ALICE),
    "EdDSA": (by(okta, MINTED.ed), ALICE),
    "with nbf and no iat": (by(okta, iat=None, nbf=Ago(5)), ALICE),
    "a type with its whole name": (by(okta, header={"typ": "application/at+JWT"}), ALICE),
}


def raw(header: str, claims: str, key: Key = MINTED.es) -> Token:
    return lambda _: signed_text(key, header, claims)


def twice(audience: str) -> str:
    """A token that says two subjects."""
    claims = json.dumps(okta(audience))
    return signed_text(MINTED.es, '{"alg":"ES256","kid":"es"}', claims[:-1] + ',"sub":"root"}')


def deep(audience: str) -> str:
    """A token with claims in claims in claims."""
    inner: object = 1
    for _ in range(40):
        inner = {"a": inner}
    return MINTED.sign(okta(audience, deep=inner))


def altered(audience: str) -> str:
    """A token whose claims were changed after it was signed."""
    head, _, signature = MINTED.sign(okta(audience)).split(".")
    return f"{head}.{text(json.dumps(okta(audience, groups=['auditors'])).encode())}.{signature}"


def with_padding(audience: str) -> str:
    """A token in an alphabet that some readers forgive."""
    head, body, signature = MINTED.sign(okta(audience)).split(".")
    return f"{head}.{body}=.{signature}"


def confused(audience: str) -> str:
    """A token signed with the issuer's public key, as if it were a shared secret."""
    head = {"alg": "HS256", "kid": "rs"}
    message = f"{text(json.dumps(head).encode())}.{text(json.dumps(okta(audience)).encode())}"
    return f"{message}.{text(digest(json.dumps(MINTED.rs.jwk()).encode(), message.encode(), sha256))}"


def unsigned(algorithm: str) -> Token:
    def token(audience: str) -> str:
        head = {"alg": algorithm, "typ": "JWT"}
        return f"{text(json.dumps(head).encode())}.{text(json.dumps(okta(audience)).encode())}."

    return token


def mislabelled(algorithm: str, kid: str) -> Token:
    """A token that names a key of another kind than it is signed by."""
    return lambda audience: (
        signed(MINTED.es, {"alg": "ES256", "kid": kid}, okta(audience))
        if algorithm == "ES256"
        else (signed(Key(algorithm, kid, MINTED.rs.private), {"alg": algorithm, "kid": kid}, okta(audience)))
    )


OWN_KEY = "the token brings its own key, or says where to fetch it"
NOT_JWT = "the token is not a signed JWT"
UNCLEAR = "the token is not a signed JWT, or says something twice"
NOT_PUBLISHED = "the token is signed with a key that its issuer does not publish"
NOT_OF_KEY = "the token's algorithm is not that of its key"
ALGORITHM = "the token's algorithm is not accepted: use an asymmetric one, such as RS256 or ES256"
SIGNATURE = "the token's signature is wrong"
TYPE = "the token's type is not that of an access token"
ID_TOKEN = "this is an ID token, made for the client that signed in: send an access token"
OTHER_USE = "the token is for another use than access"
REQUIRED = "the token lacks a claim that is required here, or has another value there"
NO_MACHINE = "the token fits none of the machines that are named here"
SUBJECT = "the token's subject is missing, too long, or holds control characters"
DEMANDS = "the token demands extensions that are not understood here"
TOO_MANY_GROUPS = (
    re.escape("the token names so many groups that it does not list them (overage)") + ".*`groups: roles`.*"
)

BAD: dict[str, tuple[Token, str]] = {
    # When
    "expired": (by(okta, exp=Ago(180)), "the token expired 3 min ago"),
    "expired long ago": (by(okta, exp=Ago(5 * 86_400)), "the token expired 5 days ago"),
    "not valid yet": (
        by(okta, nbf=Ago(-600)),
        r"the token is not valid yet, only in \d+ (s|min): are the clocks right\?",
    ),
    "issued in the future": (by(okta, iat=Ago(-600)), r"the token is not valid yet, only in .*"),
    "no expiry": (by(okta, exp=None), "the token lacks the claim exp"),
    "no beginning": (by(okta, iat=None), "the token lacks the claim iat"),
    "expiry as text": (by(okta, exp="never"), "the token's exp is no time"),
    "expiry beyond all time": (by(okta, exp=10**15), "the token's exp is no time"),
    "expiry that is true": (by(okta, exp=True), "the token's exp is no time"),
    "expiry of a thousand digits": (
        lambda audience: signed_text(
            MINTED.es, '{"alg":"ES256","kid":"es"}', json.dumps(okta(audience, exp=7)).replace(": 7", ": " + "9" * 1000)
        ),
        "the token holds a number beyond all bounds",
    ),
    # For whom
    "another audience": (
        by(okta, aud=OTHER),
        rf"the token's audience is {OTHER}; this resource is http://.*/plain/mcp",
    ),
    "another target of this gateway": (
        lambda audience: MINTED.sign(okta(audience.replace("plain", "other"))),
        r"the token's audience is http://.*/other/mcp; this resource is http://.*/plain/mcp",
    ),
    "audiences of others": (
        by(okta, aud=["a", "b", "c", "d"]),
        r"the token's audience is a, b, c \.\.\.; this resource is .*",
    ),
    "an audience that would break the header": (
        by(okta, aud='x", evil="\r\nSet-Cookie: a=b\u202e'),
        r"the token's audience is x\?, evil=\?\?\?Set-Cookie: a=b\?; this resource is .*",
    ),
    "an endless audience": (by(okta, aud="x" * 5_000), r"the token's audience is x{100}\.\.\.; this resource is .*"),
    "no audience": (by(okta, aud=None), "the token lacks the claim aud"),
    "an empty list of audiences": (by(okta, aud=[]), r"the token's audience \(aud\) is malformed"),
    "an audience in a list in a list": (by(okta, aud=[["x"]]), r"the token's audience \(aud\) is malformed"),
    "the resource, where clients are named": (
        lambda audience: MINTED.sign(entra_2(aud=audience), key=MINTED.rs),
        r"the token's audience is http://.*/plain/mcp; this resource is api://.*",
    ),
    "Google, for another client": (no_audience(google, aud="other"), r"the token's audience is other; .*"),
    # Who says so
    "no issuer": (by(okta, iss=None), "the token does not name its issuer"),
    "an issuer in a list": (by(okta, iss=[OKTA]), "the token does not name its issuer"),
    "another issuer": (by(okta, iss="https://evil.example"), "the token's issuer is not one of this gateway's"),
    "an issuer with a slash more": (by(okta, iss=f"{OKTA}/"), "the token's issuer is not one of this gateway's"),
    "an issuer in capitals": (by(okta, iss=OKTA.upper()), "the token's issuer is not one of this gateway's"),
    "another tenant": (
        no_audience(entra_2, iss="https://login.microsoftonline.com/other/v2.0"),
        ".* is not one of this gateway's",
    ),
    # What signs it
    "alg none": (unsigned("none"), ALGORITHM + "|" + NOT_JWT),
    "alg NoNe": (unsigned("NoNe"), ALGORITHM + "|" + NOT_JWT),
    "no signature": (lambda audience: MINTED.sign(okta(audience)).rpartition(".")[0] + ".", NOT_JWT),
    "no third part": (lambda audience: MINTED.sign(okta(audience)).rpartition(".")[0], NOT_JWT),
    "public key as secret": (confused, ALGORITHM),
    "symmetric key of the set": (mislabelled("ES256", "sym"), NOT_PUBLISHED),
    "altered claims": (altered, SIGNATURE),
    "another key under a known id": (by(okta, Key("ES256", "es", MINTED.stranger.private)), SIGNATURE),
    "a key that nobody published": (by(okta, MINTED.stranger), NOT_PUBLISHED),
    "no key id, where there are many keys": (by(okta, header={"kid": None}), NOT_PUBLISHED),
    "a key for encryption": (by(okta, MINTED.enc), NOT_PUBLISHED),
    "RSA of 1024 bits": (by(okta, MINTED.weak), "the token's key is too weak: RSA needs 2048 bits"),
    "ES256 on P-384": (by(okta, MINTED.p384), NOT_OF_KEY),
    "ES256 with a key for RS256": (mislabelled("ES256", "rs"), NOT_OF_KEY),
    "RS256 with a key for ES256": (mislabelled("RS256", "es"), NOT_OF_KEY),
    "an algorithm that the issuer may not use": (
        by(keycloak, MINTED.es),
        "the token's algorithm is not one that is accepted of its issuer",
    ),
    "key id: a path": (by(okta, header={"kid": "../../../../dev/null"}), NOT_PUBLISHED),
    "key id: SQL": (by(okta, header={"kid": "x' UNION SELECT 'k'--"}), NOT_PUBLISHED),
    "key id: a command": (by(okta, header={"kid": "|/bin/id"}), NOT_PUBLISHED),
    "key id: huge": (by(okta, header={"kid": "k" * 5_000}), "the token's key id is malformed"),
    "key id: a number": (by(okta, header={"kid": 1}), "the token's key id is malformed"),
    "jku": (by(okta, header={"jku": "http://127.0.0.1:1/jwks"}), OWN_KEY),
    "x5u": (by(okta, header={"x5u": "http://127.0.0.1:1/cert"}), OWN_KEY),
    "jwk": (by(okta, MINTED.stranger, {"jwk": MINTED.stranger.jwk()}), OWN_KEY),
    "x5c": (by(okta, header={"x5c": ["MIIB"]}), OWN_KEY),
    "crit": (by(okta, header={"crit": ["exp"]}), DEMANDS),
    "b64": (by(okta, header={"b64": False}), DEMANDS),
    # What it is
    "garbage": (lambda _: "garbage" * 5, NOT_JWT),
    "an opaque token": (lambda _: text(b"o" * 40), NOT_JWT),
    "encrypted": (lambda audience: f"{MINTED.sign(okta(audience))}.a.b", "the token is encrypted: .*"),
    "padded": (with_padding, NOT_JWT),
    "claims that are a list": (raw('{"alg":"ES256","kid":"es"}', "[1]"), UNCLEAR),
    "a header that is no JSON": (raw("{alg:ES256}", "{}"), UNCLEAR),
    "the same claim twice": (twice, UNCLEAR),
    "the same header twice": (raw('{"alg":"none","alg":"ES256","kid":"es"}', "{}"), UNCLEAR),
    "claims nested without end": (deep, UNCLEAR),
    "oversized": (by(okta, padding="x" * 20_000), "the token is longer than 16384 bytes"),
    "a logout token": (by(okta, header={"typ": "logout+jwt"}), TYPE),
    "a security event": (by(okta, header={"typ": "secevent+jwt"}), TYPE),
    "an assertion for another server": (by(okta, header={"typ": "oauth-id-jag+jwt"}), TYPE),
    "a type that is no text": (by(okta, header={"typ": 7}), TYPE),
    "an old logout token": (
        by(keycloak, events={"http://schemas.openid.net/event/backchannel-logout": {}}),
        OTHER_USE,
    ),
    "Keycloak, a refresh token": (by(keycloak, typ="Refresh"), OTHER_USE),
    "Keycloak, an ID token": (by(keycloak, typ="ID"), ID_TOKEN),
    "token_use: id": (by(okta, token_use="id"), ID_TOKEN),
    "an ID token by its nonce": (by(okta, nonce="n-1"), ID_TOKEN),
    "an ID token by its at_hash": (by(okta, at_hash="abc"), ID_TOKEN),
    "Entra, an ID token": (no_audience(entra_2, azp=None, scp=None), ID_TOKEN),
    "bound to a key of its client": (by(okta, cnf={"jkt": "0ZcOCORZNYy"}), "the token is bound to a key .*"),
    # Whom it names
    "no subject": (by(okta, sub=None), SUBJECT),
    "an empty subject": (by(okta, sub=""), SUBJECT),
    "a subject without end": (by(okta, sub="x" * 600), SUBJECT),
    "a subject that is a number": (by(okta, sub=7), SUBJECT),
    "the name of a machine": (by(okta, sub="payments-ci"), "the token's subject is the name of a machine here"),
    "groups that are no names": (by(okta, groups=[{"name": "analysts"}]), "the token's groups are not a list of names"),
    "groups without end": (by(okta, groups=["g"] * 501), "the token names more than 500 groups"),
    "Entra, too many groups to list": (by(entra_1, groups=None, **OVERAGE), TOO_MANY_GROUPS),
    "Entra, hasgroups": (by(entra_1, groups=None, hasgroups=True), TOO_MANY_GROUPS),
    "an actor that is a name": (by(okta, act="bot"), "the token's actor is not a set of claims"),
    "an actor of elsewhere": (by(okta, act={"sub": "bot", "iss": AUTH0}), "the token's actor is of another issuer"),
    "five actors": (
        by(okta, act={"sub": "1", "act": {"sub": "2", "act": {"sub": "3", "act": {"sub": "4", "act": {"sub": "5"}}}}}),
        "the token names more than 4 actors",
    ),
    "Google, of another company": (no_audience(google, hd="evil.example"), REQUIRED),
    "Google, of no company": (no_audience(google, hd=None), REQUIRED),
    "Google, an address that is not verified": (no_audience(google, email_verified=False), REQUIRED),
    "GitHub, another repository": (by(github, repository="evil/payments"), NO_MACHINE),
    "GitHub, a repository that begins alike": (by(github, repository="acme/payments-fork"), NO_MACHINE),
    "GitHub, another branch": (by(github, ref="refs/heads/main2"), NO_MACHINE),
    "GitHub, a pull request": (by(github, ref="refs/pull/7/merge"), NO_MACHINE),
    "GitHub, a list that holds the repository": (by(github, repository={"acme/payments": 1}), NO_MACHINE),
    "GitHub, two machines at once": (
        by(github, environment="production"),
        "the token fits more than one of the machines that are named here",
    ),
    "GitLab, an unprotected branch": (by(gitlab, ref_protected="false"), NO_MACHINE),
    "Kubernetes, another namespace": (
        by(kubernetes, **DEV),
        NO_MACHINE,
    ),
    "Kubernetes, an old secret's token": (
        by(kubernetes, exp=None, iat=None, nbf=None),
        "the token lacks the claim exp",
    ),
    "SPIFFE, another trust domain": (by(spiffe, sub="spiffe://evil.example/ns/reports/sa/x"), NO_MACHINE),
    "SPIFFE, without an issuer": (by(spiffe, iss=None), "the token does not name its issuer"),
    "the same key, another issuer": (by(okta, iss=KEYCLOAK, aud=GOOGLE_CLIENT), r"the token's audience is .*"),
}

DENIED: dict[str, tuple[Token, str]] = {
    "an agent that may act for nobody": (by(okta, act={"sub": "bot-99"}), "not by nine"),
    "a person for whom nobody may act": (by(okta, sub="mallory", **BOT), "not for mallory by anybody"),
}
MORE_ON_RECORD = {
    "Google, of another company": " (hd)",
    "Google, of no company": " (hd)",
    "Google, an address that is not verified": " (email_verified)",
    "GitHub, two machines at once": " (payments-ci, payments-release)",
}
"""What operators may know, and callers need not."""
