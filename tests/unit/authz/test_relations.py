"""The record says which tables a statement named, and shows no name that a mask finds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from countersign.authz import relations
from countersign.authz.relations import HIDDEN, MORE, relations_of
from countersign.config import SecretUse
from countersign.masking import Masker
from countersign.model.decision import Outcome
from countersign.model.event import Event
from countersign.policy import relations_named
from countersign.runtime.rulebook import Rulebook
from countersign.statements import Verdict, classify_sql
from tests.support.cost import cpu_s
from tests.unit.authz.bench import CREDENTIAL, GATEWAY, Bench, call, inquiry

ASKING = """
  - {name: scripts, allow: {groups: [analysts], targets: [orders], tools: [script]},
     when: "sql(args.text, 'mysql').only_reads"}
  - {name: lists, allow: {groups: [analysts], targets: [orders], tools: [batch]},
     when: "args.each.all(one, sql(one, 'postgres').only_reads)"}
  - {name: tried, mode: shadow, deny: {targets: [orders], tools: [tool_tried]}, when: "sql(args.q, 'tsql').unparsable"}
masks:"""
CARD = "4111" + "1111" * 3
MAIL = "ann" + "@" + "example.com"
QUERY = frozenset({(("sql",), "postgres")})


@pytest.fixture(scope="module")
def rulebook(tmp_path_factory: pytest.TempPathFactory, rules_cache: Path) -> Rulebook:
    path = tmp_path_factory.mktemp("relations") / "gateway.yaml"
    text = GATEWAY.replace("\nmasks:", ASKING).replace("[email]", "[email, credit_card]")
    path.write_text(text)
    return Rulebook(path, {"ORDERS_TOKEN": CREDENTIAL}, rules_cache, reads={SecretUse.TARGETS})


@pytest.fixture
def masker(rulebook: Rulebook) -> Masker:
    return rulebook.current.masks.for_records()


async def recorded(rulebook: Rulebook, tool: str, **arguments: object) -> Event:
    bench = Bench(rulebook)
    await bench.ask(inquiry(call(tool, arguments)))
    [event] = bench.sink.durable
    return event


def named(masker: Masker, *statements: str) -> tuple[str, ...]:
    params = json.dumps({"name": "query", "arguments": {"sql": list(statements)}})
    return relations_of(QUERY, params, masker.json(params.encode()).data, masker)


async def test_the_event_names_what_the_targets_own_statements_name(rulebook: Rulebook) -> None:
    event = await recorded(rulebook, "query", sql="SELECT * FROM Users u, sales.orders WHERE u.id = 7")
    assert event.relations == ("sales.orders", "users")


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("script", {"text": "SELECT * FROM users"}),
        ("batch", {"each": ["SELECT * FROM users", "SELECT 1"]}),
        ("tool_tried", {"q": "SELECT * FROM users"}),
    ],
    ids=["asked", "asked of each", "on trial"],
)
async def test_the_event_names_what_a_condition_asked_about(
    rulebook: Rulebook, tool: str, arguments: dict[str, object]
) -> None:
    assert (await recorded(rulebook, tool, **arguments)).relations == ("users",)


async def test_a_denied_call_tells_what_it_wanted(rulebook: Rulebook) -> None:
    event = await recorded(rulebook, "script", text="DELETE FROM users")
    assert event.decision is not None
    assert (event.decision.outcome, event.relations) == (Outcome.DENY, ("users",))


@pytest.mark.parametrize("tool", ["tool_other", "export"])
async def test_other_arguments_are_no_statements(rulebook: Rulebook, tool: str) -> None:
    assert (await recorded(rulebook, tool, sql="SELECT * FROM users", text="SELECT * FROM users")).relations == ()


@pytest.mark.parametrize("sql", [None, 7, {"a": "SELECT * FROM users"}, [], "no SQL at all", ""])
async def test_what_is_not_understood_names_nothing(rulebook: Rulebook, sql: object) -> None:
    assert (await recorded(rulebook, "query", sql=sql)).relations == ()


async def test_no_statement_is_parsed_twice(rulebook: Rulebook, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []

    def counting(text: str, dialect: str) -> Verdict:
        parsed.append(text)
        return classify_sql(text, dialect)

    monkeypatch.setattr("countersign.statements.classify_sql", counting)
    assert (await recorded(rulebook, "script", text="SELECT * FROM only_once")).relations == ("only_once",)
    assert len(parsed) == 1


@pytest.mark.parametrize(
    "statement",
    [
        f'SELECT * FROM "{MAIL}"',
        f'SELECT * FROM "{CARD}"',
        f'SELECT * FROM public."{MAIL}"',
        'SELECT * FROM U&"ann\\0040example.com"',
        f"SELECT * FROM users, U&\"{CARD[:8]}\\0031{CARD[9:]}\" WHERE mail = '{MAIL}'",
    ],
    ids=["mail", "number", "with a schema", "spelled in escapes", "escapes beside what is masked"],
)
def test_a_name_that_a_mask_finds_is_not_shown(masker: Masker, statement: str) -> None:
    found = named(masker, statement)
    assert found
    assert not any(each in name for name in found for each in (MAIL, CARD, "ann", "1111"))


def test_names_stay_when_something_else_is_masked_also_where_that_breaks_the_statement(masker: Masker) -> None:
    assert named(masker, f"SELECT * FROM users JOIN a.b ON true WHERE card = {CARD}") == ("a.b", "users")


def test_a_name_that_is_left_only_within_another_word_is_hidden(masker: Masker) -> None:
    found = relations_of(QUERY, params("SELECT * FROM users"), params("[X] usersettings").encode(), masker)
    assert found == (HIDDEN,)


def test_a_statement_that_the_record_hides_as_a_whole_names_nothing(masker: Masker) -> None:
    hidden = json.dumps({"arguments": "[SSN]"}).encode()
    assert relations_of(QUERY, params("SELECT * FROM users"), hidden, masker) == ()
    assert relations_of(QUERY, params("SELECT * FROM users"), params("[SSN]").encode(), masker) == (HIDDEN,)


@pytest.mark.parametrize(
    "statements",
    [
        [f"SELECT * FROM {', '.join(f'table_{number}' for number in range(300))}"],
        [f"SELECT * FROM table_{number}" for number in range(300)],
        ["SELECT * FROM one /*" + "x" * 30_000 + "*/"] * 3,
        [f"SELECT * FROM {', '.join(chr(34) + chr(1) * 60 + str(number) + chr(34) for number in range(90))}"],
    ],
    ids=["in one", "of many", "of long ones", "hostile names"],
)
def test_what_is_kept_is_bounded_and_says_so(masker: Masker, statements: list[str]) -> None:
    found = named(masker, *statements)
    assert found[-1] == MORE
    assert len(found) <= relations.MOST + 1
    assert len(json.dumps(found)) <= 2 * relations.MOST_BYTES


def test_long_names_are_cut(masker: Masker) -> None:
    [name] = named(masker, f'SELECT * FROM s."{"n" * 5_000}"')
    assert len(name) <= relations.LONGEST


@pytest.mark.parametrize(
    "hostile",
    [
        lambda: f"SELECT * FROM {', '.join('a' * number for number in range(1, 200))} WHERE c = {CARD}",
        lambda: f"SELECT * FROM {', '.join(f't{number}' for number in range(4_000))} WHERE c = {CARD}",
    ],
    ids=["names in names", "many names"],
)
def test_it_takes_no_long_time(masker: Masker, hostile: Callable[[], str]) -> None:
    sent = params(hostile())
    shown = masker.json(sent.encode()).data
    # What a condition asked about is remembered: this is what the naming adds.
    relations_named(hostile(), "postgres")
    assert cpu_s(lambda: relations_of(QUERY, sent, shown, masker)) < 0.3


def params(sql: str) -> str:
    return json.dumps({"name": "query", "arguments": {"sql": sql}})
