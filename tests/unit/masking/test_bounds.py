"""The promise: what would take too much memory, however small it is, is refused and never passed."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from countersign.jsontext import JsonAmbiguous, check, parse
from countersign.masking import Masker, NotMaskable, layout
from tests.unit.masking import canaries

MOST = 10


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "MOST_VALUES", MOST)
    monkeypatch.setattr(layout, "_MOST_TEXTS", MOST)
    monkeypatch.setattr(layout, "_MOST_STRETCHES", 2 * MOST)


BODIES: dict[str, Callable[[int], str]] = {
    "findings": lambda count: json.dumps([canaries.EMAIL] * count),
    "findings in lines": lambda count: "\n".join([canaries.EMAIL] * count),
    "values of keys": lambda count: json.dumps([{"password": "x"}] * count),
    "columns": lambda count: "id,password\n" + "".join(f"{number},x{number}\n" for number in range(count)),
    "columns of arrays": lambda count: json.dumps({"columns": ["id", "password"], "rows": [[1, "x7"]] * count}),
}


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("body", BODIES)
def test_more_values_than_fit_are_refused(masker: Masker, body: str) -> None:
    make = BODIES[body]
    # Some are found in two ways.
    assert masker.text(make(MOST // 2).encode()).findings
    with pytest.raises(NotMaskable, match="more than 10 values to mask") as refused:
        masker.text(make(MOST + 1).encode())
    assert canaries.EMAIL not in str(refused.value)


@pytest.mark.usefixtures("few")
def test_more_texts_in_texts_than_fit_are_refused(masker: Masker) -> None:
    with pytest.raises(NotMaskable, match="texts within texts"):
        masker.json(json.dumps(['{"a":1}'] * MOST).encode())
    with pytest.raises(NotMaskable, match="strings have escapes"):
        masker.json(json.dumps(['"'] * (MOST + 1)).encode())
    assert masker.json(json.dumps(['"'] * (MOST - 1)).encode()).findings == ()


@pytest.mark.parametrize("read", [parse, check])
def test_more_values_than_can_be_read_are_refused(read: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("countersign.jsontext.parsing.MOST_VALUES", MOST)
    assert callable(read)
    read(json.dumps({"a": [1] * (MOST - 1), "b, c": ',,,,,,,,\\,",,' * 9}))
    bodies: tuple[object, ...] = ([1] * (MOST + 1), [[], {}] * MOST, {str(number): None for number in range(MOST + 1)})
    for many in bodies:
        with pytest.raises(JsonAmbiguous, match="more than 10 values"):
            read(json.dumps({"x": many}))


def test_a_text_of_too_many_values_is_not_taken_for_prose(masker: Masker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("countersign.jsontext.parsing.MOST_VALUES", MOST)
    many = json.dumps([{"secret_word": "x"}] * (MOST + 1))
    for body in (many, json.dumps({"content": [{"text": many}]})):
        with pytest.raises(NotMaskable):
            masker.text(body.encode())
    rows = ",".join(["cell"] * (2 * MOST))
    assert masker.text(rows.encode()).data == rows.encode()
