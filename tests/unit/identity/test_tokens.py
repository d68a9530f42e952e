"""What tokens, keys and claims may not do to who is named by them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from jwt.utils import base64url_decode

from countersign.config.types_identity import Issuer, Machine
from countersign.identity import IdentityUnavailable, TokenVerifier, Unidentified
from countersign.identity.claims import ClaimPath, Demands
from countersign.identity.keys_file import LOOK_S, FileKeys
from countersign.identity.portal_keys import PortalKeys
from countersign.model.principal import Principal, PrincipalKind
from countersign.model.revocation import RevocationKind
from tests.support.revoking import FakeRevocations, revocation
from tests.support.tokens import GITHUB, KEYCLOAK, OKTA, ec_key, github, minted, okta, rsa_key, text

RESOURCE = "https://gateway.test/orders/mcp"
GATEWAY = "https://gateway.test"
MINTED = minted()
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class World:
    """Verifiers of issuers whose keys are in a file, with a clock of the test's."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "keys.json"
        self.file.write_text(json.dumps(MINTED.jwks()))
        self.now_s = 0.0
        self.revocations = FakeRevocations()

    def verifier(
        self, *issuers: Issuer, machines: tuple[Machine, ...] = (), own: PortalKeys | None = None
    ) -> TokenVerifier:
        return TokenVerifier(
            issuers,
            httpx.AsyncClient(transport=httpx.MockTransport(_nothing)),
            revocations=self.revocations,
            cached=10,
            machines=machines,
            own=own,
            sign_ins=("urn:saml:acme",),
            monotonic=lambda: self.now_s,
        )

    def issuer(self, name: str = OKTA, **said: object) -> Issuer:
        return Issuer(name, keys_file=str(self.file), **said)  # type: ignore[arg-type]


def _nothing(request: httpx.Request) -> httpx.Response:
    raise AssertionError(f"{request.url} was fetched")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def named(verifier: TokenVerifier, token: str) -> Principal:
    return await verifier.verify(f"Bearer {token}", RESOURCE)


async def told(verifier: TokenVerifier, token: str) -> str:
    with pytest.raises(Unidentified) as refused:
        await named(verifier, token)
    return refused.value.description


async def test_a_token_without_an_id_has_one_id_however_its_signature_is_written(world: World) -> None:
    # Else who holds a token that was revoked by its id writes it anew: of (r, s), (r, n - s) is as good.
    token = MINTED.sign(okta(RESOURCE, jti=None))
    message, _, signature = token.rpartition(".")
    raw = base64url_decode(signature)
    r, s = decode_dss_signature(encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")))
    other = f"{message}.{text(r.to_bytes(32, 'big') + (P256_ORDER - s).to_bytes(32, 'big'))}"
    verifier = world.verifier(world.issuer())
    assert other != token
    assert (await named(verifier, other)).token_id == (await named(verifier, token)).token_id


async def test_keys_on_disk_are_read_anew_and_what_they_verified_goes_with_them(world: World) -> None:
    verifier = world.verifier(world.issuer())
    token, stranger = MINTED.sign(okta(RESOURCE)), ec_key("stranger-1")
    assert (await named(verifier, token)).subject == "alice@acme.example"
    world.file.write_text(json.dumps({"keys": [stranger.jwk()]}))
    world.now_s += LOOK_S
    assert "does not publish" in await told(verifier, token)
    assert (await named(verifier, MINTED.sign(okta(RESOURCE), key=stranger))).subject == "alice@acme.example"


async def test_keys_are_read_anew_that_were_put_in_place_with_the_time_and_size_of_the_old(world: World) -> None:
    known, stranger = ec_key("one"), ec_key("two")
    world.file.write_text(json.dumps({"keys": [known.jwk()]}))
    before = world.file.stat()
    verifier, token = world.verifier(world.issuer()), MINTED.sign(okta(RESOURCE), key=known)
    await named(verifier, token)
    world.file.write_text(json.dumps({"keys": [stranger.jwk()]}))
    os.utime(world.file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert world.file.stat().st_size == before.st_size
    world.now_s += LOOK_S
    assert "does not publish" in await told(verifier, token)


@pytest.mark.parametrize("content", [None, "", "{", '{"keys": {}}', '{"keys": []}', "[" * 5000])
async def test_a_file_of_keys_that_cannot_be_read_leaves_nobody_known(world: World, content: str | None) -> None:
    verifier = world.verifier(world.issuer())
    token = MINTED.sign(okta(RESOURCE))
    await named(verifier, token)
    if content is None:
        world.file.unlink()
    else:
        world.file.write_text(content)
    world.now_s += LOOK_S
    with pytest.raises(IdentityUnavailable):
        await named(verifier, token)


async def test_private_and_symmetric_keys_in_a_set_verify_nothing(world: World) -> None:
    own = rsa_key("own")
    private = {**own.jwk(), "d": "AQAB", "kid": "private"}
    world.file.write_text(json.dumps({"keys": [own.jwk(), private, *MINTED.jwks()["keys"]]}))  # type: ignore[misc]
    keys = FileKeys(str(world.file), lambda: 0.0)
    assert await keys.find("own") is not None
    assert await keys.find("private") is None
    assert await keys.find("sym") is None
    assert await keys.find("enc") is None


CLAIMS: Mapping[str, object] = {
    "groups": ["a"],
    "realm_access": {"roles": ["r"]},
    "https://x.example/claim": ["u"],
    "dotted.name": "whole",
    "dotted": {"name": "levels"},
    "kubernetes.io": {"namespace": "payments", "serviceaccount": {"name": "deployer"}},
    "list": [{"name": "in a list"}],
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("groups", ["a"]),
        ("realm_access.roles", ["r"]),
        ("https://x.example/claim", ["u"]),
        ("https://x.example/claim.roles", None),
        ("dotted.name", "whole"),
        ("kubernetes.io.namespace", "payments"),
        ("kubernetes.io.serviceaccount.name", "deployer"),
        ("realm_access.roles.0", None),
        ("list.name", None),
        ("nothing.there", None),
        (".", None),
        ("a." * 400, None),
    ],
)
def test_a_claim_stands_where_its_path_says(path: str, found: object) -> None:
    assert ClaimPath(path).find(CLAIMS) == found


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ({"email_verified": ("true",)}, True),
        ({"run": ("7",)}, True),
        ({"org": ("b*",)}, True),
        ({"org": ("b",)}, False),
        ({"nothing": ("*",)}, False),
        ({"empty": ("*",)}, True),
        ({"object": ("*",)}, False),
        ({"org": ("bc",), "run": ("8",)}, False),
    ],
)
def test_claims_meet_demands_by_their_text_alone(wanted: Mapping[str, tuple[str, ...]], *, fits: bool) -> None:
    claims = {"email_verified": True, "run": 7, "org": ["a", "bc"], "empty": "", "object": {"a": 1}}
    assert (Demands(wanted).unmet(claims) == "") is fits


