"""What tools declare of their output, as it was accepted, for those who keep answers so."""

from __future__ import annotations

from countersign.jsontext import parse
from countersign.recorder.tools.ports import PinStore
from tests.contract.tools.test_recorder import following, observe
from tests.contract.tools.test_store import drop, see
from tests.support.pins import offer
from tests.support.postgres import Postgres
from tests.support.recorders import running_recorder, until

SCHEMA, OTHER = {"type": "object", "properties": {"a": {"enum": [1.50]}}}, {"type": "object", "minProperties": 1}
GOOD, PLAIN = offer(outputSchema=SCHEMA), offer("plain")
CHANGED = offer(outputSchema=OTHER)


async def test_a_tool_is_returned_with_what_was_accepted_of_it(stores: tuple[PinStore, PinStore]) -> None:
    one, other = stores
    await see(one, "shop", GOOD, PLAIN)
    await see(one, "shop", CHANGED, PLAIN)
    found = await other.tool("shop", "query")
    assert found is not None
    assert found.accepted is not None
    assert (found.accepted.definition, found.seen) == (GOOD.definition, CHANGED)
    assert await other.tool("shop", "unknown") is None
    assert await other.tool("elsewhere", "query") is None
    await drop(one, "shop", CHANGED)
    assert await other.tool("shop", "query") is None


async def test_the_accepted_schema_is_told_and_remembered(postgres: Postgres) -> None:
    dsn = postgres.database()
    async with running_recorder(dsn) as (_, address), following(address) as pins:
        await observe(pins, GOOD, PLAIN)
        await until(lambda: pins.pin("shop", "plain") is not None)
        schema = await pins.output_schema("shop", "query")
        accepted = parse(GOOD.definition).root
        assert isinstance(accepted, dict)
        assert schema == accepted["outputSchema"]
        assert await pins.output_schema("shop", "plain") is None
        assert await pins.output_schema("shop", "unknown") is None
        assert await pins.output_schema("elsewhere", "query") is None
        # Changed, and not accepted: what was accepted still counts.
        await observe(pins, CHANGED, PLAIN)
        assert await pins.output_schema("shop", "query") == schema


async def test_without_a_recorder_nothing_is_known_and_nothing_fails(postgres: Postgres) -> None:
    dsn = postgres.database()
    async with running_recorder(dsn) as (_, address), following(address) as pins:
        await observe(pins, GOOD)
        await until(lambda: pins.pin("shop", "query") is not None)
        await pins.close()
        assert await pins.output_schema("shop", "query") is None
