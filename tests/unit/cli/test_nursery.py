"""What services are forked from: all that they import, and nothing that they must not have or a fork would break."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.unit.model.test_principal import FOR_TRYING, module

SERVICES = ("recorder", "approver", "portal", "hub", "bridge", "authz", "masker")
LOADED = """
import json, os, sys
from countersign.cli import nursery
before = {name for name in os.listdir("/proc/self/fd")}
nursery.load(sys.argv[1].split(","))
told = {
    "modules": sorted(sys.modules),
    "tasks": len(os.listdir("/proc/self/task")),
    "opened": sorted({name for name in os.listdir("/proc/self/fd")} - before),
}
for name in sys.argv[1].split(","):
    __import__(f"countersign.cli.wiring.{name}")
told["more"] = sorted(set(sys.modules) - set(told["modules"]))
from countersign.catalogue import load_ahead
from countersign.runtime.cache import private_cache
from countersign.runtime.settings import cache_directory
load_ahead(private_cache(cache_directory(os.environ)))
told["tasks then"] = len(os.listdir("/proc/self/task"))

import random, ssl
from cryptography.hazmat.primitives.asymmetric import ec
from countersign.runtime.moments import new_id

def drawn():
    key = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
    return [str(key), ssl.RAND_bytes(16).hex(), new_id(), str(random.getrandbits(128))]

# Drawn before, so that what is drawn from has begun; and by two that are forked.
told["drawn"] = [drawn()]
for _ in range(2):
    read, write = os.pipe()
    if os.fork() == 0:
        os.write(write, json.dumps(drawn()).encode())
        os._exit(0)
    os.close(write)
    told["drawn"].append(json.loads(os.read(read, 4096)))
    os.wait()
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def loaded() -> dict[str, Any]:
    """What a nursery of all services has loaded."""
    command = [sys.executable, "-c", LOADED, ",".join(SERVICES)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def test_it_has_all_that_services_import(loaded: dict[str, Any]) -> None:
    assert {f"countersign.cli.wiring.{name}" for name in SERVICES} <= set(loaded["modules"])
    assert loaded["more"] == []


def test_nothing_in_it_makes_a_principal_for_trying(loaded: dict[str, Any]) -> None:
    assert not set(loaded["modules"]) & {module(place) for place in FOR_TRYING}


@pytest.mark.parametrize("room", ["rehearsal", "review", "demo", "witness", "exports", "cli.policy", "cli.main"])
def test_it_has_nothing_of_rooms_that_serve_nobody(loaded: dict[str, Any], room: str) -> None:
    assert [name for name in loaded["modules"] if f"{name}.".startswith(f"countersign.{room}.")] == []


def test_nothing_runs_or_is_open_that_a_fork_would_break(loaded: dict[str, Any]) -> None:
    assert loaded["tasks"] == 1
    assert loaded["opened"] == []


def test_the_catalogue_is_not_loaded_again(loaded: dict[str, Any]) -> None:
    assert loaded["tasks then"] == 1


def test_no_two_that_are_forked_draw_the_same_key_or_id(loaded: dict[str, Any]) -> None:
    drawn = [each for process in loaded["drawn"] for each in process]
    assert len(drawn) == len(set(drawn)) == 12