async def test_a_machines_name_is_nobody_elses_whichever_issuer_says_it(world: World) -> None:
    machine = Machine("ci", GITHUB, {"repository": ("acme/payments",)}, ("release",))
    verifier = world.verifier(world.issuer(), world.issuer(GITHUB, only_machines=True), machines=(machine,))
    assert "name of a machine" in await told(verifier, MINTED.sign(okta(RESOURCE, sub="ci")))
    principal = await named(verifier, MINTED.sign(github(RESOURCE, groups=["admins"])))
    assert (principal.subject, principal.kind, principal.groups) == ("ci", PrincipalKind.MACHINE, ("release",))
    assert principal.token_subject == "repo:acme/payments:ref:refs/heads/main"


async def test_a_machine_says_who_acts_for_it(world: World) -> None:
    machine = Machine("ci", GITHUB, {"repository": ("acme/payments",)})
    verifier = world.verifier(world.issuer(GITHUB, only_machines=True), machines=(machine,))
    principal = await named(verifier, MINTED.sign(github(RESOURCE, act={"sub": "bot"})))
    assert (principal.kind, principal.actors, principal.subject) == (PrincipalKind.AGENT, ("bot",), "ci")


async def test_required_claims_are_required_of_machines_too(world: World) -> None:
    machine = Machine("ci", GITHUB, {"repository": ("acme/payments",)})
    issuer = world.issuer(GITHUB, only_machines=True, required={"repository_owner_id": ("66",)})
    assert "required here" in await told(world.verifier(issuer, machines=(machine,)), MINTED.sign(github(RESOURCE)))


@pytest.mark.parametrize("said", [False, "false", 0, "", [], {}], ids=repr)
async def test_an_address_that_its_issuer_did_not_verify_is_no_subject(world: World, said: object) -> None:
    verifier = world.verifier(world.issuer(subject_claim="email"))
    token = MINTED.sign(okta(RESOURCE, email="alice@acme.example", email_verified=said))
    assert "not verified" in await told(verifier, token)
    good = await named(
        verifier, MINTED.sign(okta(RESOURCE, sub="00u", email="alice@acme.example", email_verified=True))
    )
    assert (good.subject, good.token_subject) == ("alice@acme.example", "00u")


