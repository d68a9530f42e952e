"""Demo only: addresses, files and the configuration that the walk generates."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

SEAL_AFTER_S = 15
_GATEWAY_YAML = """\
version: 1
gateway: {{url: "{gateway}"}}
identity:
  oidc:
    - {{issuer: "{issuer}", groups: groups}}   # audience defaults to each target's own URL
targets:
  orders:
    mcp: "{orders}"                  # served at {{gateway.url}}/orders/mcp
    credential: {{bearer: {{env: ORDERS_TOKEN}}}}   # or {{file: path}}; never a literal
rules:
  - name: analysts read
    allow: {{groups: [analysts], targets: [orders], tools: [query, "list_*"]}}
    mask: [secrets, pii]
  - name: no exports
    deny: {{targets: ["*"], tools: ["export_*"]}}
    message: Exports go through the data team.
  - name: reading only
    deny: {{targets: [orders], tools: [query]}}
    when: '!sql(args.sql, "sqlite").only_reads'
    message: Only statements that read, please.
  - name: support agrees
    approve: {{groups: [analysts], targets: [orders], tools: [get_customer]}}
    by: {{groups: [support], within: 15m}}
    mask: [secrets, pii]
masks:
  pii: {{detect: [email, credit_card, us_ssn], fields: [ssn, "*.card"], replace: "[{{label}}]"}}
  secrets: {{detect: [secrets]}}
approvals:
  sign_in: {{issuer: "{issuer}", client_id: countersign-page}}   # people decide at {{gateway.url}}/approvals/, too
recording: {{mode: required, seal_after: {seal_after_s}s}}   # a session is closed so long after its last call; else 1h
auditors: {{groups: [auditors]}}      # who may read the record
operators: {{groups: [platform]}}     # who may accept tools that change
"""


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything of one demo is."""

    state: Path
    gateway_port: int
    issuer_port: int
    orders_port: int

    @property
    def gateway(self) -> str:
        """The gateway's URL."""
        return f"http://127.0.0.1:{self.gateway_port}"

    @property
    def issuer(self) -> str:
        """The issuer's URL."""
        return f"http://127.0.0.1:{self.issuer_port}"

    @property
    def orders(self) -> str:
        """The target's own endpoint, which callers never use."""
        return f"http://127.0.0.1:{self.orders_port}/mcp"

    @property
    def governed(self) -> str:
        """The target's endpoint behind the gateway, and the audience of tokens for it."""
        return f"{self.gateway}/orders/mcp"

    @property
    def config(self) -> Path:
        """The generated gateway.yaml."""
        return self.state / "gateway.yaml"

    @property
    def signed_in(self) -> str:
        """Where the page of approvals takes sign-ins."""
        return f"{self.gateway}/approvals/signed-in"

    def token_file(self, person: str) -> Path:
        """Where a person's token is kept for commands by hand."""
        return self.state / f"{person}.token"

    def write_config(self) -> None:
        """Write gateway.yaml."""
        text = _GATEWAY_YAML.format(
            gateway=self.gateway, issuer=self.issuer, orders=self.orders, seal_after_s=SEAL_AFTER_S
        )
        self.config.write_text(text, "utf-8")


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, also when it was there already."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, 0o600)
        file.write(text)
