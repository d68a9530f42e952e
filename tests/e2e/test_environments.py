"""A credential that `up` was given in its environment is in that of the service that uses it, and in no other's."""

from __future__ import annotations

import secrets
from dataclasses import replace

import psutil
import pytest

from tests.support.gateway import Gateway, Setup, running_gateway, wait_until
from tests.support.issuer import running_issuer

RULES = ({"name": "all", "allow": {"groups": ["analysts"], "targets": ["*"], "tools": ["query"]}},)
PARTS = ("authz", "masker", "recorder", "envoy", "postgres")


def setup(issuer: str, *names: str) -> Setup:
    targets = {
        name.partition("_")[0].lower(): {"mcp": "http://127.0.0.1:9/mcp", "credential": {"bearer": {"env": name}}}
        for name in names
    }
    return Setup(issuer, {}, RULES, extra={"targets": targets})


def holders(gateway: Gateway, credential: str) -> set[str]:
    """The parts that hold it; a part that is between two processes holds nothing."""
    found = set()
    for name in PARTS:
        try:
            if credential in gateway.part(name).environ().values():
                found.add(name)
        except (LookupError, psutil.Error):
            continue
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
        wait_until(lambda: holders(gateway, second) == {"authz"}, 20, lambda: AssertionError(gateway.output()))
        assert holders(gateway, first) == {"authz"}
        assert holders(gateway, foreign) == set()