class Portal:
    """The gateway's own portal, and a token that it gave to alice of Okta."""

    def __init__(self) -> None:
        self.keys = PortalKeys(b"k" * 32, f"{GATEWAY}/portal", key_s=3600, generation=1, clock=time.time)

    def token(self, **changed: object) -> str:
        now = int(time.time())
        claims = {
            "iss": self.keys.issuer,
            "aud": RESOURCE,
            "iat": now,
            "exp": now + 600,
            "jti": "p-1",
            "sid": "s-1",
            "idp": OKTA,
            "sub": "alice@acme.example",
            "groups": ["analysts"],
            "client_id": "countersign-cli",
            "auth_time": now,
            **changed,
        }
        return self.keys.sign({name: value for name, value in claims.items() if value is not None})


@pytest.mark.parametrize("name", ["alice\0", "alice\n", "\x1balice", "alice\x7f"], ids=ascii)
async def test_what_not_all_can_keep_and_none_can_see_names_nobody(world: World, name: str) -> None:
    portal = Portal()
    verifier = world.verifier(world.issuer(), own=portal.keys)
    assert "control characters" in await told(verifier, MINTED.sign(okta(RESOURCE, sub=name)))
    assert "control characters" in await told(verifier, MINTED.sign(okta(RESOURCE, act={"sub": name})))
    assert "subject" in await told(verifier, portal.token(sub=name))
    principal = await named(verifier, MINTED.sign(okta(RESOURCE, jti=name, sid=name)))
    assert principal.token_id.startswith("sha256:")
    assert principal.signed_in == ""


async def test_one_person_is_one_principal_by_whichever_token(world: World) -> None:
    portal = Portal()
    verifier = world.verifier(world.issuer(), own=portal.keys)
    direct = await named(verifier, MINTED.sign(okta(RESOURCE)))
    by_portal = await named(verifier, portal.token())
    assert (by_portal.issuer, by_portal.subject) == (direct.issuer, direct.subject)
    assert (by_portal.signed_in, by_portal.kind, by_portal.groups) == ("s-1", PrincipalKind.PERSON, ("analysts",))
    assert by_portal.issued_s > 0
    assert (await named(verifier, portal.token(idp="urn:saml:acme"))).issuer == "urn:saml:acme"


@pytest.mark.parametrize(
    "changed",
    [
        {"idp": None},
        {"idp": "https://removed.example"},
        {"idp": [OKTA]},
        {"idp": GITHUB},
        {"sub": "ci"},
        {"sub": ""},
        {"aud": "https://gateway.test/other/mcp"},
        {"aud": None},
        {"exp": 1_000},
        {"exp": None},
    ],
    ids=str,
)
async def test_a_token_of_the_portal_for_anything_else_is_refused(world: World, changed: dict[str, object]) -> None:
    portal = Portal()
    issuers = (world.issuer(), world.issuer(GITHUB, only_machines=True))
    machine = Machine("ci", GITHUB, {"repository": ("acme/payments",)})
    verifier = world.verifier(*issuers, machines=(machine,), own=portal.keys)
    with pytest.raises(Unidentified):
        await named(verifier, portal.token(**changed))


@pytest.mark.parametrize("at_s", [1_000, None, "soon", True], ids=str)
async def test_what_strikes_an_old_sign_in_strikes_tokens_that_were_refreshed_since(world: World, at_s: object) -> None:
    portal = Portal()
    world.revocations.revoke(revocation(RevocationKind.PRINCIPAL, "alice@acme.example", OKTA, before_s=2_000))
    verifier = world.verifier(world.issuer(), own=portal.keys)
    assert (await named(verifier, portal.token())).issued_s > 2_000
    assert "revoked" in await told(verifier, portal.token(auth_time=at_s))


async def test_a_portal_whose_clock_is_ahead_lets_people_in_and_one_that_is_behind_for_no_longer(
    world: World,
) -> None:
    portal, now = Portal(), int(time.time())
    verifier = world.verifier(world.issuer(), own=portal.keys)
    assert await named(verifier, portal.token(iat=now + 3, nbf=now + 3))
    assert "not valid yet" in await told(verifier, portal.token(iat=now + 60))
    assert "expired" in await told(verifier, portal.token(exp=now - 1))


async def test_another_issuer_cannot_speak_for_the_portal_nor_the_portal_for_it(world: World) -> None:
    portal = Portal()
    verifier = world.verifier(world.issuer(), own=portal.keys)
    claims = okta(RESOURCE, iss=portal.keys.issuer, idp=OKTA)
    assert "does not publish" in await told(verifier, MINTED.sign(claims, typ="at+jwt"))
    assert "does not publish" in await told(verifier, portal.token(iss=OKTA))
    assert "not one of this gateway's" in await told(world.verifier(world.issuer()), portal.token())
    assert "not one of this gateway's" in await told(verifier, portal.token(iss=KEYCLOAK))
