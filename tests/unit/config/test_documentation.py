"""docs/gateway-yaml.md says what is so: its examples load, as do those of README and of what is said of the portal, and
its words are those of conditions and of the schema."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from countersign.config import load
from countersign.config.shape import File, NerShape, OwnDetectorShape, TargetShape
from countersign.config.shape_approvals import (
    ApprovalsShape,
    ApproversShape,
    ChannelShape,
    EmailShape,
    SignInShape,
    SlackShape,
    WebhookShape,
)
from countersign.config.shape_recording import (
    CefShape,
    CsvShape,
    EncryptionShape,
    OcsfShape,
    OtlpShape,
    RecordingShape,
    RetentionShape,
    SinkShape,
    WitnessesShape,
    WitnessShape,
)
from countersign.config.shape_rules import RateLimitShape, RuleShape, SelectorShape
from countersign.config.shape_stdio import StdioLimitsShape, StdioShape
from countersign.model.rule import VALIDATORS, Window
from countersign.policy import VOCABULARY, compile_condition
from countersign.statements import StatementClass
from tests.unit.config.test_portal import certificate

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "gateway-yaml.md").read_text()
TOLD = [
    TEXT,
    *(
        (ROOT / name).read_text()
        for name in ("README.md", "docs/sign-in.md", "docs/saml.md", "docs/revocation.md", "docs/stdio.md")
    ),
]
EXAMPLES = [example for text in TOLD for example in re.findall(r"^```yaml\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)]
ENV = {
    "ORDERS_TOKEN": "orders-" + "token",
    "RECORD_DSN": "postgresql://" + "somewhere/record",
    **dict.fromkeys(
        ("FORGE_TOKEN", "SIGN_IN_SECRET", "SIGNALS_TOKEN", "SLACK_TOKEN", "SLACK_SIGNING_SECRET", "OTLP_TOKEN"),
        "made-" + "up",
    ),
    "PAGER_SECRET": "whsec_" + "A" * 44,
    "TEAMS_URL": "https://teams.example/" + "workflow?sig=1",
}
BASE = """\
version: 1
gateway: {url: "https://mcp.example.com"}
identity: {oidc: [{issuer: "https://login.example.com"}]}
targets: {orders: {mcp: "https://orders.example/mcp"}}
rules: [{name: base, allow: {groups: [base]}}]
"""


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_taken(tmp_path: Path, example: str) -> None:
    rest = [line for line in BASE.splitlines() if f"\n{line.partition(':')[0]}:" not in f"\n{example}"]
    certificate(tmp_path / "company.pem")
    file = tmp_path / "gateway.yaml"
    file.write_text("\n".join([*rest, example]))
    assert load(file, ENV).rules


def test_every_word_of_conditions_is_explained_and_no_other() -> None:
    assert vocabulary() in TEXT, f"put this into docs/gateway-yaml.md:\n{vocabulary()}"


def test_every_key_and_word_of_a_list_is_named() -> None:
    rules = (RuleShape, SelectorShape, RateLimitShape, ApproversShape)
    approvals = (ApprovalsShape, SignInShape, ChannelShape, WebhookShape, SlackShape, EmailShape)
    sinks = (SinkShape, OcsfShape, OtlpShape, CefShape, CsvShape)
    recording = (RecordingShape, WitnessesShape, WitnessShape, RetentionShape, EncryptionShape, *sinks)
    shapes = (File, TargetShape, OwnDetectorShape, NerShape, *rules, *approvals, *recording)
    keys = {field.alias or name for shape in shapes for name, field in shape.model_fields.items()}
    assert {key for key in keys if not re.search(rf"\b{key}\b", TEXT)} == set()
    assert {word for word in (*StatementClass, *Window, *VALIDATORS) if f"`{word}`" not in TEXT} == set()


def test_every_key_of_a_target_that_the_gateway_runs_is_named() -> None:
    told = (ROOT / "docs" / "stdio.md").read_text()
    keys = {*StdioShape.model_fields, *StdioLimitsShape.model_fields}
    assert {key for key in keys if f"`{key}`" not in told} == set()


def test_the_dialects_that_are_named_are_known() -> None:
    (sentence,) = re.findall(r"Dialects are (.*?)\.", TEXT, re.DOTALL)
    dialects = re.findall(r"`(\w+)`", sentence)
    assert len(dialects) == 6
    for dialect in dialects:
        assert compile_condition(f'sql(args.q, "{dialect}").only_reads').always is None


def vocabulary() -> str:
    """The tables of the documentation, from the one table that conditions are compiled by."""
    rows = ["| variable | type | meaning |", "|---|---|---|"]
    for variable in VOCABULARY.variables:
        fields = VOCABULARY.fields_of(variable.type)
        rows += [f"| `{variable.name}.{field.name}` | {field.type} | {field.meaning} |" for field in fields]
        if not fields:
            rows.append(f"| `{variable.name}` | {variable.type} | {variable.meaning} |")
    rows += ["", "| function | gives | meaning |", "|---|---|---|"]
    rows += [f"| `{each.signature}` | {_result(each.result)} | {each.meaning} |" for each in VOCABULARY.functions]
    for structure in VOCABULARY.structures:
        if structure.name in {function.result for function in VOCABULARY.functions}:
            rows += ["", f"| field of a {structure.name.lower()} | type | meaning |", "|---|---|---|"]
            rows += [f"| `{field.name}` | {field.type} | {field.meaning} |" for field in structure.fields]
    rows += [
        "",
        "Of CEL itself there are its operators and " + ", ".join(f"`{name}`" for name in VOCABULARY.builtins) + ".",
    ]
    return "\n".join(rows)


def _result(name: str) -> str:
    return f"a {name.lower()}" if VOCABULARY.fields_of(name) else name
