"""What is masked in structured content stays what the tool's output schema declares."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.jsontext import parse
from countersign.masking import MaskCatalog
from countersign.masking.fitting import OutputSchema, fitted
from countersign.model.rule import Mask, ReplacementKind
from tests.support.cost import cpu_s

MAIL, SSN = "jane.doe@" + "example.org", "219-09-" + "9999"
UUID = "0b6f4c1e-8a52-4f7e-9d0c-3d1f6a2b4c5d"
Schema = dict[str, object] | bool


def answer(value: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"structuredContent": value}}).encode()


def refit(value: object, masked: object, schema: Schema) -> object:
    """What becomes of a masked value under a schema that the value itself kept."""
    jsonschema.validate(value, schema)
    declared = OutputSchema(parse(json.dumps(schema).encode()).root)
    text = fitted(parse(answer(value)), parse(answer(masked)), {(): declared})
    found: object = json.loads(text)["result"]["structuredContent"]
    jsonschema.validate(found, schema, format_checker=jsonschema.FormatChecker())
    return found


def of(part: Schema) -> Schema:
    return {"type": "object", "properties": {"a": part}, "required": ["a"]}


@pytest.mark.parametrize(
    ("value", "masked", "part", "found"),
    [
        (MAIL, "[EMAIL]", {"type": "string"}, "[EMAIL]"),
        (MAIL, "[EMAIL]", {"type": "string", "format": "email"}, "redacted@masked.invalid"),
        (MAIL, "x7@token.invalid", {"type": "string", "format": "email"}, "x7@token.invalid"),
        (SSN, "[SSN]", {"type": "string", "pattern": r"^\d{3}-\d{2}-\d{4}$"}, "000-00-0000"),
        (SSN, "[SSN]", {"type": "string", "pattern": r"^[1-9]\d\d-"}, "111-11-1111"),
        ("CH-93A", "[IBAN]", {"pattern": "^[A-Z]{2}-[0-9]{2}[A-Z]$"}, "AA-00A"),
        ("2001-02-03", "[BORN]", {"format": "date"}, "1900-01-01"),
        ("2001-02-03T04:05:06Z", "[AT]", {"format": "date-time"}, "1900-01-01T00:00:00Z"),
        (UUID, "[ID]", {"format": "uuid"}, "0" * 8 + "-0000-0000-0000-" + "0" * 12),
        ("192.0.2.7", "[IP]", {"format": "ipv4"}, "192.0.2.0"),
        ("gold", "[PLAN]", {"enum": ["none", "gold"]}, "none"),
        ("gold", "[PLAN]", {"const": "gold"}, "gold"),
        ("abcd", "[NAME]", {"maxLength": 4}, "aaaa"),
        ("abcdefgh" * 4, "[NAME]", {"minLength": 20}, "a" * 32),
        (
            MAIL,
            "[EMAIL]",
            {"anyOf": [{"type": "string", "maxLength": 3}, {"format": "email"}]},
            "redacted@masked.invalid",
        ),
        (MAIL, "[EMAIL]", {"$ref": "#/$defs/mail"}, "redacted@masked.invalid"),
        (MAIL, "[EMAIL]", {"allOf": [{"type": "string"}, {"format": "email", "maxLength": 30}]}, None),
        (70, 0, {"type": "integer", "minimum": 18, "maximum": 120}, 18),
        (70, 0, {"type": "integer", "exclusiveMinimum": 18}, 19),
        (-70, 0, {"exclusiveMaximum": -1}, -2),
        (0.5, 0, {"exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5),
        (35, 0, {"minimum": 8, "multipleOf": 5}, 10),
        (7, 0, {"enum": [3, 7]}, 3),
        (7, 0, {"type": ["integer", "null"], "not": {"const": 0}}, None),
    ],
)
def test_what_the_schema_would_not_accept_is_replaced_by_what_it_does(
    value: object, masked: object, part: dict[str, object], found: object
) -> None:
    schema = {**dict(of(part)), "$defs": {"mail": {"type": "string", "format": "email"}}}  # type: ignore[arg-type]  # no bool
    became = refit({"a": value}, {"a": masked}, schema)
    assert isinstance(became, dict)
    if found is not None:
        assert became["a"] == found


def test_values_are_found_under_every_kind_of_container() -> None:
    mail: Schema = {"type": "string", "format": "email"}
    schema: Schema = {
        "type": "object",
        "properties": {
            "list": {"type": "array", "items": mail},
            "pair": {"type": "array", "prefixItems": [{"type": "integer", "minimum": 1}, mail]},
            "maybe": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/person"}]},
        },
        "patternProperties": {"^x-": mail},
        "additionalProperties": {"type": "object", "additionalProperties": mail},
        "$defs": {"person": {"type": "object", "properties": {"mail": mail}}},
    }

    def content(mail: str, number: int) -> object:
        return {
            "list": [mail, mail],
            "pair": [number, mail],
            "maybe": {"mail": mail},
            "x-1": mail,
            "other": {"b": mail},
        }

    assert refit(content(MAIL, 5), content("[EMAIL]", 0), schema) == content("redacted@masked.invalid", 1)


def test_nothing_but_masked_values_changes() -> None:
    schema = OutputSchema(parse(json.dumps(of({"format": "email"})).encode()).root)
    masked = ' { "result" : {"structuredContent":{ "a":"[EMAIL]" , "b\\u0062": 1.50} },"x":"\\u00e9"}'
    text = fitted(parse(masked.replace("[EMAIL]", MAIL).encode()), parse(masked.encode()), {(): schema})
    assert text == masked.replace("[EMAIL]", "redacted@masked.invalid")
    untouched = answer({"a": "no mail, and not masked"})
    assert fitted(parse(untouched), parse(untouched), {(): schema}) == untouched.decode()


def test_numbers_of_a_schema_are_written_as_programs_write_them() -> None:
    for listed, written in (("[1e2]", "100"), ("[15e-1]", "1.5"), ("[-20e0]", "-20")):
        schema = OutputSchema(parse(f'{{"properties":{{"a":{{"enum":{listed}}}}}}}'.encode()).root)
        before, after = parse(answer({"a": float(written)})), parse(answer({"a": 0}))
        assert f'{{"a": {written}}}' in fitted(before, after, {(): schema})


def test_masked_keys_and_batches_are_followed() -> None:
    schema = OutputSchema(parse(json.dumps({"additionalProperties": {"format": "email"}}).encode()).root)
    before = f"[{answer({'x': 1}).decode()},{answer({MAIL: MAIL}).decode()}]"
    after = before.replace(MAIL, "[EMAIL]")
    found = json.loads(fitted(parse(before.encode()), parse(after.encode()), {(1,): schema}))
    assert found[1]["result"]["structuredContent"] == {"[EMAIL]": "redacted@masked.invalid"}


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        {"allOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {"properties": {"a": {"pattern": "(a+)+$"}}},
        {"properties": {"a": {"pattern": "(?=x)("}}},
        {"properties": {"a": {"minLength": 10**12}}},
        {"properties": {"a": {"minimum": 1, "format": 7, "enum": {}, "pattern": []}}},
        {"properties": {"a": {"multipleOf": 0}}},
        {"properties": 7, "additionalProperties": {"$ref": "#/nowhere"}},
        False,
    ],
)
def test_hostile_schemas_cost_little_and_change_nothing_else(schema: Schema) -> None:
    declared = OutputSchema(parse(json.dumps(schema).encode()).root)
    before, after = parse(answer({"a": "a" * 3_000 + MAIL})), parse(answer({"a": "[EMAIL]"}))
    text = ""

    def work() -> None:
        nonlocal text
        text = fitted(before, after, {(): declared})

    assert cpu_s(work) < 2
    assert MAIL not in text
    assert json.loads(text)["id"] == 1


@given(
    st.sampled_from(
        [
            {"type": "string", "format": "email"},
            {"type": "string", "pattern": "^[a-z.@]+$"},
            {"type": "string", "maxLength": 25, "minLength": 15},
            {"enum": ["a", MAIL]},
        ]
    ),
    st.sampled_from(list(ReplacementKind)),
)
def test_whatever_a_mask_puts_there_the_schema_holds(
    make_masked: Callable[[bytes, ReplacementKind], bytes], part: Schema, how: ReplacementKind
) -> None:
    before = {"a": MAIL}
    masked = json.loads(make_masked(answer(before), how))["result"]["structuredContent"]
    found = refit(before, masked, of(part))
    assert isinstance(found, dict)
    assert found["a"] != MAIL


@pytest.fixture(scope="module")
def make_masked(cache_dir: Path) -> Callable[[bytes, ReplacementKind], bytes]:
    masks = [Mask(how.value, ("email",), how=how) for how in ReplacementKind]
    catalog = MaskCatalog(masks, cache_dir=cache_dir, hash_key=bytes(32))
    return lambda data, how: catalog.select([how.value]).json(data).data


CHOICES: list[tuple[Schema, list[object]]] = [
    ({"anyOf": [{"const": "positive"}, {"const": "negative"}]}, ["positive", "negative"]),
    ({"oneOf": [{"enum": ["a1", "a2"]}, {"enum": ["b1"]}]}, ["a1", "b1"]),
    ({"oneOf": [{"type": "string", "pattern": "^[0-4]"}, {"type": "string", "pattern": "^[5-9]"}]}, ["4", "6"]),
    ({"anyOf": [{"maximum": 50_000}, {"minimum": 50_001}]}, [40_000, 60_000]),
    ({"anyOf": [{"$ref": "#/$defs/x"}, {"anyOf": [{"const": "y"}, {"const": "z"}]}]}, ["x", "y", "z"]),
]


@pytest.mark.parametrize(("part", "values"), CHOICES)
def test_which_of_several_choices_a_value_was_does_not_show(part: Schema, values: list[object]) -> None:
    inside = {"$defs": {"x": {"const": "x"}}, **dict(of(part))}  # type: ignore[arg-type]  # no bool
    kinds = [of({"const": value}) if isinstance(value, str) else of(part) for value in values]
    either: Schema = {"oneOf": list(kinds)}
    for schema in (inside, either) if isinstance(values[0], str) else (inside,):
        masked = 0 if isinstance(values[0], int) else "[X]"
        became = [refit({"a": value}, {"a": masked}, schema) for value in values]
        assert all(each == became[0] for each in became)


def test_what_is_not_masked_says_which_kind_of_object_it_is() -> None:
    def kind(name: str, part: Schema) -> Schema:
        return {"type": "object", "properties": {"kind": {"const": name}, "a": part}, "required": ["kind", "a"]}

    kinds = [kind("mail", {"enum": ["m1", "m2"]}), kind("day", {"enum": ["d1", "d2"]})]
    schema: Schema = {"anyOf": [{"$ref": "#/$defs/0"}, kinds[1]], "$defs": {"0": kinds[0]}}
    assert refit({"kind": "mail", "a": "m2"}, {"kind": "mail", "a": "[X]"}, schema) == {"kind": "mail", "a": "m1"}
    assert refit({"kind": "day", "a": "d2"}, {"kind": "day", "a": "[X]"}, schema) == {"kind": "day", "a": "d1"}


LISTED: Schema = {"enum": [f"v{number}" for number in range(2_000)], "pattern": "^z"}


@pytest.mark.parametrize(
    "schema",
    [
        {"patternProperties": {f"^x{number}(a|b)*$": {"format": "email"} for number in range(900)}},
        {"additionalProperties": LISTED},
        {"anyOf": [{"additionalProperties": LISTED}, {"additionalProperties": LISTED}]},
        {"additionalProperties": {"allOf": [{"pattern": f"{number}$"} for number in range(500)]}},
        {"anyOf": [{"properties": {f"k{number}": {"enum": ["q"]} for number in range(1, 2_000)}}] * 3},
    ],
)
def test_a_large_schema_of_a_large_answer_costs_little(schema: Schema) -> None:
    declared = OutputSchema(parse(json.dumps(schema).encode()).root)
    values = {f"k{number}": "z" * 400 for number in range(1_000)}
    before, after = parse(answer(values)), parse(answer(dict.fromkeys(values, "[X]")))
    assert cpu_s(lambda: fitted(before, after, {(): declared})) < 2
