"""Only a token that a configured issuer signed, for this resource, at this time, makes a principal."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from jwt.warnings import InsecureKeyLengthWarning

from countersign.config import Issuer as ConfiguredIssuer
from countersign.demo.issuer import Issuer, SigningKey
from countersign.identity import IdentityUnavailable, TokenVerifier, Unidentified
from countersign.identity.jws import MAX_TOKEN_BYTES
from countersign.identity.keys import FLOOR_S, FRESH_S, STALE_S, IssuerKeys
from countersign.model.principal import PrincipalKind
from tests.support.issuer import FORGERIES, Mint
from tests.support.revoking import FakeRevocations

ISSUER_URL = "http://127.0.0.1:1"
RESOURCE = "https://gateway.test/orders/mcp"


class World:
    """An issuer that is reached without a network, and clocks under the test's control."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.up = True
        self.fetched: list[str] = []
        self.discovery_changes: dict[str, object] = {}
        self.issuer = Issuer(ISSUER_URL)
        self.mint = Mint(self.issuer)
        self.client = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))
        self.revocations = FakeRevocations()
        self.verifier = TokenVerifier(
            (ConfiguredIssuer(ISSUER_URL),),
            self.client,
            revocations=self.revocations,
            cached=100,
            monotonic=lambda: self.now_s,
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.fetched.append(request.url.path)
        if not self.up:
            raise httpx.ConnectError("down")
        if request.url.path == "/.well-known/openid-configuration":
            return httpx.Response(200, json={**self.issuer.discovery(), **self.discovery_changes})
        return httpx.Response(200, json=self.issuer.jwks())

    async def verify(self, token: str, resource: str = RESOURCE) -> str:
        return (await self.verifier.verify(f"Bearer {token}", resource)).subject


@pytest.fixture
def world() -> World:
    return World()


async def test_a_good_token_makes_a_principal(world: World) -> None:
    principal = await world.verifier.verify(f"Bearer {world.mint.token('alice', RESOURCE, jti='id-1')}", RESOURCE)
    assert (principal.issuer, principal.subject, principal.groups) == (ISSUER_URL, "alice", ("analysts",))
    assert (principal.kind, principal.token_id) == (PrincipalKind.PERSON, "id-1")


async def test_a_client_that_is_its_own_subject_is_a_machine(world: World) -> None:
    token = world.mint.token("alice", RESOURCE, client_id="alice")
    assert (await world.verifier.verify(f"Bearer {token}", RESOURCE)).kind is PrincipalKind.MACHINE


@pytest.mark.parametrize(
    "said",
    [
        {"cid": "alice"},
        {"gty": "client-credentials", "azp": "x"},
        {"sub": "x@clients", "azp": "x"},
        {"idtyp": "app", "azp": "x"},
        {"azp": "x", "preferred_username": "service-account-x"},
        {"client_id": "x", "preferred_username": "service-account-x"},
    ],
    ids=["okta", "auth0", "auth0 by its subject", "entra", "keycloak", "keycloak by client_id"],
)
async def test_a_client_on_its_own_is_a_machine_however_its_issuer_says_so(
    world: World, said: dict[str, object]
) -> None:
    # Else it would agree to calls as people do, or break the glass for its own.
    token = world.mint.token("alice", RESOURCE, **said)
    assert (await world.verifier.verify(f"Bearer {token}", RESOURCE)).kind is PrincipalKind.MACHINE


@pytest.mark.parametrize(
    "said",
    [
        {"azp": "x", "cid": "x", "gty": "password", "idtyp": "user", "preferred_username": "alice"},
        {"preferred_username": "service-account-x"},
        {"azp": "x", "preferred_username": ["service-account-x"]},
        {"sub": "alice@clients"},
        {"azp": "", "sub": "@clients"},
    ],
)
async def test_whoever_uses_a_client_is_a_person(world: World, said: dict[str, object]) -> None:
    token = world.mint.token("alice", RESOURCE, **said)
    assert (await world.verifier.verify(f"Bearer {token}", RESOURCE)).kind is PrincipalKind.PERSON


@pytest.mark.parametrize(
    ("act", "actors"),
    [
        ({"sub": "bot"}, ("bot",)),
        ({"sub": "bot", "iss": ISSUER_URL, "client_id": "x"}, ("bot",)),
        ({"sub": "bot", "act": {"sub": "planner", "act": {"sub": "desk"}}}, ("bot", "planner", "desk")),
    ],
)
async def test_whoever_acts_for_the_subject_is_an_agent_and_is_named(
    world: World, act: object, actors: tuple[str, ...]
) -> None:
    token = world.mint.token("alice", RESOURCE, act=act)
    principal = await world.verifier.verify(f"Bearer {token}", RESOURCE)
    assert (principal.subject, principal.kind, principal.actors) == ("alice", PrincipalKind.AGENT, actors)
    by_itself = await world.verifier.verify(f"Bearer {world.mint.token('alice', RESOURCE)}", RESOURCE)
    assert by_itself.actors == ()


async def test_a_machine_through_which_an_agent_acts_is_an_agent(world: World) -> None:
    token = world.mint.token("alice", RESOURCE, client_id="alice", act={"sub": "bot"})
    assert (await world.verifier.verify(f"Bearer {token}", RESOURCE)).kind is PrincipalKind.AGENT


def acting(depth: int) -> dict[str, object]:
    return {"sub": f"bot{depth}"} | ({"act": acting(depth - 1)} if depth > 1 else {})


@pytest.mark.parametrize(
    ("act", "told"),
    [
        ("bot", "not a set of claims"),
        ([{"sub": "bot"}], "not a set of claims"),
        (False, "not a set of claims"),
        ({}, "subject of the token's actor"),
        ({"sub": ""}, "subject of the token's actor"),
        ({"sub": 7}, "subject of the token's actor"),
        ({"sub": "x" * 513}, "subject of the token's actor"),
        ({"sub": "bot", "iss": "https://other.test"}, "of another issuer"),
        ({"sub": "bot", "iss": None}, "of another issuer"),
        ({"sub": "bot", "act": None}, "not a set of claims"),
        ({"sub": "bot", "act": {"client_id": "x"}}, "subject of the token's actor"),
        (acting(5), "more than 4 actors"),
    ],
)
async def test_a_token_that_does_not_plainly_say_who_acts_is_refused(world: World, act: object, told: str) -> None:
    with pytest.raises(Unidentified) as refused:
        await world.verify(world.mint.token("alice", RESOURCE, act=act))
    assert told in refused.value.description


async def test_a_token_without_an_id_is_named_by_a_digest_and_never_by_itself(world: World) -> None:
    token = world.mint.token("alice", RESOURCE, jti=None)
    principal = await world.verifier.verify(f"Bearer {token}", RESOURCE)
    assert principal.token_id.startswith("sha256:")
    assert principal.token_id not in token


@pytest.mark.parametrize("how", FORGERIES)
async def test_no_forgery_is_taken(world: World, how: str) -> None:
    with pytest.raises(Unidentified):
        await world.verify(world.mint.forged("alice", RESOURCE, how))


@pytest.mark.parametrize("missing", [("iss",), ("aud",), ("exp",), ("nbf", "iat"), ("sub",)], ids=" and ".join)
async def test_a_token_without_a_required_claim_is_refused(world: World, missing: tuple[str, ...]) -> None:
    with pytest.raises(Unidentified):
        await world.verify(world.mint.token("alice", RESOURCE, **dict.fromkeys(missing)))


@pytest.mark.parametrize(
    ("claim", "value", "told"),
    [
        ("aud", "https://gateway.test/billing/mcp", f"this resource is {RESOURCE}"),
        ("aud", [], "aud"),
        ("iss", "https://other.test", "issuer"),
        ("exp", 1_000, "expired"),
        ("nbf", 9_999_999_999, "not valid yet"),
        ("sub", "", "subject"),
        ("sub", 7, ""),
        ("sub", "x" * 600, "subject"),
        ("groups", {"admin": True}, "groups"),
        ("groups", [1], "groups"),
        ("groups", ["g"] * 501, "groups"),
        ("exp", "soon", ""),
    ],
)
async def test_a_wrong_claim_is_refused_with_a_word_that_helps(
    world: World, claim: str, value: object, told: str
) -> None:
    token = world.mint.token("alice", RESOURCE, **{claim: value})
    with pytest.raises(Unidentified) as refused:
        await world.verify(token)
    assert told in refused.value.description
    assert token not in refused.value.description


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic YTpi", "Bearer a.b.c", "Bearer x", "Bearer a.b.c,Bearer d.e.f"]
)
async def test_what_is_no_bearer_token_is_refused(world: World, header: str | None) -> None:
    with pytest.raises(Unidentified):
        await world.verifier.verify(header, RESOURCE)


