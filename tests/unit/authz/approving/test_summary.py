"""Approvers read what would run, all of it or how much is missing; and nothing that the record does not show."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import astuple
from pathlib import Path

import pytest

from countersign.authz.approving.summary import name_of, summary_of
from countersign.authz.approving.written import MOST_BYTES
from countersign.authz.records import NotRecordable
from countersign.config import Target
from countersign.config.types import StatementArgument
from countersign.masking import MaskCatalog
from countersign.model.approval import ApprovalSummary
from countersign.model.call import Call, NameKind
from countersign.model.decision import Decision, Outcome
from countersign.model.opening import parse_opening
from countersign.model.rule import Approvers, Effect, Glass, Mask, Rule, Selector
from tests.support.cost import cpu_s

MAIL = "ann.smith" + "@" + "example.org"
KEY = "AK" + "IA" + "QWERTYUIOPASDF34"
HOURS = "Mon-Fri 08:00-18:00 Europe/Berlin"
TARGET = Target("orders", "http://orders/mcp", None, "r", statements={"query": StatementArgument("sql", "postgres")})
DECISION = Decision(Outcome.APPROVE, ("writes",), (), "", "", "v1")


@pytest.fixture(scope="module")
def masks(rules_cache: Path) -> MaskCatalog:
    stated = [Mask("people", detectors=("email",)), Mask("cards", fields=("pin", "options.sql"))]
    return MaskCatalog(stated, cache_dir=rules_cache)


def summary(
    masks: MaskCatalog,
    arguments: Mapping[str, object],
    *,
    judged: Mapping[str, object] | None = None,
    when: str = "",
    described: str = "",
    target: Target = TARGET,
) -> ApprovalSummary:
    params, run = (
        {"name": "query", "arguments": each, "_meta": {"try": 1}} for each in (arguments, judged or arguments)
    )
    call = Call("orders", "tools/call", "query", NameKind.TOOL, json.dumps(run))
    rules = {"writes": Rule("writes", Effect.APPROVE, Selector(), when=when, by=Approvers(("data-owners",)))}
    return summary_of(call, json.dumps(params), DECISION, rules, masks.for_records(), target, described)


def test_a_statement_is_laid_out_and_understood(masks: MaskCatalog) -> None:
    found = summary(masks, {"sql": "select id from orders where total > 5 limit 100"})
    (one,) = found.statements
    assert (one.argument, one.dialect) == ("sql", "postgres")
    assert one.text.split("\n") == ["select id", "from orders", "where total > 5", "limit 100"]
    assert (one.classes, one.relations, one.bound) == (("read",), ("orders",), "at most 100 rows")
    assert json.loads(found.arguments) == {"sql": "select id from orders where total > 5 limit 100"}


@pytest.mark.parametrize(
    ("sql", "bound"),
    [
        ("select 1", "at most 1 row"),
        ("select * from t", "no bound"),
        ("select * from t where id = 1", "a bounded number of rows"),
        ("delete from t", "no bound"),
        ("delete from t where id = 1; select 1", "a bounded number of rows"),
        ("drop table t", ""),
        ("nonsense (", ""),
    ],
)
def test_the_bound_on_rows_is_said_in_words(masks: MaskCatalog, sql: str, bound: str) -> None:
    assert summary(masks, {"sql": sql}).statements[0].bound == bound


@pytest.mark.parametrize(
    "arguments",
    [
        {"sql": f"select * from t where mail = '{MAIL}'"},
        {"sql": f"select * from t -- {MAIL}"},
        {"sql": f'select * from "{MAIL}"'},
        {"sql": f"select * from t where note = 'key {KEY}'"},
        {"sql": [f"select '{MAIL}'", "select 2"]},
        {"sql": f"nonsense ( {MAIL}"},
        {"sql": "select 1", "to": [{"deep": MAIL}], KEY: 1},
        {"sql": f"select U&'{MAIL[0]}' || '{MAIL}'"},
        {"sql": f"copy t from program 'curl -u {KEY}:{MAIL}'"},
    ],
    ids=["literal", "comment", "relation", "secret", "list", "nonsense", "elsewhere", "escaped", "program"],
)
def test_what_the_record_masks_is_masked_in_all_of_the_summary(
    masks: MaskCatalog, arguments: Mapping[str, object]
) -> None:
    shown = repr(astuple(summary(masks, arguments, described=f"ask {MAIL}"))).casefold()
    assert MAIL not in shown
    assert KEY.casefold() not in shown


def test_of_a_masked_argument_no_relation_is_told(masks: MaskCatalog) -> None:
    found = summary(
        masks,
        {"options": {"sql": "select * from payroll.salaries"}},
        when='sql(args.options.sql, "postgres").only_reads',
    )
    (one,) = found.statements
    assert (one.argument, one.relations, one.classes) == ("options.sql", ("[masked]",), ("bulk_read",))
    assert "salaries" not in repr(astuple(found))


def test_what_runs_is_judged_and_what_was_sent_is_shown(masks: MaskCatalog) -> None:
    sent, meant = "delete from t where id = 'tok'", "delete from t"
    (one,) = summary(masks, {"sql": sent}, judged={"sql": meant}).statements
    assert one.classes == ("mass_write",)
    assert "tok" in one.text


@pytest.mark.parametrize(
    ("when", "arguments", "found"),
    [
        ("shell(args.command).only_reads", {"command": "rm -rf /tmp"}, ("command", "shell")),
        ('sql(args["q"], "mysql").only_reads', {"q": "select 1"}, ("q", "mysql")),
        ('args.all.exists(each, !sql(each, "sqlite").only_reads)', {"all": ["drop table t"]}, ("all", "sqlite")),
    ],
    ids=["shell", "index", "each"],
)
def test_what_a_rule_takes_for_a_statement_is_shown_as_one(
    masks: MaskCatalog, when: str, arguments: Mapping[str, object], found: tuple[str, str]
) -> None:
    (one,) = summary(masks, arguments, when=when).statements
    assert (one.argument, one.dialect) == found
    assert "unparsable" not in one.classes


def test_a_mask_that_changes_what_is_a_comment_ends_the_layout(masks: MaskCatalog) -> None:
    text = "select 1 -- x"
    (one,) = summary(masks, {"sql": text}, judged={"sql": "select 1 - - x"}).statements
    assert one.text == text


def test_what_is_hidden_in_arguments_is_written_out(masks: MaskCatalog) -> None:
    found = summary(masks, {"a\u202e": "b\u200b\x1b[2J"}, described="c\u2066\n\x1bd")
    assert found.arguments == '{\n  "a\\u202e": "b\\u200b\\u001b[2J"\n}'
    assert found.tool == "c\\u2066\n\\x1bd"


def test_numbers_stay_as_they_were_written(masks: MaskCatalog) -> None:
    params = '{"name":"query","arguments":{"a":1.0,"b":1e0,"c":12345678901234567890,"d":[],"e":{},"f":[true,null]}}'
    call = Call("orders", "tools/call", "query", NameKind.TOOL, params)
    found = summary_of(call, params, DECISION, {}, masks.for_records(), TARGET, "")
    assert "".join(found.arguments.split()) == (
        '{"a":1.0,"b":1e0,"c":12345678901234567890,"d":[],"e":{},"f":[true,null]}'
    )


def test_what_is_too_long_is_cut_and_says_so(masks: MaskCatalog) -> None:
    long = summary(masks, {"sql": "select 1", "note": "x " * 20_000, "last": 1}).arguments
    assert len(long.encode()) <= MOST_BYTES
    assert "… 39,000 more characters are not shown" in long
    assert '"last": 1' in long
    many = summary(masks, {f"k{number}": number for number in range(5_000)}).arguments
    assert len(many.encode()) <= MOST_BYTES + 100
    assert many.endswith("more characters are not shown")
    (one,) = summary(masks, {"sql": f"select '{'y ' * 20_000}'"}).statements
    assert one.text.endswith("more characters are not shown")
    listed = summary(masks, {"sql": ["select 1"] * 12}).statements
    assert listed[-1].text == "… 2 more statements are not shown"


def test_a_relation_that_looks_like_another_is_said_to(masks: MaskCatalog) -> None:
    (one,) = summary(masks, {"sql": "select 1 from \u043erders, orders"}).statements
    assert one.relations == ("orders", "\u043erders (has letters that look like others)")


def test_what_is_not_shown_costs_little(masks: MaskCatalog) -> None:
    columns = ",".join(f"c{number}" for number in range(5_000))
    arguments = {"sql": [f"select {columns} from t"] * 25, "ids": list(range(50_000))}
    assert cpu_s(lambda: summary(masks, arguments)) < 2.0


def test_what_is_no_tool_is_shown_whole(masks: MaskCatalog) -> None:
    params = '{"uri":"file:///x","_meta":{}}'
    call = Call("orders", "resources/read", "file:///x", NameKind.RESOURCE, params)
    found = summary_of(call, params, DECISION, {}, masks.for_records(), TARGET, "")
    assert json.loads(found.arguments) == {"uri": "file:///x"}
    nothing = Call("orders", "ping")
    assert summary_of(nothing, "", DECISION, {}, masks.for_records(), TARGET, "").arguments == "{}"


def test_why_somebody_is_asked_is_a_sentence(masks: MaskCatalog) -> None:
    owners = Approvers(("data-owners",), 2, window=parse_opening(HOURS), note_required=True)
    rules = {
        "writes": Rule("writes", Effect.APPROVE, Selector(), by=owners),
        "big": Rule("big", Effect.APPROVE, Selector(), by=Approvers(("leads", "security"), reuse_s=1_800)),
        "night": Rule("night", Effect.BREAK_GLASS, Selector(), glass=Glass(("ops",))),
    }
    decision = Decision(Outcome.APPROVE, ("writes", "big"), (), "", "", "v1", glass=("night",))
    found = summary_of(Call("orders", "ping"), "", decision, rules, masks.for_records(), TARGET, "")
    assert found.why == (
        f"Rule `writes` asks for 2 different people of data-owners (only {HOURS}, each with a note, for one call); "
        "rule `big` asks for one person of leads or security (again for 30 min); "
        "rule `night` lets its caller agree alone, with a reason."
    )


@pytest.mark.parametrize("argument", [f'{{"a":"{MAIL}","a":1}}', '"\\ud800"'], ids=["ambiguous", "surrogate"])
def test_what_cannot_be_masked_is_nobodys_to_approve(masks: MaskCatalog, argument: str) -> None:
    params = json.dumps({"name": "query", "arguments": {"x": argument}})
    call = Call("orders", "tools/call", "query", NameKind.TOOL, params)
    bad = params if argument.startswith("{") else '{"name":"query","arguments":{"x":"\\ud800"}}'
    with pytest.raises(NotRecordable) as refused:
        summary_of(call, bad, DECISION, {}, masks.for_records(), TARGET, "")
    assert MAIL not in str(refused.value)
    assert refused.value.__context__ is None


def test_the_name_is_masked(masks: MaskCatalog) -> None:
    call = Call("orders", "resources/read", f"mailto:{MAIL}", NameKind.RESOURCE, "{}")
    assert MAIL not in name_of(call, masks.for_records())
