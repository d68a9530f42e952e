"""docs/identity.md says what is so: its examples load, and are those by which the table of tokens is tried."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from countersign.config import GatewayConfig, load
from countersign.config.shape_identity import IdentityShape, MachineShape, OidcShape, RevocationShape
from tests.support.token_rows import BAD
from tests.support.tokens import ISSUERS, MACHINES

TEXT = (Path(__file__).parents[3] / "docs" / "identity.md").read_text()
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
REST = """\
version: 1
gateway: {url: "https://mcp.example.com"}
targets: {orders: {mcp: "https://orders.example/mcp"}}
rules: [{name: base, allow: {groups: [base]}}]
"""


def loaded(folder: Path, identity: str) -> GatewayConfig:
    file = folder / "gateway.yaml"
    file.write_text(REST + identity)
    return load(file, {})


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_is_taken(tmp_path: Path, example: str) -> None:
    assert loaded(tmp_path, example).issuers


def test_the_examples_are_what_the_tokens_are_tried_by(tmp_path: Path) -> None:
    shown = [issuer for example in EXAMPLES[1:] for issuer in loaded(tmp_path, example).issuers]
    machines = loaded(tmp_path, EXAMPLES[-1]).machines
    tried = loaded(tmp_path, "identity: " + json.dumps({"oidc": list(ISSUERS), "machines": dict(MACHINES)}))
    plain = sorted((replace(issuer, keys_file="") for issuer in shown), key=lambda issuer: issuer.issuer)
    assert plain == sorted(tried.issuers, key=lambda issuer: issuer.issuer)
    assert machines == tried.machines


def test_every_key_is_named() -> None:
    shapes = (IdentityShape, OidcShape, MachineShape, RevocationShape)
    keys = {name for shape in shapes for name in shape.model_fields}
    assert {key for key in keys if not re.search(rf"\b{key}\b", TEXT)} == set()


def test_the_errors_are_those_that_callers_read() -> None:
    table = TEXT[TEXT.index("| error |") :]
    known = [re.sub(r"\\(.)", r"\1", told).partition(" (")[0] for _, told in BAD.values()]
    for error in re.findall(r"^\| `(the token's [a-z ]+|this is [A-Za-z ,]+)", table, re.MULTILINE):
        assert any(one.startswith(error.strip()) for one in known), error