async def test_an_oversized_token_is_refused_before_anything_is_fetched(world: World) -> None:
    with pytest.raises(Unidentified):
        await world.verify("a" * (MAX_TOKEN_BYTES + 1))
    assert world.fetched == []


async def test_nothing_outside_the_configured_issuers_is_fetched(world: World) -> None:
    token = world.issuer.sign(
        {**world.issuer.claims("alice", RESOURCE), "iss": "https://evil.test"},
        headers={"jku": "https://evil.test/keys", "x5u": "https://evil.test/cert"},
    )
    with pytest.raises(Unidentified):
        await world.verify(token)
    assert world.fetched == []


@pytest.mark.parametrize("kid", ["../../etc/passwd", "' OR 1=1 --", "k" * 5000])
async def test_a_tricky_key_id_is_only_a_key_id(world: World, kid: str) -> None:
    with pytest.raises(Unidentified):
        await world.verify(world.issuer.sign(world.issuer.claims("alice", RESOURCE), headers={"kid": kid}))


async def test_a_remembered_token_is_verified_anew_past_its_end(world: World) -> None:
    now_s = [time.time()]
    verifier = TokenVerifier(
        (ConfiguredIssuer(ISSUER_URL),),
        world.client,
        revocations=FakeRevocations(),
        cached=100,
        clock=lambda: now_s[0],
        monotonic=lambda: world.now_s,
    )
    token = world.mint.token("alice", RESOURCE, exp=int(time.time()) + 2)
    await verifier.verify(f"Bearer {token}", RESOURCE)
    # Its signature and claims are looked at again from here on.
    now_s[0] += 3600
    world.up = False
    world.now_s += STALE_S + 1
    with pytest.raises(IdentityUnavailable):
        await verifier.verify(f"Bearer {token}", RESOURCE)


