"""One gateway for all end-to-end tests: a real Envoy, the demo's issuer and target, a place for scripted ones."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from countersign.demo import orders
from countersign.demo.orders_journal import journal_path
from countersign.demo.serving import ThreadedServer
from tests.matrix.peers import Peer, running_peers
from tests.support.gateway import ISSUE_RULES, Gateway, Setup, Upstream, free_port, running_gateway, short_folder
from tests.support.issuer import RunningIssuer, running_issuer

RULES: tuple[Mapping[str, object], ...] = (
    *ISSUE_RULES,
    {
        "name": "support looks up",
        "allow": {"groups": ["support"], "targets": ["orders"], "tools": ["get_customer"]},
        "mask": ["secrets", "pii"],
    },
    {
        "name": "analysts ask",
        "allow": {"groups": ["analysts"], "targets": ["orders"], "prompts": ["summarise_*"]},
        "mask": ["pii"],
    },
    {
        "name": "analysts know the tables",
        "allow": {"groups": ["analysts"], "targets": ["orders"], "resources": ["orders://schema"]},
        "mask": ["pii"],
    },
    {
        "name": "analysts script",
        "allow": {"groups": ["analysts"], "targets": ["scripted", "guarded", "database"], "tools": ["query"]},
        "mask": ["secrets", "pii"],
    },
)


@dataclass(frozen=True, slots=True)
class World:
    """Everything that runs, and the credentials that only the gateway and its targets may know."""

    gateway: Gateway
    issuer: RunningIssuer
    shop: Path
    credential: str
    scripted_port: int
    scripted_credential: str

    @property
    def orders(self) -> str:
        """The orders endpoint behind the gateway."""
        return self.gateway.endpoint("orders")

    @property
    def scripted(self) -> str:
        """The scripted target's endpoint behind the gateway."""
        return self.gateway.endpoint("scripted")

    @property
    def guarded(self) -> str:
        """The same scripted target, as one that must not get personal data or secrets, and whose pictures pass."""
        return self.gateway.endpoint("guarded")

    @property
    def database(self) -> str:
        """The same scripted target, as one whose `query` takes statements of SQLite in its argument `sql`."""
        return self.gateway.endpoint("database")

    def token(self, person: str, target: str = "orders") -> str:
        """A fresh good token for a target."""
        return self.issuer.token(person, self.gateway.endpoint(target))

    def auditor_token(self, person: str = "carol") -> str:
        """A fresh good token for the record."""
        return self.issuer.token(person, self.gateway.url)

    def journal(self) -> list[dict[str, object]]:
        """What the orders server saw."""
        path = journal_path(self.shop)
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


@pytest.fixture(scope="session")
def peers() -> Iterator[Mapping[str, Peer]]:
    """Others' servers and two of ours on others' frameworks."""
    with running_peers() as running:
        yield running


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    shop = short_folder()
    credential, scripted_credential = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    scripted_port = free_port()
    try:
        with running_issuer() as issuer, ThreadedServer(orders.app(shop, credential)) as target:
            setup = Setup(
                issuer.url,
                {
                    "orders": Upstream(f"{target.url}/mcp", credential),
                    "scripted": Upstream(f"http://127.0.0.1:{scripted_port}/mcp", scripted_credential),
                    "guarded": Upstream(
                        f"http://127.0.0.1:{scripted_port}/mcp",
                        scripted_credential,
                        {"mask_request": {"mask": ["pii"], "refuse": ["secrets"]}, "binary": "pass"},
                    ),
                    "database": Upstream(
                        f"http://127.0.0.1:{scripted_port}/mcp",
                        scripted_credential,
                        {"statements": {"query": {"argument": "sql", "dialect": "sqlite"}}},
                    ),
                },
                RULES,
                # What clients end is then sealed within some seconds, and what they leave open while others are tested.
                extra={"recording": {"mode": "required", "seal_after": "40s"}},
            )
            with running_gateway(setup) as gateway:
                yield World(gateway, issuer, shop, credential, scripted_port, scripted_credential)
    finally:
        shutil.rmtree(shop, ignore_errors=True)
