"""Whoever says another host or comes from another page is told so by Envoy alone; what gateway.yaml names is served."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from countersign.config import GatewayConfig, load
from countersign.envoy.doors import cross_origin, hosts, origins

TEXT = """
version: 1
gateway: {url: "URL"}
identity: {oidc: [{issuer: "https://idp.test"}]}
targets: {orders: {mcp: "http://127.0.0.1:9000/mcp"}}
rules: [{name: r, allow: {groups: [g], targets: ["*"]}}]
"""


def config(tmp_path: Path, url: str) -> GatewayConfig:
    path = tmp_path / "gateway.yaml"
    path.write_text(TEXT.replace("URL", url))
    return load(path, {})


@pytest.mark.parametrize(
    ("url", "listen", "taken"),
    [
        ("https://gateway.test", "0.0.0.0:8080", {"gateway.test", "gateway.test:443"}),
        ("https://gateway.test:8443", "0.0.0.0:8080", {"gateway.test:8443"}),
        ("https://[::2]", "unix:/tmp/x", {"[::2]", "[::2]:443"}),
        ("http://127.0.0.1:81", "unix:/tmp/x", {"127.0.0.1:81", "localhost:81", "[::1]:81"}),
        (
            "http://localhost:81",
            "127.0.0.1:82",
            {f"{name}:{port}" for name in ("localhost", "127.0.0.1", "[::1]") for port in (81, 82)},
        ),
        ("http://127.0.0.2:81", "127.0.0.2:81", {"127.0.0.2:81", "127.0.0.1:81", "localhost:81", "[::1]:81"}),
    ],
)
def test_the_gateway_goes_by_its_url_and_on_one_machine_by_all_its_names(
    tmp_path: Path, url: str, listen: str, taken: set[str]
) -> None:
    loaded = config(tmp_path, url)
    assert set(hosts(loaded, listen)) == taken
    assert set(hosts(replace(loaded, hosts=("other:1",)), listen)) == {*taken, "other:1"}


def test_only_pages_of_the_gateway_itself_and_listed_ones_may_call(tmp_path: Path) -> None:
    away = config(tmp_path, "https://gateway.test")
    assert origins(away) == ["https://gateway.test"]
    assert cross_origin(away) is None, "its own pages need no leave"
    listed = replace(away, origins=("https://inspector.test",))
    assert origins(listed) == ["https://gateway.test", "https://inspector.test"]
    policy = cross_origin(listed)
    assert policy is not None
    assert [one.exact for one in policy.allow_origin_string_match] == ["https://inspector.test"]
    assert not policy.allow_credentials.value
    here = config(tmp_path, "http://127.0.0.1:81")
    assert set(origins(here)) == {"http://127.0.0.1:81", "http://localhost:81", "http://[::1]:81"}
