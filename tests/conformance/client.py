"""The suite's other leg: it plays the server, and starts a client, here the one on the TypeScript SDK."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.suite import Leg, required
from tests.support.gateway import free_port
from tests.support.node import NODE

CLIENT = "typescript-client"
COMMAND = f"{NODE} {Path(__file__).parent / 'clients' / 'typescript_client.mjs'}"

# Where these scenarios' mock servers answer; all others answer at /mcp.
_AT_THE_ROOT = frozenset(
    {
        *("initialize", "sse-retry", "request-metadata"),
        *("http-standard-headers", "http-custom-headers", "http-invalid-tool-headers"),
    }
)


@dataclass(frozen=True, slots=True)
class Passage:
    """A target of the gateway that stands for the mock server of one scenario, under one revision.

    The client listens at ``port``, and passes on what comes to the mock server: where that is, only the client is told.
    """

    era: str
    scenario: str
    port: int

    @property
    def target(self) -> str:
        """The target's name."""
        return f"{self.scenario}-{self.era}".replace("_", "-")

    @property
    def url(self) -> str:
        """The target's address."""
        return f"http://127.0.0.1:{self.port}{'/' if self.scenario in _AT_THE_ROOT else '/mcp'}"


def passages(eras: tuple[str, ...]) -> tuple[Passage, ...]:
    """One for each scenario: those of a revision run all at once."""
    return tuple(Passage(era, name, free_port()) for era in eras for name in required(era, Leg.CLIENT).all)


def environment(through: Iterator[tuple[Passage, str, str]]) -> Mapping[str, str]:
    """What tells the client of its way through the gateway: each passage's endpoint, and the token for it."""
    ways = {each.scenario: {"port": each.port, "endpoint": url, "token": token} for each, url, token in through}
    return {"CONFORMANCE_THROUGH": json.dumps(ways)}
