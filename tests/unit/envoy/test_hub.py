"""The one door in Envoy's configuration: one way in for callers, and one for the hub that nobody else has."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from countersign.envoy import EnvoyFiles, Wiring, write_bootstrap, write_dynamic
from countersign.envoy.wiring import HUB_CLUSTER
from countersign.runtime.web import KEEP_ALIVE_S
from tests.unit.envoy.written import AUTHZ, GATEWAY, MASKER, TOKEN, config, validated

OPEN = GATEWAY.replace('gateway: {url: "https://gateway.test"}', 'gateway: {url: "https://gateway.test", hub: true}')
ON_TCP, ON_A_SOCKET = "127.0.0.1:9009", "unix:/tmp/inner"
ANY = "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExtProcPerRoute"


def wiring(tmp_path: Path, inner: str) -> Wiring:
    return Wiring(
        listen="127.0.0.1:0",
        admin=f"unix:{tmp_path}/admin",
        authz="authz:9000",
        masker="masker:9000",
        recorder="recorder:9000",
        access_log=tmp_path / "access.log",
        hub_http="hub:9001",
        inner=inner,
        service_token=TOKEN,
    )


def written(tmp_path: Path, wired: Wiring, text: str = OPEN) -> EnvoyFiles:
    files = EnvoyFiles.below(tmp_path / "envoy")
    write_dynamic(config(tmp_path, text), wired, files)
    write_bootstrap(config(tmp_path, text), wired, files)
    return files


def routes(file: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(file.read_text())["resources"][0]["virtual_hosts"][0]["routes"]
    return found


def told(route: dict[str, Any]) -> dict[str, str]:
    """What authz is told of a route."""
    check = route.get("typed_per_filter_config", {}).get(AUTHZ, {}).get("check_settings", {})
    found: dict[str, str] = check.get("context_extensions", {})
    return found


@pytest.mark.parametrize("inner", [ON_TCP, ON_A_SOCKET])
def test_the_real_envoy_takes_it(tmp_path: Path, inner: str) -> None:
    done = validated(written(tmp_path, wiring(tmp_path, inner)).bootstrap)
    assert done.returncode == 0, done.stderr


def test_callers_reach_the_hub_by_one_path_and_are_identified_there(tmp_path: Path) -> None:
    table = routes(written(tmp_path, wiring(tmp_path, ON_TCP)).routes)
    (door,) = [route for route in table if route.get("route", {}).get("cluster") == "countersign_hub"]
    assert door["match"] == {"path": "/mcp"}
    assert told(door) == {"route": "hub", "target": "mcp"}
    assert door["typed_per_filter_config"][MASKER] == {"@type": ANY, "disabled": True}
    assert not any("inner" in told(route) for route in table), "only the hub is believed whose address it tells"


def test_the_hub_reaches_targets_as_callers_do_and_says_that_it_is_the_hub(tmp_path: Path) -> None:
    files = written(tmp_path, wiring(tmp_path, ON_A_SOCKET))
    outer = [route for route in routes(files.routes) if route.get("name", "").startswith("mcp ")]
    inner = [route for route in routes(files.inner_routes) if told(route).get("route") == "mcp"]
    assert [route["name"] for route in inner] == [f"hub {route['name']}" for route in outer]
    for one, other in zip(outer, inner, strict=True):
        assert told(other) == {**told(one), "inner": "yes"}
        del one["typed_per_filter_config"][AUTHZ], other["typed_per_filter_config"][AUTHZ]
        assert {**one, "name": ""} == {**other, "name": ""}


def test_what_reaches_no_target_is_brought_to_authz_by_the_hub_alone_and_leads_nowhere(tmp_path: Path) -> None:
    files = written(tmp_path, wiring(tmp_path, ON_A_SOCKET))
    (route,) = [route for route in routes(files.inner_routes) if told(route).get("route") == "dismissed"]
    assert told(route) == {"route": "dismissed", "target": "mcp", "inner": "yes"}
    assert (route["match"], route["direct_response"]["status"]) == ({"path": "/mcp"}, 503)
    check = route["typed_per_filter_config"][AUTHZ]["check_settings"]
    assert "disable_request_body_buffering" not in check
    assert check["with_request_body"].keys() == {"max_request_bytes", "pack_as_bytes"}
    assert not any(told(route).get("route") == "dismissed" for route in routes(files.routes))


def test_on_tcp_nobody_but_the_hub_is_served(tmp_path: Path) -> None:
    files = written(tmp_path, wiring(tmp_path, ON_TCP))
    for route in routes(files.inner_routes)[:-1]:
        wanted = [each for each in route["match"]["headers"] if each["name"] == "x-countersign-service"]
        assert wanted == [{"name": "x-countersign-service", "string_match": {"exact": TOKEN}}]


def test_what_envoy_has_not_yet_is_no_answer_of_a_target_to_the_hub(tmp_path: Path) -> None:
    answer = routes(written(tmp_path, wiring(tmp_path, ON_A_SOCKET)).inner_routes)[-1]["direct_response"]
    assert answer["status"] == 503
    assert json.loads(answer["body"]["inline_string"])["error"]["code"] == 5030


def test_a_socket_is_for_its_owner_alone(tmp_path: Path) -> None:
    files = written(tmp_path, wiring(tmp_path, ON_A_SOCKET))
    listeners = json.loads(files.bootstrap.read_text())["static_resources"]["listeners"]
    (inner,) = [each for each in listeners if each["name"] == "inner"]
    assert inner["address"]["pipe"] == {"path": "/tmp/inner", "mode": 0o600}


@pytest.mark.parametrize(
    ("text", "changed"),
    [(GATEWAY, {}), (OPEN, {"hub_http": ""}), (OPEN, {"inner": ""})],
    ids=["off", "no hub", "no way"],
)
def test_without_a_hub_there_is_no_door(tmp_path: Path, text: str, changed: dict[str, str]) -> None:
    wired = replace(wiring(tmp_path, ON_TCP), **changed)  # type: ignore[arg-type]
    files = written(tmp_path, wired, text)
    assert not any(route["match"].get("path") == "/mcp" for route in routes(files.routes))
    if text is GATEWAY:
        assert [told(route) for route in routes(files.inner_routes)] == [{}]


def test_envoy_hangs_up_on_the_hub_before_the_hub_does(tmp_path: Path) -> None:
    files = written(tmp_path, wiring(tmp_path, ON_TCP))
    clusters = json.loads(files.bootstrap.read_text())["static_resources"]["clusters"]
    (hub,) = [each for each in clusters if each["name"] == HUB_CLUSTER]
    (options,) = hub["typed_extension_protocol_options"].values()
    idle = options["common_http_protocol_options"]["idle_timeout"]
    assert float(idle.removesuffix("s")) < KEEP_ALIVE_S
