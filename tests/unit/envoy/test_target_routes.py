"""Routes to targets: all pass both filters, as long and as changed as gateway.yaml says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from countersign.config.types import Approvals
from countersign.envoy import EnvoyFiles, Wiring, write_bootstrap, write_dynamic
from tests.unit.envoy.written import (
    AUTHZ,
    GATEWAY,
    MASKER,
    TOKEN,
    config,
    listed_routes,
    waiting,
)
from tests.unit.envoy.written import files as files
from tests.unit.envoy.written import wiring as wiring


def test_every_route_to_a_target_passes_both_filters(files: EnvoyFiles) -> None:
    table = json.loads(files.routes.read_text())["resources"][0]["virtual_hosts"][0]["routes"]
    to_targets = [route for route in table if route.get("route", {}).get("cluster", "").startswith("target_")]
    assert len(to_targets) == 4, "each has one more for its own stream"
    for route in to_targets:
        assert "path" in route["match"], "a prefix would let unjudged paths through"
        overrides = route["typed_per_filter_config"]
        assert {AUTHZ, MASKER} <= overrides.keys()
        assert all("disabled" not in override for override in overrides.values())


def changing(files: EnvoyFiles) -> dict[str, bool]:
    """By its name whether the requests of a route pass the masker, which authz must be told alike."""
    table = json.loads(files.routes.read_text())["resources"][0]["virtual_hosts"][0]["routes"]
    found: dict[str, bool] = {}
    for route in (route for route in table if route.get("name", "").startswith("mcp ")):
        filters = route["typed_per_filter_config"]
        told = "changes_requests" in filters[AUTHZ]["check_settings"]["context_extensions"]
        mode = filters[MASKER]["overrides"]["processing_mode"]
        assert mode["response_header_mode"] == mode["response_trailer_mode"] == "SEND"
        assert mode["response_body_mode"] == "FULL_DUPLEX_STREAMED", "answers are masked everywhere"
        assert mode["request_header_mode"] == ("SEND" if told else "SKIP")
        assert mode.get("request_body_mode", "NONE") == ("BUFFERED" if told else "NONE")
        name = route["name"].removeprefix("mcp ")
        assert found.setdefault(name.removesuffix(" news"), told) is told
    return found


def test_only_requests_that_may_have_to_be_changed_pass_the_masker(
    files: EnvoyFiles, wiring: Wiring, tmp_path: Path
) -> None:
    assert changing(files) == {"orders": False, "billing": True}
    edited = GATEWAY.replace("allow: {groups: [g]", "unmask_for: [refund], allow: {groups: [g]")
    write_dynamic(config(tmp_path, edited), wiring, files)
    assert changing(files) == {"orders": True, "billing": True}
    # What callers keep for us while they wait, or are handed sealed, must not reach the target.
    write_dynamic(config(tmp_path, waiting("ord*")), wiring, files)
    assert changing(files) == {"orders": True, "billing": True}
    sealing = GATEWAY.replace("  orders: {", "  orders: {seal_states: true, ")
    write_dynamic(config(tmp_path, sealing), wiring, files)
    assert changing(files) == {"orders": True, "billing": True}


def seconds(duration: str) -> float:
    return float(duration.removesuffix("s"))


@pytest.mark.parametrize(("targets", "waits"), [("*", {"orders", "billing"}), ("ord*", {"orders"})])
def test_nobody_gives_up_a_call_that_may_wait_before_its_hold_ends(
    files: EnvoyFiles, wiring: Wiring, tmp_path: Path, targets: str, waits: set[str]
) -> None:
    hold_s, limit = 50.0, "limits: {upstream_timeout_s: 7}\n"
    loaded = replace(config(tmp_path, waiting(targets) + limit), approvals=Approvals(hold_s=hold_s))
    write_dynamic(loaded, wiring, files)
    write_bootstrap(loaded, wiring, files)
    manager = json.loads(files.bootstrap.read_text())["static_resources"]["listeners"][0]["filter_chains"][0]
    manager = manager["filters"][0]["typed_config"]
    assert seconds(manager["request_timeout"]) >= hold_s + 20
    assert seconds(manager["http_filters"][1]["typed_config"]["grpc_service"]["timeout"]) == 10
    held = set()
    calls = [route for route in listed_routes(files) if route.get("name", "").startswith("mcp ")]
    for route in (route for route in calls if not route["name"].endswith(" news")):
        check = route["typed_per_filter_config"][AUTHZ]["check_settings"]
        idle_s = seconds(route["route"]["idle_timeout"])
        if "grpc_service" not in check:
            assert idle_s == 7
            continue
        held.add(route["name"].removeprefix("mcp "))
        check_s = seconds(check["grpc_service"]["timeout"])
        assert hold_s + 10 <= check_s <= idle_s - 10
        assert check["grpc_service"]["initial_metadata"][0]["value"] == TOKEN
    assert held == waits


def test_only_a_targets_own_stream_may_be_quiet_for_ever(files: EnvoyFiles) -> None:
    routes = [route for route in listed_routes(files) if route.get("name", "").startswith("mcp ")]
    quiet = [route for route in routes if seconds(route["route"]["idle_timeout"]) == 0]
    assert [route["name"] for route in quiet] == ["mcp orders news", "mcp billing news"]
    for news in quiet:
        assert news["match"]["headers"] == [{"name": ":method", "string_match": {"exact": "GET"}}]
        call = routes[routes.index(news) + 1]
        assert news["match"]["path"] == call["match"]["path"]
        assert news["typed_per_filter_config"] == call["typed_per_filter_config"]


def test_another_url_of_a_target_is_another_cluster(files: EnvoyFiles, wiring: Wiring, tmp_path: Path) -> None:
    def clusters() -> set[str]:
        return {each["name"] for each in json.loads(files.clusters.read_text())["resources"]}

    before = clusters()
    write_dynamic(config(tmp_path, GATEWAY.replace("127.0.0.1:9000", "127.0.0.1:9001")), wiring, files)
    table, _elsewhere = json.loads(files.routes.read_text())["resources"][0]["virtual_hosts"]
    routed = {route["route"]["cluster"] for route in table["routes"] if "cluster" in route.get("route", {})}
    assert clusters() <= routed
    assert len(clusters() - before) == 1
