"""The vault against a real recorder: what was shown comes back to those who were shown it, and to nobody else."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import psycopg
import pytest

from countersign.masking.unmask import opening
from countersign.runtime.token_keys import TokenOwner
from countersign.runtime.tokens import NotKept, NotPutBack, TokenVault, VaultFull
from tests.support.events import new_id
from tests.support.postgres import Postgres
from tests.support.recorders import running_recorder

KEY = bytes(range(32))
ISSUER = "https://issuer.example"
SSN, MAIL, PIN = "219-09-" + "9999", "jane@" + "example.org", "4711"


def owner() -> TokenOwner:
    return TokenOwner(new_id(), ISSUER, "alice", "orders")


def body(arguments: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"arguments": arguments}}).encode()


@pytest.fixture(scope="module")
def dsn(postgres: Postgres) -> str:
    return postgres.database()


@pytest.fixture
async def vaults(dsn: str) -> AsyncIterator[tuple[TokenVault, TokenVault]]:
    """Those of two maskers, each with a recorder of its own."""
    async with AsyncExitStack() as stack:
        made = []
        for _ in range(2):
            _, address = await stack.enter_async_context(running_recorder(dsn))
            vault = TokenVault(address, KEY)
            await vault.start()
            stack.push_async_callback(vault.close)
            made.append(vault)
        yield made[0], made[1]


async def shown(vault: TokenVault, of: TokenOwner, *values: str) -> list[str]:
    """Show values, and return their tokens."""
    mint = vault.mint(of)
    tokens = [str(mint.text(value)) for value in values]
    assert not await vault.keep(of, mint.made)
    return tokens


async def test_what_one_masker_showed_another_puts_back(vaults: tuple[TokenVault, TokenVault]) -> None:
    alice = owner()
    ssn, mail, pin = await shown(vaults[0], alice, SSN, MAIL, PIN)
    turned = await vaults[1].put_back(alice, body({"q": f"ssn = '{ssn}'", "to": [mail], "pin": pin}), max_depth=64)
    assert turned.text.encode() == body({"q": f"ssn = '{SSN}'", "to": [MAIL], "pin": PIN})
    assert turned.tokens == {SSN: ssn, MAIL: mail, PIN: pin}
    assert await shown(vaults[1], alice, SSN, MAIL, PIN) == [ssn, mail, pin]


@pytest.mark.parametrize("attack", ["session_id", "issuer", "subject", "target"])
async def test_nobody_else_can_have_a_token_turned(vaults: tuple[TokenVault, TokenVault], attack: str) -> None:
    alice = owner()
    ssn, pin = await shown(vaults[0], alice, SSN, PIN)
    stranger = replace(alice, **{attack: new_id()})
    untouched = await vaults[0].put_back(stranger, body({"a": ssn}), max_depth=64)
    assert (untouched.text.encode(), untouched.tokens) == (body({"a": ssn}), {})
    with pytest.raises(NotPutBack) as refusal:
        await vaults[0].put_back(stranger, body({"a": pin}), max_depth=64)
    assert pin not in str(refusal.value)
    assert await vaults[0].real_values(stranger, {opening(ssn), pin}) == {}
    assert await shown(vaults[0], stranger, SSN, PIN) != [ssn, pin]


async def test_another_deployment_can_read_nothing_of_the_database(
    vaults: tuple[TokenVault, TokenVault], dsn: str
) -> None:
    alice = owner()
    # Too long to stand by chance among the digits of ids, times and ciphers.
    number = "".join(str(digit) for digit in random.Random(7).choices(range(1, 10), k=20))
    (token,) = await shown(vaults[0], alice, number)
    async with running_recorder(dsn) as (_, address):
        other = TokenVault(address, bytes(32))
        await other.start()
        assert await other.real_values(alice, {token}) == {}
        await other.close()
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        rows = await (await connection.execute("SELECT row(t.*)::text FROM countersign.tokens AS t")).fetchall()
    assert rows
    assert not any(clear in str(rows) for value in (token, number) for clear in (value, value.encode().hex()))


async def test_values_that_meet_in_one_token_draw_again_and_both_come_back(
    vaults: tuple[TokenVault, TokenVault],
) -> None:
    alice = owner()
    (first,) = await shown(vaults[0], alice, PIN)
    mint = vaults[1].mint(alice)
    # A collision is too rare to wait for.
    unkept = await vaults[1].keep(alice, {first: "another"})
    assert unkept.taken == {first}
    mint.avoid(unkept.taken, unkept.echoes)
    second = str(mint.text("another"))
    assert not await vaults[1].keep(alice, mint.made)
    turned = await vaults[0].put_back(alice, body([first, second]), max_depth=64)
    assert turned.text.encode() == body([PIN, "another"])


async def test_a_token_that_a_target_sends_back_is_told_from_a_value(vaults: tuple[TokenVault, TokenVault]) -> None:
    alice = owner()
    (mail,) = await shown(vaults[0], alice, MAIL)
    mint = vaults[1].mint(alice)
    again = mint.text(mail)
    assert again != mail
    unkept = await vaults[1].keep(alice, mint.made)
    assert unkept.echoes == {mail}
    assert not unkept.taken


async def test_a_session_with_too_many_tokens_is_told_so(vaults: tuple[TokenVault, TokenVault], dsn: str) -> None:
    alice = owner()
    await shown(vaults[0], alice, SSN)
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute(
            "UPDATE countersign.token_sessions SET held = 1000000 WHERE session_id = %s", (alice.session_id,)
        )
    with pytest.raises(VaultFull):
        await shown(vaults[0], alice, MAIL)
    await shown(vaults[1], alice, SSN)


async def test_without_a_recorder_nothing_is_kept_and_nothing_put_back() -> None:
    vault, alice = TokenVault("127.0.0.1:1", KEY), owner()
    with pytest.raises(NotKept):
        await vault.keep(alice, {"a": "b"})
    with pytest.raises(NotPutBack):
        await vault.put_back(alice, body({"a": "b"}), max_depth=64)
    assert (await vault.put_back(alice, body({}), max_depth=64)).text.encode() == body({})


async def test_looking_for_tokens_in_a_large_request_holds_up_nobody() -> None:
    vault, large = TokenVault("127.0.0.1:1", KEY), body({"a": [""] * 50_000})
    looking = asyncio.ensure_future(vault.put_back(owner(), large, max_depth=64))
    await asyncio.sleep(0)
    assert not looking.done()
    assert (await looking).text.encode() == large
