"""The real Envoy takes what we build, and nothing secret is in it."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from countersign.envoy import EnvoyFiles, Wiring, write_bootstrap, write_dynamic
from tests.unit.envoy.written import (
    CREDENTIAL,
    GATEWAY,
    RENEWING,
    TOKEN,
    config,
    validated,
)
from tests.unit.envoy.written import files as files
from tests.unit.envoy.written import wiring as wiring


def test_the_real_envoy_takes_the_configuration(files: EnvoyFiles) -> None:
    done = validated(files.bootstrap)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("text", [GATEWAY, RENEWING], ids=["as it is", "with a credential that is renewed"])
def test_the_real_envoy_takes_the_files_that_it_watches(
    tmp_path: Path, wiring: Wiring, files: EnvoyFiles, text: str
) -> None:
    write_dynamic(config(tmp_path, text), wiring, files)
    # It validates nothing but its bootstrap: so there they go.
    whole = json.loads(files.bootstrap.read_text())
    (table,) = json.loads(files.routes.read_text())["resources"]
    static, clusters = whole["static_resources"], json.loads(files.clusters.read_text())["resources"]
    manager = static["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    del manager["rds"], whole["dynamic_resources"]
    manager["route_config"] = without_type(table)
    static["clusters"] += [without_type(each) for each in clusters]
    file = files.bootstrap.with_name("whole.json")
    file.write_text(json.dumps(whole))
    done = validated(file)
    assert done.returncode == 0, done.stderr


def without_type(resource: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in resource.items() if name != "@type"}


def test_envoy_hangs_up_on_targets_before_they_do(files: EnvoyFiles) -> None:
    options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    clusters = json.loads(files.clusters.read_text())["resources"]
    common = [one["typed_extension_protocol_options"][options]["common_http_protocol_options"] for one in clusters]
    assert common
    assert {each["idle_timeout"] for each in common} == {"4s"}


def test_only_attempts_at_targets_whose_credential_can_be_renewed_are_looked_at(
    tmp_path: Path, wiring: Wiring, files: EnvoyFiles
) -> None:
    options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

    def filtered() -> dict[str, list[str]]:
        clusters = json.loads(files.clusters.read_text())["resources"]
        each = {one["name"].split("_")[1]: one["typed_extension_protocol_options"][options] for one in clusters}
        return {name: [part["name"] for part in one.get("http_filters", ())] for name, one in each.items()}

    def counted() -> bool:
        (table,) = json.loads(files.routes.read_text())["resources"]
        return bool(table["virtual_hosts"][0].get("include_request_attempt_count", False))

    assert filtered() == {"orders": [], "billing": []}
    assert not counted()
    write_dynamic(config(tmp_path, RENEWING), wiring, files)
    codec = "envoy.filters.http.upstream_codec"
    seen = filtered()
    assert (seen["orders"], seen["billing"], seen["crm"][-1]) == ([], [], codec)
    assert counted()


def test_no_credential_is_in_envoys_files(files: EnvoyFiles) -> None:
    for file in (files.bootstrap, files.routes, files.clusters):
        assert CREDENTIAL not in file.read_text()


def test_both_filters_fail_closed_and_stand_in_order(files: EnvoyFiles) -> None:
    listener = json.loads(files.bootstrap.read_text())["static_resources"]["listeners"][0]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    filters = manager["http_filters"]
    assert [each["name"] for each in filters] == [
        "envoy.filters.http.cors",
        "envoy.filters.http.ext_authz",
        "envoy.filters.http.ext_proc",
        "envoy.filters.http.buffer",
        "envoy.filters.http.router",
    ]
    assert not filters[1]["typed_config"].get("failure_mode_allow")
    assert not filters[2]["typed_config"].get("failure_mode_allow")


def test_every_service_is_called_with_the_service_token(files: EnvoyFiles) -> None:
    text = files.bootstrap.read_text()
    assert text.count('"envoy_grpc"') == text.count(TOKEN) >= 2
    table = json.loads(files.routes.read_text())["resources"][0]["virtual_hosts"][0]["routes"]
    for route in table:
        added = [each for each in route.get("request_headers_to_add", ()) if each["header"]["value"] == TOKEN]
        to_us = route.get("route", {}).get("cluster", "").startswith("countersign_")
        assert len(added) == int(to_us), "the token is for our own services and for no target"
        assert all(each["append_action"] == "OVERWRITE_IF_EXISTS_OR_ADD" for each in added)


def test_files_that_may_hold_the_token_are_for_their_owner_only(files: EnvoyFiles) -> None:
    for file in (files.bootstrap, files.routes, files.clusters):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_limits_of_gateway_yaml_are_envoys(files: EnvoyFiles, wiring: Wiring, tmp_path: Path) -> None:
    edited = GATEWAY + "limits: {connections: 77, envoy_heap_bytes: 268435456}\n"
    write_bootstrap(config(tmp_path, edited), wiring, files)
    assert validated(files.bootstrap).returncode == 0
    whole = json.loads(files.bootstrap.read_text())
    told = {
        one["name"].rpartition(".")[2]: one["typed_config"] for one in whole["overload_manager"]["resource_monitors"]
    }
    assert told["fixed_heap"]["max_heap_size_bytes"] == "268435456"
    assert told["global_downstream_max_connections"]["max_active_downstream_connections"] == "77"
    assert whole["admin"]["ignore_global_conn_limit"], "who operates a full gateway must reach it"


def test_nothing_that_fills_up_cuts_a_quiet_stream_or_ends_a_connection_by_its_age(files: EnvoyFiles) -> None:
    whole = json.loads(files.bootstrap.read_text())
    scaled = [
        one["timer"]
        for action in whole["overload_manager"]["actions"]
        for one in action.get("typed_config", {}).get("timer_scale_factors", [])
    ]
    assert scaled == ["HTTP_DOWNSTREAM_CONNECTION_IDLE"]
    for each in whole["static_resources"]["listeners"]:
        manager = each["filter_chains"][0]["filters"][0]["typed_config"]
        assert manager["stream_idle_timeout"] == "0s", "routes say how long"
        options = manager["common_http_protocol_options"]
        assert not {"max_connection_duration", "max_stream_duration", "max_requests_per_connection"} & options.keys()
