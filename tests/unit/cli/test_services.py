"""What a service imports before it serves: what it uses, and nothing that only others use."""

from __future__ import annotations

import subprocess
import sys

import pytest

IMPORTED = """
import sys
from importlib import import_module
import countersign.cli.services
import_module(f"countersign.cli.wiring.{sys.argv[1]}")
print(*sys.modules, sep="\\n")
"""
NEEDLESS = {
    # It sees what was masked before: no detector, and no rule's condition evaluated.
    "recorder": {
        "countersign.masking",
        "countersign.authz",
        "countersign.masker",
        "countersign.identity",
        "kingfisher_sdk",
        "hyperscan",
        "httpx",
    },
    # Nor has it calls to judge, nor what could be masked.
    "approver": {
        "countersign.masking",
        "countersign.authz",
        "countersign.masker",
        "countersign.recorder",
        "kingfisher_sdk",
        "hyperscan",
    },
    "masker": {
        "countersign.authz",
        "countersign.recorder",
        "countersign.identity",
        "psycopg",
        "httpx",
        "opentelemetry.sdk",
    },
    "authz": {"countersign.masker", "countersign.recorder", "psycopg", "opentelemetry.sdk"},
    # It judges nobody and keeps nothing.
    "hub": {
        "countersign.authz",
        "countersign.masker",
        "countersign.recorder",
        "countersign.identity",
        "countersign.credentials",
        "psycopg",
        "opentelemetry.sdk",
    },
}


@pytest.mark.parametrize("service", sorted(NEEDLESS))
def test_a_service_imports_nothing_that_only_others_use(service: str) -> None:
    ended = subprocess.run([sys.executable, "-c", IMPORTED, service], capture_output=True, text=True, check=True)
    loaded = set(ended.stdout.split())
    assert f"countersign.cli.wiring.{service}" in loaded
    assert not loaded & NEEDLESS[service]


@pytest.mark.parametrize("command", ["countersign.cli.main", "countersign.cli.services"])
def test_what_keeps_a_service_from_serving_is_one_line(command: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", command, "serve", "authz"], capture_output=True, text=True, env={}, timeout=60
    )
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: COUNTERSIGN_")
