"""Which URLs are taken, and that a credential never travels in clear."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.config.files import edited, loaded, pointed_at, refused

GATEWAY = '"http://127.0.0.1:8080"'
ISSUER = '"http://127.0.0.1:8090"'
TARGET = '"http://127.0.0.1:9000/mcp"'
CREDENTIAL = "    credential: {bearer: {env: ORDERS_TOKEN}}\n"

NOWHERE = [
    "example.com",
    "//example.com",
    "ftp://example.com",
    "file:///etc/passwd",
    "https://",
    "https:///mcp",
    "https://user:pw@example.com",
    "https://example.com#x",
    "https://exa mple.com",
    "https://example.com:0",
    "https://example.com:99999",
    "https://example.com:",
    "https://example.com\\\\@evil.example",
    "https://éxample.com",
    "https://[::1",
    "https://[fe80::1%25eth0]",
    "https://-x.example",
    "https://a..b",
    "https://example.com/%0a/../x",
    "https://example.com//x",
    "https://example.com/\\n",
    "https://example.com?x",
]


@pytest.mark.parametrize("role", [GATEWAY, ISSUER, TARGET])
@pytest.mark.parametrize("url", NOWHERE)
def test_what_is_no_plain_url_is_refused_in_every_role(tmp_path: Path, role: str, url: str) -> None:
    text = edited(role, f'"{url}"')
    (problem,) = refused(tmp_path, text)
    assert pointed_at(text, problem).startswith(f'"{url}"')
    assert "pw" not in problem.what + problem.remedy


@pytest.mark.parametrize("role", [GATEWAY, ISSUER])
@pytest.mark.parametrize(
    "host", ["gateway.example", "10.0.0.1", "127.0.0.1.example", "localhost.example", "[::2]", "0.0.0.0"]
)
def test_plain_http_is_for_this_machine_only(tmp_path: Path, role: str, host: str) -> None:
    (problem,) = refused(tmp_path, edited(role, f'"http://{host}:1234"'))
    assert problem.remedy == "use https://"
    loaded(tmp_path, edited(role, f'"https://{host}:1234"'))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.1", "[::1]"])
def test_plain_http_to_this_machine_is_taken(tmp_path: Path, host: str) -> None:
    for role in (GATEWAY, ISSUER, TARGET):
        loaded(tmp_path, edited(role, f'"http://{host}:1234"'))


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8080/",
        "https://mcp.example.com/base",
        "https://MCP.example.com",
        "HTTPS://mcp.example.com",
        "https://mcp.example.com:443",
        "http://127.0.0.1:80",
    ],
)
def test_the_gateways_url_has_one_spelling(tmp_path: Path, url: str) -> None:
    refused(tmp_path, edited(GATEWAY, f'"{url}"'))


def test_an_issuer_is_kept_byte_for_byte(tmp_path: Path) -> None:
    for url in ("https://login.example.com/", "https://login.example.com/tenant/v2.0"):
        assert loaded(tmp_path, edited(ISSUER, f'"{url}"')).issuers[0].issuer == url


def test_a_credential_never_travels_in_clear(tmp_path: Path) -> None:
    remote = edited(TARGET, '"http://10.0.0.7:9000/mcp"')
    (problem,) = refused(tmp_path, remote)
    assert "the credential would travel unencrypted" in problem.what
    assert loaded(tmp_path, edited(CREDENTIAL, "", remote)).targets["orders"].credential is None


def test_a_target_that_is_the_gateway_itself_is_refused(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, edited(TARGET, '"http://127.0.0.1:8080/orders/mcp"'))
    assert problem.what == "the target is the gateway itself"


@pytest.mark.parametrize("url", ["http://127.0.0.1:4318/v1/traces", "127.0.0.1:4318", "https://u:p@collector"])
def test_an_otlp_endpoint_is_scheme_host_and_port(tmp_path: Path, url: str) -> None:
    refused(tmp_path, edited("recording: {mode: required}", f'telemetry: {{otlp: "{url}"}}'))
