"""The promise: JSON in the lines of a text is read as JSON, and nothing else in the text changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from countersign.jsontext import JsonRefused, check_lines
from countersign.masking import MaskCatalog, Masker, NotMaskable
from countersign.model.rule import Mask
from tests.support.cost import cpu_s

quick = settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
RECORD = {"customer": {"x": {"card": "A-1"}}, "card": "stays", "ssn": ["A-2", {"y": 7}], "n": 's\u00e9 "q"'}
MASKED = {"customer": {"x": {"card": "[CARD]"}}, "card": "stays", "ssn": ["[SSN]", {"y": 0}], "n": 's\u00e9 "q"'}


@pytest.fixture(scope="module")
def paths(cache_dir: Path) -> Masker:
    catalog = MaskCatalog([Mask("paths", fields=("ssn", "customer.*.card"))], cache_dir=cache_dir)
    return catalog.select(["paths"])


TEXTS: dict[str, Callable[[Any], str]] = {
    "one a line": lambda record: f"{json.dumps(record)}\n{json.dumps([record])}\n",
    "line ends of Windows": lambda record: f"{json.dumps(record)}\r\n\r\n{json.dumps(record)}\r\n",
    "prose around": lambda record: f"Two rows:\n\n{json.dumps(record)}\n  {json.dumps(record)}\nThat is all: ssnx.",
    "a block": lambda record: f"```json\n{json.dumps(record, indent=2)}\n```\nand\n{json.dumps([record], indent=1)}",
    "escapes": lambda record: json.dumps(record).replace('"ssn"', '"\\u0073sn"') + "\n{}",
}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("nested", [False, True])
def test_keys_and_paths_count_in_lines_of_json(paths: Masker, name: str, nested: bool) -> None:
    before, after = TEXTS[name](RECORD), TEXTS[name](MASKED)
    if nested:
        masked = paths.json(json.dumps({"content": [{"text": before}]}).encode()).data
        assert json.loads(masked) == {"content": [{"text": after}]}
    else:
        assert paths.text(before.encode()).data.decode() == after


def test_paths_go_on_through_the_text_that_holds_the_lines(paths: Masker) -> None:
    body = {"customer": {"x": 'rows:\n{"card": "A-1"}\n{"card": "A-2"}'}}
    masked = json.loads(paths.json(json.dumps(body).encode()).data)
    assert masked["customer"]["x"] == 'rows:\n{"card": "[CARD]"}\n{"card": "[CARD]"}'


def test_findings_are_placed_in_the_text_that_holds_the_lines(paths: Masker) -> None:
    masked = paths.json(json.dumps({"text": 'x\n{"ssn": "A-1"}'}).encode())
    assert [finding.place for finding in masked.findings] == ["$.text$.ssn"]


@pytest.mark.parametrize(
    "line", ['{"a": "\\u0073", "\\u0061": 1}', "[" * 70 + '"\\u0061"' + "]" * 70, '{"a": "\\ud800"}']
)
def test_lines_that_could_be_read_in_two_ways_are_refused(paths: Masker, line: str) -> None:
    with pytest.raises(NotMaskable):
        paths.text(f"x\n{line}\n".encode())
    with pytest.raises(NotMaskable):
        paths.json(json.dumps([f"x\n{line}"]).encode())


@pytest.mark.parametrize("text", ["{x}\n", "{\nx\n}\n", "[see below]\n", 'x\n{"a": 1, "a": 2}\n', "{\n}}\n", "[\n[\n"])
def test_what_only_looks_like_json_stays(paths: Masker, text: str) -> None:
    assert paths.text(text.encode()).data.decode() == text


@quick
@given(st.text('{}[]",:\n 1a\\', max_size=40))
def test_any_text_stays_as_it_is(paths: Masker, text: str) -> None:
    try:
        masked = paths.text(text.encode())
    except NotMaskable:
        return
    assert masked.data.decode() == text


@pytest.mark.parametrize(
    "text", ['{"a":"x}\n{y"}', '{"a":1},{"b":1}', "1\n2", '{"a":1\n,"b":2}', "[1]\n[2", "[1]]\n[[2]"]
)
def test_lines_that_are_not_each_whole_are_refused(text: str) -> None:
    with pytest.raises(JsonRefused):
        check_lines(text)


HOSTILE: dict[str, Callable[[int], str]] = {
    "lines": lambda n: '{"ssn": 1}\n' * n,
    "lines between": lambda n: '{"ssn": 1}\nx\n' * n,
    "broken lines": lambda n: '{"ssn": 1}}\nx\n' * n,
    "open": lambda n: "{\n" * n,
    "blocks": lambda n: '{\n"a": 1\n}\n' * n,
    "opened deeply": lambda n: "[" * n + "\n" + "]" * n + "\n",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_the_time_grows_no_faster_than_the_text(paths: Masker, kind: str) -> None:
    def run(n: int) -> None:
        try:
            paths.text(HOSTILE[kind](n).encode())
        except NotMaskable:
            return

    assert cpu_s(lambda: run(4_000)) < 8 * 2.5 * cpu_s(lambda: run(500)) + 0.02
