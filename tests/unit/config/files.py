"""A gateway.yaml that is right, and ways to make it wrong."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from countersign.config import ConfigRefused, GatewayConfig, Problem, load

TOKEN = "orders-" + "token-" + "1"
ENV = {"ORDERS_TOKEN": TOKEN}

GOOD = """\
version: 1
gateway: {url: "http://127.0.0.1:8080"}
identity:
  oidc:
    - {issuer: "http://127.0.0.1:8090", groups: groups}
targets:
  orders:
    mcp: "http://127.0.0.1:9000/mcp"
    credential: {bearer: {env: ORDERS_TOKEN}}
rules:
  - name: analysts read
    allow: {groups: [analysts], targets: [orders], tools: [query, "list_*"]}
    mask: [secrets, pii]
  - name: no exports
    deny: {targets: ["*"], tools: ["export_*"]}
    message: Exports go through the data team.
masks:
  pii: {detect: [email, credit_card, us_ssn], fields: [ssn, "*.card"], replace: "[{label}]"}
  secrets: {detect: [secrets]}
recording: {mode: required}
auditors: {groups: [auditors]}
"""


def edited(old: str, new: str, text: str = GOOD) -> str:
    """The good file with one thing changed; ``old`` must be in it once."""
    assert text.count(old) == 1, old
    return text.replace(old, new)


def loaded(folder: Path, text: str, env: Mapping[str, str] = ENV) -> GatewayConfig:
    file = folder / "gateway.yaml"
    file.write_text(text)
    return load(file, env)


def refused(folder: Path, text: str | bytes, env: Mapping[str, str] = ENV) -> tuple[Problem, ...]:
    file = folder / "gateway.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigRefused) as caught:
        load(file, env)
    return caught.value.problems


def pointed_at(text: str, problem: Problem) -> str:
    """The text of the file from where the problem points to the end of the line."""
    return text.split("\n")[problem.line - 1][problem.column - 1 :]
