"""What each target is shown, to whom it belongs, and when it is forgotten."""

from __future__ import annotations

import asyncio
import base64
import itertools
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import pytest
from starlette.responses import JSONResponse

from countersign.config import Secret, Target
from countersign.config.types_credentials import (
    Asked,
    Basic,
    Bearer,
    ClientCredentials,
    Credential,
    OAuthClient,
    SecretFrom,
    Stated,
    Stored,
    TokenExchange,
    Vault,
)
from countersign.credentials import CredentialUnavailable, Presented, Surroundings, TargetCredentials
from countersign.model.principal import Principal, PrincipalKind
from tests.support.token_server import CLIENT_ID, TokenServer, running_token_server

JWT = "urn:ietf:params:oauth:token-type:jwt"
ALICE = Principal("https://idp.test", "alice", (), PrincipalKind.PERSON, "t1")
BOB = Principal("https://idp.test", "bob", (), PrincipalKind.PERSON, "t2")
NOTHING: Mapping[str, SecretFrom] = {}


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def started() -> Iterator[TokenServer]:
    with running_token_server() as running:
        yield running


@pytest.fixture
def server(started: TokenServer) -> TokenServer:
    started.lie, started.subjects = None, lambda token: token.partition(" ")[0]
    started.asked.clear()
    started.stored = {"kv/data/crm": {"key": "kept"}}
    return started


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def credentials(clock: Clock) -> AsyncIterator[TargetCredentials]:
    ids = itertools.count()
    shown = TargetCredentials(Surroundings(clock, clock, lambda: 0.5, lambda: f"handle {next(ids)}"), most=3)
    yield shown
    await shown.close()


def target(credential: Credential | None, name: str = "crm", url: str = "https://crm.test/mcp") -> Target:
    return Target(name, url, credential, f"https://gateway.test/{name}/mcp")


def client(server: TokenServer) -> OAuthClient:
    return OAuthClient(f"{server.url}/token", CLIENT_ID, Stated(Secret(server.client_secret)))


def own(server: TokenServer) -> Target:
    return target(Credential(TokenExchange(client(server), Asked(), JWT)))


async def shown_to(
    credentials: TargetCredentials, where: Target, who: Principal = ALICE, token: str | None = None
) -> Presented:
    presented = await credentials.present(where, who, Secret(token or f"{who.subject} token"))
    assert presented is not None
    return presented


def of_another_replica(handle: str) -> str:
    return f"{handle.rpartition('.')[0]}.of another process"


def authorization(presented: Presented) -> str:
    return presented.headers["authorization"].reveal()


async def test_a_target_without_a_credential_is_shown_nothing(credentials: TargetCredentials) -> None:
    assert await credentials.present(target(None), ALICE, Secret("x")) is None


async def test_headers_and_passwords_are_shown_in_their_forms(credentials: TargetCredentials) -> None:
    password = Stated(Secret("päss:word"))
    presented = await shown_to(
        credentials, target(Credential(Basic("gateway", password), {"x-api-key": Stated(Secret("Key abc"))}))
    )
    assert presented.headers["x-api-key"].reveal() == "Key abc"
    kind, _, pair = authorization(presented).partition(" ")
    assert (kind, base64.b64decode(pair).decode()) == ("Basic", "gateway:päss:word")
    assert presented.handle == ""
    assert "abc" not in repr(presented)


