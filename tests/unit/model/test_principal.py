"""Only the identity code makes a principal for traffic; what tries policies makes some that no service ever meets."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import countersign

ROOT = Path(countersign.__file__).parent
FOR_TRAFFIC = {
    *("identity/own.py", "identity/trust.py"),
    *("runtime/sealing.py", "model/handoff.py", "approver/page/cookies.py"),
}
# Whose token was verified when they asked or decided, as the record of that names them; nothing opens to these.
FOR_RECORDS = {
    "approver/ending.py",
    "approver/events.py",
    "approver/rows.py",
    "approver/states.py",
    "recorder/feed/server.py",
}
# Who signed in at the portal, to ask what takes that back.
FOR_ASKING = {"portal/person.py"}
FOR_TRYING = {"rehearsal/cases.py", "cli/policy/record.py", "cli/policy/described.py"}

# What `countersign serve SERVICE` imports, up to where it would begin to serve.
SERVED = """
import sys
from importlib import import_module
from typer.main import get_group
from countersign.cli.main import app
get_group(app).commands["serve"]
import countersign.cli.services
import_module(f"countersign.cli.wiring.{sys.argv[1]}")
print(*sys.modules, sep="\\n")
"""


def test_nobody_else_makes_a_principal() -> None:
    makers = set()
    for file in ROOT.rglob("*.py"):
        place = file.relative_to(ROOT).as_posix()
        text = file.read_text()
        # The generated message of the same name is another thing.
        if place.startswith("api/") or "countersign.model.principal import" not in text:
            continue
        calls = (node.func for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
        if any(ast.unparse(called) in ("Principal", "Principal.of_listed") for called in calls):
            makers.add(place)
    assert makers == FOR_TRAFFIC | FOR_RECORDS | FOR_ASKING | FOR_TRYING


@pytest.mark.parametrize("service", ["approver", "authz", "masker", "recorder"])
def test_no_service_can_make_a_principal_for_trying(service: str) -> None:
    ended = subprocess.run([sys.executable, "-c", SERVED, service], capture_output=True, text=True, check=True)
    loaded = set(ended.stdout.split())
    assert f"countersign.{service}" in loaded
    assert not loaded & {module(place) for place in FOR_TRYING}


def module(place: str) -> str:
    return "countersign." + place.removesuffix(".py").replace("/", ".")
