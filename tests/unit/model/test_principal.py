"""Only the identity code makes a principal; elsewhere only a sealed or handed-over copy is opened again."""

from __future__ import annotations

import ast
from pathlib import Path

import countersign

ROOT = Path(countersign.__file__).parent
MAKERS = {"authz/identity/tokens.py", "runtime/sealing.py", "model/handoff.py"}


def test_nobody_else_makes_a_principal() -> None:
    makers = set()
    for file in ROOT.rglob("*.py"):
        place = file.relative_to(ROOT).as_posix()
        text = file.read_text()
        # The generated message of the same name is another thing.
        if place.startswith("api/") or "countersign.model.principal import" not in text:
            continue
        calls = (node.func for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
        if any(isinstance(called, ast.Name) and called.id == "Principal" for called in calls):
            makers.add(place)
    assert makers == MAKERS
