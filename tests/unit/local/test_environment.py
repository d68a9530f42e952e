"""No service holds a credential that it does not use, not even in its environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from countersign.config import GatewayConfig, load
from countersign.local.environment import environment_of, environment_of_nursery

GATEWAY = """
version: 1
gateway: {url: "https://gateway.test"}
identity: {oidc: [{issuer: "https://idp.test"}]}
targets:
  orders: {mcp: "http://127.0.0.1:9000/mcp", credential: {bearer: {env: ORDERS_TOKEN}}}
  billing: {mcp: "http://127.0.0.1:9001/mcp", credential: {bearer: {env: OTEL_LOOKALIKE}}}
  local: {mcp: {command: [server], env: {KEY: {env: SERVER_KEY}}}}
rules: [{name: r, allow: {groups: [g], targets: ["*"]}}]
recording:
  postgres: {env: RECORD_DSN}
  exports: {logs: {otlp: {endpoint: "https://otlp.test", token: {env: OTLP_TOKEN}}}}
approvals:
  channels: [{name: ops, webhook: {url: "https://hooks.test/", secret: {env: HOOK_SECRET}}}]
portal: {oidc: [{issuer: "https://idp.test", client_id: us, client_secret: {env: SIGN_IN_SECRET}}]}
"""
NEEDED = {"PATH": "/bin", "HOME": "/h", "LANG": "C", "LC_ALL": "C", "TZ": "UTC", "https_proxy": "p", "NO_PROXY": "n"}
NEEDED |= {"OTEL_RESOURCE_ATTRIBUTES": "a=b", "COUNTERSIGN_LOG_LEVEL": "DEBUG", "PYTHONPATH": "/p"}
OF_TARGETS = {"ORDERS_TOKEN": "t1", "OTEL_LOOKALIKE": "t2"}
OF_THE_DATABASE = {"RECORD_DSN": "postgres://", "PGPASSWORD": "p", "COUNTERSIGN_POSTGRES_DSN": "postgres://"}
OF_APPROVALS = {"HOOK_SECRET": "whsec_" + "aG9vayBzZWNyZXQgb2YgMzIgYnl0ZXMhISEhISEh"}
OF_EXPORTS = {"OTLP_TOKEN": "t3"}
OF_THE_BRIDGE = {"SERVER_KEY": "b1"}
OF_THE_PORTAL = {"SIGN_IN_SECRET": "s1"}
FOREIGN = {"CLOUD_ACCESS_KEY": "k", "GITHUB_TOKEN": "g", "SSH_AUTH_SOCK": "/s"}
ENV = NEEDED | OF_TARGETS | OF_THE_DATABASE | OF_APPROVALS | OF_EXPORTS | OF_THE_PORTAL | OF_THE_BRIDGE | FOREIGN


@pytest.fixture
def config(tmp_path: Path) -> GatewayConfig:
    path = tmp_path / "gateway.yaml"
    path.write_text(GATEWAY)
    return load(path, ENV)


@pytest.mark.parametrize(
    ("service", "own"),
    [
        ("authz", OF_TARGETS),
        ("recorder", OF_THE_DATABASE),
        ("approver", OF_THE_DATABASE | OF_APPROVALS),
        ("exports", OF_EXPORTS),
        ("portal", OF_THE_DATABASE | OF_THE_PORTAL),
        ("masker", dict[str, str]()),
        ("hub", dict[str, str]()),
        ("bridge", OF_THE_BRIDGE),
    ],
)
def test_a_service_gets_what_it_uses_and_nothing_else(config: GatewayConfig, service: str, own: dict[str, str]) -> None:
    assert environment_of(service, config, ENV) == NEEDED | own


@pytest.mark.parametrize("service", ["authz", "masker", "recorder", "approver", "portal"])
def test_only_the_recorder_is_told_of_the_log(config: GatewayConfig, service: str) -> None:
    names = {f"COUNTERSIGN_LOG_{name}": "x" for name in ("KEYS", "KEYS_FILE", "STATE")}
    assert (names.keys() <= environment_of(service, config, ENV | names).keys()) == (service == "recorder")
    assert bool(names.keys() & environment_of(service, config, ENV | names).keys()) == (service == "recorder")


def test_variables_are_known_also_to_those_who_do_not_read_them(tmp_path: Path, config: GatewayConfig) -> None:
    unread = load(tmp_path / "gateway.yaml", {}, reads=frozenset())
    assert unread.variables == config.variables


def test_what_services_are_forked_from_holds_no_credential(config: GatewayConfig) -> None:
    secretive = {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=k", "COUNTERSIGN_KEY": "k", "https_proxy": "u:p@proxy"}
    needed = {"PATH": "/bin", "HOME": "/h", "LANG": "C", "LC_ALL": "C", "TZ": "UTC", "PYTHONPATH": "/p"}
    needed |= {"OTEL_RESOURCE_ATTRIBUTES": "a=b", "COUNTERSIGN_CACHE": "/c"}
    assert environment_of_nursery(config, ENV | secretive | {"COUNTERSIGN_CACHE": "/c"}) == needed
