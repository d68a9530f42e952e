"""A credential that `up` was given in its environment is known to the service that uses it, and to no other."""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import replace

import psutil
import pytest

from tests.support.gateway import Gateway, Setup, running_gateway, wait_until
from tests.support.issuer import running_issuer
from tests.support.memory_held import holds

RULES = ({"name": "all", "allow": {"groups": ["analysts"], "targets": ["*"], "tools": ["query"]}},)
PARTS = ("nursery", "authz", "masker", "recorder", "envoy", "postgres")


def setup(issuer: str, *names: str) -> Setup:
    targets = {
        name.partition("_")[0].lower(): {"mcp": "http://127.0.0.1:9/mcp", "credential": {"bearer": {"env": name}}}
        for name in names
    }
    return Setup(issuer, {}, RULES, extra={"targets": targets})


def holders(gateway: Gateway, credential: str, *parts: str) -> set[str]:
    """Those of the parts (all by default) in whose memory it is; one that is between two processes holds nothing."""
    found = set()
    for name in parts or PARTS:
        try:
            if holds(gateway.part(name).pid, credential):
                found.add(name)
        except (LookupError, OSError):
            continue
    return found


def shown(gateway: Gateway, credential: str) -> list[psutil.Process]:
    """The processes below `up` in whose environment others of their user can read it."""
    found = []
    for process in gateway.processes()[1:]:
        with suppress(psutil.Error):
            if credential in process.environ().values():
                found.append(process)
    return found


def test_only_authz_holds_the_credentials_of_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, foreign = (secrets.token_urlsafe(24) for _ in range(3))
    monkeypatch.setenv("ORDERS_TOKEN", first)
    monkeypatch.setenv("BILLING_TOKEN", second)
    monkeypatch.setenv("CLOUD_ACCESS_KEY", foreign)
    with running_issuer() as issuer, running_gateway(setup(issuer.url, "ORDERS_TOKEN")) as gateway:
        assert holders(gateway, first) == {"authz"}
        assert holders(gateway, second) == holders(gateway, foreign) == set()
        gateway.reconfigure(replace(gateway.setup, extra=setup(issuer.url, "ORDERS_TOKEN", "BILLING_TOKEN").extra))
        wait_until(lambda: "authz" in holders(gateway, second, "authz"), 20, lambda: AssertionError(gateway.output()))
        assert holders(gateway, first) == holders(gateway, second) == {"authz"}
        assert holders(gateway, foreign) == set()
        assert [shown(gateway, each) for each in (first, second, foreign)] == [[], [], []]
