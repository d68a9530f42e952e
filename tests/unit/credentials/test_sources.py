"""Secrets in files and stores: read again when they change, and refused when they are none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse

from countersign.config import Secret
from countersign.config.secrets import header_safe
from countersign.config.types_credentials import Kubernetes, SecretStore, Stated, Vault, VaultLogin
from countersign.credentials.errors import CredentialUnavailable
from countersign.credentials.sources import GRACE_S, LOOK_S, InFile, stored
from countersign.credentials.stores import opened
from tests.support.token_server import TokenServer, running_token_server

VALUE = "value-" + "of-the-secret"


@pytest.fixture(scope="module")
def started() -> Iterator[TokenServer]:
    with running_token_server() as running:
        yield running


@pytest.fixture
def server(started: TokenServer) -> TokenServer:
    started.lie = None
    started.read.clear()
    started.stored = {"kv/data/crm/api": {"key": VALUE}, "apps/crm": {"key": VALUE + "\n"}}
    return started


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def private(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path


async def test_a_file_is_read_again_once_it_is_another(tmp_path: Path) -> None:
    source = InFile(private(tmp_path / "token", "one"), header_safe, Clock())
    assert (await source.get()).secret == Secret("one")
    private(tmp_path / "new", "two").replace(tmp_path / "token")
    assert (await source.get()).secret == Secret("two")
    private(tmp_path / "token", "three")
    assert (await source.get()).secret == Secret("three")


async def test_a_change_that_the_file_system_hides_is_seen_soon(tmp_path: Path) -> None:
    clock, path = Clock(), private(tmp_path / "token", "one")
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    source = InFile(path, header_safe, clock)
    await source.get()
    private(path, "two")
    os.utime(path, ns=times)
    clock.now += LOOK_S
    assert (await source.get()).secret == Secret("two")


@pytest.mark.parametrize("spoilt", ["", "two words", "one\ntwo\n"])
async def test_a_file_that_is_just_being_written_leaves_the_old_secret_for_a_moment(
    tmp_path: Path, spoilt: str
) -> None:
    clock, path = Clock(), private(tmp_path / "token", "one")
    source = InFile(path, header_safe, clock)
    await source.get()
    private(path, spoilt)
    assert (await source.get()).secret == Secret("one")
    clock.now += GRACE_S
    with pytest.raises(CredentialUnavailable) as caught:
        await source.get()
    assert "two" not in str(caught.value)
    private(path, "new")
    assert (await source.get()).secret == Secret("new")


async def test_a_file_that_everybody_may_read_is_not_used(tmp_path: Path) -> None:
    path = private(tmp_path / "token", "one")
    path.chmod(0o644)
    with pytest.raises(CredentialUnavailable):
        await InFile(path, header_safe, Clock()).get()
    assert (await InFile(path, header_safe, Clock(), shared=True).get()).secret == Secret("one")


def stores(server: TokenServer, tmp_path: Path) -> dict[str, SecretStore]:
    proof = Stated(Secret(server.client_secret))
    mounted = private(tmp_path / "mounted", server.client_secret)
    vault = Vault(server.url, "kv", Stated(Secret(server.vault_token)))
    return {
        "token": vault,
        "approle": replace(vault, auth=VaultLogin("approle", "role", proof, approle=True)),
        "kubernetes login": replace(
            vault, auth=VaultLogin("kubernetes", "role", Stated(Secret.unread(), mounted, mounted=True))
        ),
        "kubernetes": Kubernetes(server.url, "apps", proof),
    }


WAYS = ("token", "approle", "kubernetes login", "kubernetes")


@pytest.mark.parametrize("way", WAYS)
async def test_stores_give_what_they_hold(server: TokenServer, tmp_path: Path, way: str) -> None:
    store = opened(stores(server, tmp_path)[way], Clock(), lambda: 0.5)
    path = "crm" if way == "kubernetes" else "crm/api"
    assert await store.read(path, "key") == VALUE
    assert await store.read(path, "key") == VALUE
    assert sum("auth/" in read for read in server.read) <= 1
    for missing in (("nothing", "key"), (path, "nothing")):
        with pytest.raises(CredentialUnavailable):
            await store.read(*missing)
    await store.close()


@pytest.mark.parametrize("way", ["approle", "kubernetes login"])
async def test_a_token_that_vault_forgot_is_had_anew(server: TokenServer, tmp_path: Path, way: str) -> None:
    store = opened(stores(server, tmp_path)[way], Clock(), lambda: 0.5)
    await store.read("crm/api", "key")
    server.vault_token = "hvs." + "another"
    assert await store.read("crm/api", "key") == VALUE
    await store.close()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "lie",
    [
        lambda request: RedirectResponse("http://127.0.0.1:1/"),
        lambda request: PlainTextResponse("secret"),
        lambda request: JSONResponse(["secret"]),
        lambda request: JSONResponse({"data": {"data": {"key": ["secret"]}, "key": 7}, "auth": {"client_token": 7}}),
        lambda request: JSONResponse({"data": "x" * 3_000_000}),
        lambda request: JSONResponse({"errors": ["secret"]}, 500),
    ],
    ids=["redirect", "text", "list", "wrong kinds", "too much", "error"],
)
async def test_a_store_that_lies_gives_nothing_and_is_not_repeated(
    server: TokenServer, tmp_path: Path, way: str, lie: object
) -> None:
    server.lie = lie  # type: ignore[assignment]
    store = opened(stores(server, tmp_path)[way], Clock(), lambda: 0.5)
    server.stored.clear()
    with pytest.raises(CredentialUnavailable) as caught:
        await store.read("crm/api" if way != "kubernetes" else "crm", "key")
    assert "secret" not in str(caught.value)
    assert server.client_secret not in str(caught.value)
    assert caught.value.__context__ is None
    await store.close()


async def test_what_a_store_holds_is_read_again_and_outlives_a_short_outage() -> None:
    clock = Clock()
    held = ["one"]

    async def read() -> str:
        if not held:
            raise CredentialUnavailable("away")
        return held[0]

    source = stored(read, header_safe, 300, clock, lambda: 0.5)
    assert (await source.get()).secret == Secret("one")
    held.clear()
    clock.now += 599
    assert (await source.get()).secret == Secret("one")
    clock.now += 2
    with pytest.raises(CredentialUnavailable):
        await source.get()


async def test_what_a_store_holds_must_be_fit_for_a_header() -> None:
    async def read() -> str:
        return "value\r\nx-admin: 1"

    with pytest.raises(CredentialUnavailable) as caught:
        await stored(read, header_safe, 300, Clock(), lambda: 0.5).get()
    assert "x-admin" not in str(caught.value)