async def test_a_remembered_token_dies_with_its_key(world: World) -> None:
    token = world.mint.token("alice", RESOURCE)
    await world.verify(token)
    world.issuer.rotate(keep_old=False)
    world.now_s += FRESH_S + 1
    # The first call after that finds the keys old and has them fetched; from then on the old key is unknown.
    await world.verify(world.mint.token("alice", RESOURCE))
    with pytest.raises(Unidentified):
        await world.verify(token)


async def test_a_key_that_is_taken_back_is_missed_though_nobody_calls_who_is_not_remembered(world: World) -> None:
    token = world.mint.token("alice", RESOURCE)
    await world.verify(token)
    world.issuer.rotate(keep_old=False)
    world.now_s += FRESH_S + 1
    before = len(world.fetched)
    await world.verify(token)
    keys = world.verifier._keys[ISSUER_URL, ""]
    assert isinstance(keys, IssuerKeys)
    assert keys._fetching is not None
    await keys._fetching
    assert len(world.fetched) == before + 2
    with pytest.raises(Unidentified):
        await world.verify(token)


async def test_an_issuer_that_takes_all_its_keys_back_has_nobody_left(world: World) -> None:
    token, unknown = (
        world.mint.token("alice", RESOURCE),
        world.mint.forged("alice", RESOURCE, "a key that nobody published"),
    )
    await world.verify(token)
    world.issuer._keys.clear()
    world.now_s += FRESH_S + 1
    with pytest.raises(Unidentified):
        await world.verify(unknown)
    with pytest.raises(Unidentified):
        await world.verify(token)


