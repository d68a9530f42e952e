"""Routes to services of ours: who reaches what there, and nobody anything else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from countersign.envoy import EnvoyFiles, Wiring, write_bootstrap, write_dynamic
from tests.unit.envoy.written import (
    AUTHZ,
    BUFFER,
    GATEWAY,
    MASKER,
    TOKEN,
    config,
    listed_routes,
    validated,
    waiting,
)
from tests.unit.envoy.written import files as files
from tests.unit.envoy.written import wiring as wiring


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
