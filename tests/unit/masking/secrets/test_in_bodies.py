"""The promise: what is found in a text is found in whatever body holds the text, and the body stays what it was."""

from __future__ import annotations

import json

import pytest

from countersign.masking import Masker
from tests.unit.masking.secrets.samples import DISGUISED, HARMLESS, LONG, NEAR, PASSWORD, STRUCTURES

SAMPLES = {**{name: (text, PASSWORD) for name, text in {**STRUCTURES, **DISGUISED}.items()}}
SAMPLES |= {name: (text, LONG) for name, text in NEAR.items()}


@pytest.mark.parametrize("structure", SAMPLES)
def test_no_body_hides_what_a_text_shows(masker: Masker, structure: str) -> None:
    template, secret = SAMPLES[structure]
    text = template.replace("{}", secret)
    assert secret not in masker.text(text.encode()).data.decode()
    for body in ({"content": [{"type": "text", "text": text}]}, [text, "next"], {"a": json.dumps({"b": [text]})}):
        for ascii_only in (True, False):
            masked = masker.json(json.dumps(body, ensure_ascii=ascii_only).encode()).data.decode()
            assert secret not in masked
            assert json.dumps(json.loads(masked)).count('"') >= json.dumps(body).count('"') // 2


def test_look_alikes_stay_in_bodies(masker: Masker) -> None:
    for text in HARMLESS:
        for body in ({"content": [{"type": "text", "text": text}]}, [text, "next"]):
            data = json.dumps(body).encode()
            assert masker.json(data).data == data


def test_parameters_of_a_configuration_are_masked_by_the_names_beside_them(masker: Masker) -> None:
    body = {
        "Env": ["PATH=/usr/bin", f"DB_PASSWORD={PASSWORD}"],
        "env": [{"name": "DB_PASSWORD", "value": PASSWORD}, {"name": "PORT", "value": "5432"}],
        "Parameters": [{"ParameterKey": "DbPassword", "ParameterValue": PASSWORD}],
        "Cmd": ["server", "--password", PASSWORD, "--port", "80"],
        "headers": {"Authorization": f"Bearer {LONG}", "Accept": "text/html"},
        "apiKeys": [LONG, PASSWORD],
        "password": 48151623,
        "errors": {"password": ["is too short", "must have 8 characters"]},
        "tokens": {"max_tokens": 48151623, "show_password": 1},
    }
    masked = json.loads(masker.json(json.dumps(body).encode()).data)
    assert masked == {
        "Env": ["PATH=/usr/bin", "DB_PASSWORD=[SECRET]"],
        "env": [{"name": "DB_PASSWORD", "value": "[SECRET]"}, {"name": "PORT", "value": "5432"}],
        "Parameters": [{"ParameterKey": "DbPassword", "ParameterValue": "[SECRET]"}],
        "Cmd": ["server", "--password", "[SECRET]", "--port", "80"],
        "headers": {"Authorization": "Bearer [SECRET]", "Accept": "text/html"},
        "apiKeys": ["[SECRET]", "[SECRET]"],
        "password": 0,
        "errors": {"password": ["is too short", "must have 8 characters"]},
        "tokens": {"max_tokens": 48151623, "show_password": 1},
    }