async def test_what_all_are_shown_is_the_same_until_its_file_changes_and_then_the_new(
    credentials: TargetCredentials, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.touch(mode=0o600)
    file.write_text("first-secret")
    target_of_all = target(Credential(Bearer(Stated(Secret("first-secret"), file)), NOTHING))
    first, second = [await shown_to(credentials, target_of_all, each) for each in (ALICE, BOB)]
    assert first.shared
    assert first.headers is second.headers
    file.write_text("another-secret")
    third = await shown_to(credentials, target_of_all, ALICE)
    assert authorization(third) == "Bearer another-secret"
    assert third.headers is not first.headers


async def test_two_callers_never_get_each_others_token(credentials: TargetCredentials, server: TokenServer) -> None:
    where = own(server)
    several = [ALICE, BOB] * 20
    presented = await asyncio.gather(*(shown_to(credentials, where, who) for who in several))
    assert [server.takes(authorization(each)) for each in presented] == [who.subject for who in several]
    assert len(server.asked) == 2


async def test_calls_under_way_keep_no_credential(credentials: TargetCredentials, server: TokenServer) -> None:
    presented = await shown_to(credentials, own(server))
    assert [len(each.shown.headers) for each in credentials._handles.values()] == [0]
    again = await credentials.again(presented.handle)
    assert again is not None
    assert authorization(again) == authorization(presented)


async def test_another_token_of_the_same_caller_is_exchanged_anew(
    credentials: TargetCredentials, server: TokenServer
) -> None:
    first = await shown_to(credentials, own(server), token="alice one")
    second = await shown_to(credentials, own(server), token="alice two")
    assert authorization(first) != authorization(second)


async def test_one_subject_of_two_issuers_is_two_callers(credentials: TargetCredentials, server: TokenServer) -> None:
    other = Principal("https://other.test", "alice", (), PrincipalKind.PERSON, "t1")
    await shown_to(credentials, own(server))
    await shown_to(credentials, own(server), other)
    assert len(server.asked) == 2


async def test_what_is_kept_for_callers_is_bounded(credentials: TargetCredentials, server: TokenServer) -> None:
    for number in range(6):
        await shown_to(credentials, own(server), token=f"alice {number}")
    await shown_to(credentials, own(server), token="alice 5")
    assert len(server.asked) == 6
    await shown_to(credentials, own(server), token="alice 0")
    assert len(server.asked) == 7


async def test_the_revoked_are_forgotten_and_nobody_else(credentials: TargetCredentials, server: TokenServer) -> None:
    alices, bobs = [await shown_to(credentials, own(server), who) for who in (ALICE, BOB)]
    credentials.drop(lambda principal: principal.subject == "alice")
    with pytest.raises(CredentialUnavailable):
        await credentials.again(alices.handle)
    again = await credentials.again(bobs.handle)
    assert again is not None
    assert authorization(again) == authorization(bobs)
    assert len(server.asked) == 2


async def test_a_refusal_renews_what_was_refused_alone(credentials: TargetCredentials, server: TokenServer) -> None:
    alices, bobs = [await shown_to(credentials, own(server), who) for who in (ALICE, BOB)]
    credentials.refused(alices.handle)
    renewed, same = await credentials.again(alices.handle), await credentials.again(bobs.handle)
    assert renewed is not None
    assert same is not None
    assert authorization(renewed) != authorization(alices)
    assert server.takes(authorization(renewed)) == "alice"
    assert authorization(same) == authorization(bobs)


async def test_what_another_replica_showed_to_all_is_renewed_here(
    credentials: TargetCredentials, server: TokenServer
) -> None:
    where = target(Credential(ClientCredentials(client(server), Asked())))
    first = await shown_to(credentials, where)
    elsewhere = of_another_replica(first.handle)
    credentials.refused(elsewhere)
    again = await credentials.again(elsewhere)
    assert again is not None
    assert authorization(again) != authorization(first)


@pytest.mark.parametrize("back", [False, True])
async def test_what_a_target_is_shown_is_not_shown_where_it_was_before_an_edit(
    credentials: TargetCredentials, server: TokenServer, *, back: bool
) -> None:
    old = target(Credential(ClientCredentials(client(server), Asked())), url="https://old.test/mcp")
    new = target(Credential(ClientCredentials(client(server), Asked(scopes=("write",)))), url="https://new.test/mcp")
    credentials.configure({"crm": old})
    before = of_another_replica((await shown_to(credentials, old)).handle)
    credentials.configure({"crm": new})
    after = of_another_replica((await shown_to(credentials, new)).handle)
    if back:
        credentials.configure({"crm": old})
        before, after = after, before
    asked = len(server.asked)
    credentials.refused(before)
    assert await credentials.again(before) is None
    assert await credentials.again(after) is not None
    assert len(server.asked) == asked


async def test_a_target_that_was_removed_gets_nothing_more(credentials: TargetCredentials, server: TokenServer) -> None:
    shared = target(Credential(ClientCredentials(client(server), Asked())), "shared")
    credentials.configure({"shared": shared, "crm": own(server)})
    handles = [(await shown_to(credentials, where)).handle for where in (shared, own(server))]
    credentials.configure({"crm": target(None)})
    for handle in handles:
        credentials.refused(handle)
        assert await credentials.again(handle) is None
    assert len(server.asked) == 2


@pytest.mark.parametrize("handle", ["crm.", "crm.of another process", "other.x", "", "crm"])
async def test_what_another_replica_showed_to_one_is_nothing_here(
    credentials: TargetCredentials, server: TokenServer, handle: str
) -> None:
    first = await shown_to(credentials, own(server))
    handle = of_another_replica(first.handle) if handle == "crm." else handle
    credentials.refused(handle)
    assert await credentials.again(handle) is None
    assert authorization(await shown_to(credentials, own(server))) == authorization(first)


async def test_an_edit_elsewhere_leaves_tokens_in_use_and_calls_under_way_end_by_what_was_stated(
    credentials: TargetCredentials, server: TokenServer
) -> None:
    before = target(Credential(ClientCredentials(client(server), Asked())))
    after = target(Credential(ClientCredentials(client(server), Asked(scopes=("read",)))))
    credentials.configure({"crm": before})
    first = await shown_to(credentials, before)
    credentials.configure({"crm": target(Credential(ClientCredentials(client(server), Asked())))})
    assert authorization(await shown_to(credentials, before)) == authorization(first)
    credentials.configure({"crm": after})
    assert authorization(await shown_to(credentials, before)) == authorization(first)
    assert authorization(await shown_to(credentials, after)) != authorization(first)
    assert len(server.asked) == 2


async def test_what_is_for_all_is_fetched_before_anybody_calls(
    credentials: TargetCredentials, server: TokenServer
) -> None:
    shared = target(Credential(ClientCredentials(client(server), Asked())), "shared")
    credentials.configure({"shared": shared, "crm": own(server)})
    credentials.prefetch()
    await asyncio.gather(*credentials._tasks)
    assert [form["grant_type"] for form in server.asked] == ["client_credentials"]
    await shown_to(credentials, shared)
    assert len(server.asked) == 1


async def test_an_early_failure_disturbs_nothing(credentials: TargetCredentials, server: TokenServer) -> None:
    server.lie = lambda _: JSONResponse({}, 500)
    credentials.configure({"crm": target(Credential(ClientCredentials(client(server), Asked())))})
    credentials.prefetch()
    await asyncio.gather(*credentials._tasks)
    assert len(server.asked) == 1


async def test_stores_that_are_no_longer_named_are_let_go_of(
    credentials: TargetCredentials, server: TokenServer
) -> None:
    vault = Vault(server.url, "kv", Stated(Secret(server.vault_token)))
    where = target(Credential(Bearer(Stored(vault, "crm", "key"))))
    credentials.configure({"crm": where})
    assert authorization(await shown_to(credentials, where)) == "Bearer kept"
    credentials.configure({})
    assert credentials._stores == {}


async def test_callers_tokens_are_let_go_of_when_theirs_is_over(
    credentials: TargetCredentials, server: TokenServer, clock: Clock
) -> None:
    presented = await shown_to(credentials, own(server))
    clock.now += 4_000
    await shown_to(credentials, own(server), BOB)
    with pytest.raises(CredentialUnavailable):
        await credentials.again(presented.handle)