async def test_a_rotated_key_is_found_without_a_restart(world: World) -> None:
    await world.verify(world.mint.token("alice", RESOURCE))
    world.issuer.rotate()
    world.now_s += FLOOR_S + 1
    assert await world.verify(world.mint.token("bob", RESOURCE)) == "bob"


async def test_a_flood_of_unknown_key_ids_fetches_once(world: World) -> None:
    await world.verify(world.mint.token("alice", RESOURCE))
    world.now_s += FLOOR_S + 1
    before = len(world.fetched)
    forged = [world.mint.forged("alice", RESOURCE, "a key that nobody published") for _ in range(30)]
    results = await asyncio.gather(*(world.verify(token) for token in forged), return_exceptions=True)
    assert all(isinstance(result, Unidentified) for result in results)
    assert len(world.fetched) - before == 2  # discovery and keys, once


async def test_an_issuer_that_was_never_reached_leaves_everybody_unidentifiable(world: World) -> None:
    world.up = False
    with pytest.raises(IdentityUnavailable):
        await world.verify(world.mint.token("alice", RESOURCE))


async def test_keys_of_a_silent_issuer_are_trusted_for_a_bounded_time(world: World) -> None:
    token = world.mint.token("alice", RESOURCE)
    await world.verify(token)
    world.up = False
    world.now_s = STALE_S - 1
    assert await world.verify(token) == "alice"
    world.now_s = STALE_S + FLOOR_S + 1
    with pytest.raises(IdentityUnavailable):
        await world.verify(token)


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://evil.test"},
        {"jwks_uri": "http://evil.test/keys"},
        {"jwks_uri": "file:///etc/keys"},
        {"jwks_uri": 7},
    ],
)
async def test_a_lying_discovery_document_gives_no_keys(world: World, changes: dict[str, object]) -> None:
    world.discovery_changes = changes
    with pytest.raises(IdentityUnavailable):
        await world.verify(world.mint.token("alice", RESOURCE))


async def test_a_removed_issuer_is_trusted_no_more(world: World) -> None:
    token = world.mint.token("alice", RESOURCE)
    await world.verify(token)
    world.verifier.configure((ConfiguredIssuer("https://other.test"),), cached=100)
    with pytest.raises(Unidentified):
        await world.verify(token)


async def test_an_issuer_removed_while_its_keys_are_fetched_is_trusted_no_more(world: World) -> None:
    token = world.mint.token("alice", RESOURCE)
    under_way = asyncio.ensure_future(world.verify(token))
    await asyncio.sleep(0)
    world.verifier.configure((ConfiguredIssuer("https://other.test"),), cached=100)
    with pytest.raises(Unidentified):
        await under_way
    with pytest.raises(Unidentified):
        await world.verify(token)


async def test_a_caller_that_goes_away_does_not_take_the_fetch_along(world: World) -> None:
    token = world.mint.token("alice", RESOURCE)
    impatient = asyncio.ensure_future(world.verify(token))
    await asyncio.sleep(0)
    impatient.cancel()
    assert await world.verify(token) == "alice"


async def test_weak_rsa_keys_are_not_used(world: World) -> None:
    weak = SigningKey("weak", "RS256", generate_private_key(public_exponent=65537, key_size=1024))
    world.issuer._keys.append(weak)
    with pytest.warns(InsecureKeyLengthWarning):
        token = world.issuer.sign(world.issuer.claims("alice", RESOURCE), key=weak)
    with pytest.raises(Unidentified):
        await world.verify(token)
