"""A target that the gateway runs itself is the bridge to Envoy, and another statement of it is another place there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from countersign.envoy import EnvoyFiles, Wiring, write_bootstrap, write_dynamic
from tests.unit.envoy.written import GATEWAY, TOKEN, config, files, listed_routes, validated, wiring

__all__ = ["files", "wiring"]  # fixtures

LOCAL = GATEWAY.replace("targets:\n", "targets:\n  local: {mcp: {command: [server]}}\n", 1)


def route_of(files: EnvoyFiles) -> dict[str, Any]:
    return next(one for one in listed_routes(files) if one.get("name") == "mcp local")


def clusters(files: EnvoyFiles) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in json.loads(files.clusters.read_text())["resources"]}


def test_the_bridge_is_reached_with_the_service_token_at_a_place_of_what_is_stated(
    files: EnvoyFiles,
    wiring: Wiring,
    tmp_path: Path,
) -> None:
    there = replace(wiring, bridge_http="bridge:9001")
    led = []
    for text in (LOCAL, LOCAL.replace("[server]", "[server, --all]")):
        write_dynamic(config(tmp_path, text), there, files)
        write_bootstrap(config(tmp_path, text), there, files)
        assert validated(files.bootstrap).returncode == 0
        route = route_of(files)
        [token] = route["request_headers_to_add"]
        assert token["header"] == {"key": "x-countersign-service", "value": TOKEN}
        endpoint = json.dumps(clusters(files)[route["route"]["cluster"]]["load_assignment"])
        assert '"bridge"' in endpoint
        assert "9001" in endpoint
        led.append((route["route"]["cluster"], route["route"]["prefix_rewrite"]))
    (first, place), (second, other) = led
    assert first != second
    assert place != other
    assert {place.split("/")[1], other.split("/")[1]} == {"local"}


def test_without_a_bridge_there_is_nowhere_to_send_a_call(
    files: EnvoyFiles,
    wiring: Wiring,
    tmp_path: Path,
) -> None:
    write_dynamic(config(tmp_path, LOCAL), wiring, files)
    assert route_of(files)["route"]["cluster"] not in clusters(files)
