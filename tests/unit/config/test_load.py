"""What a good gateway.yaml becomes, and that problems are told all at once, in order, in their places."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from pathlib import Path

import pytest

from countersign.config import ConfigRefused, Issuer, Limits, Problem, Secret, Target, load
from countersign.config.types_credentials import Bearer, Credential, Stated
from countersign.model.rule import Effect, Mask, Rule, Selector
from tests.unit.config.files import ENV, GOOD, TOKEN, edited, loaded, refused

BEARER = Credential(Bearer(Stated(Secret(TOKEN))))


def test_the_file_of_the_documentation_loads_whole(tmp_path: Path) -> None:
    config = loaded(tmp_path, GOOD)
    assert config.url == "http://127.0.0.1:8080"
    assert config.issuers == (Issuer("http://127.0.0.1:8090", "groups", ()),)
    assert config.targets == {
        "orders": Target("orders", "http://127.0.0.1:9000/mcp", BEARER, "http://127.0.0.1:8080/orders/mcp")
    }
    assert config.rules == (
        Rule(
            "analysts read",
            Effect.ALLOW,
            Selector(groups=("analysts",), targets=("orders",), tools=("query", "list_*")),
            ("secrets", "pii"),
        ),
        Rule(
            "no exports",
            Effect.DENY,
            Selector(targets=("*",), tools=("export_*",)),
            message="Exports go through the data team.",
        ),
    )
    assert config.masks == {
        "pii": Mask("pii", ("email", "credit_card", "us_ssn"), ("ssn", "*.card"), "[{label}]"),
        "secrets": Mask("secrets", ("secrets",)),
    }
    assert config.auditors == ("auditors",)
    assert config.postgres_dsn is None
    assert config.limits == Limits()
    assert config.otlp_endpoint is None


def test_what_may_be_absent_has_its_defaults(tmp_path: Path) -> None:
    text = """\
version: 1
gateway: {url: "https://mcp.example.com"}
identity: {oidc: [{issuer: "https://login.example.com/tenant/"}]}
targets: {open: {mcp: "http://10.0.0.7/mcp"}}
rules: [{name: all, allow: {groups: ["*"]}}]
"""
    config = loaded(tmp_path, text)
    assert (config.auditors, config.masks, config.postgres_dsn, config.otlp_endpoint) == ((), {}, None, None)
    assert config.targets["open"].credential is None
    assert config.issuers[0].groups_claim == "groups"


def test_everything_that_may_be_given_is_taken(tmp_path: Path) -> None:
    text = edited("recording: {mode: required}", "recording: {mode: required, postgres: {env: DSN}}") + (
        'telemetry: {otlp: "http://127.0.0.1:4318"}\n'
        "limits: {request_bytes: 2048, response_bytes: 4096, sse_event_bytes: 8192, json_depth: 32, tokens_cached: 5,\n"
        "  recorder_queue_events: 200, record_timeout_s: 3, upstream_timeout_s: 1.5}\n"
    )
    text = edited("groups: groups}", "groups: roles, audiences: [one, two]}", text)
    config = loaded(tmp_path, text, {**ENV, "DSN": "postgresql://u:" + "p@h/d"})
    assert config.postgres_dsn == Secret("postgresql://u:" + "p@h/d")
    assert config.otlp_endpoint == "http://127.0.0.1:4318"
    assert config.limits == Limits(2048, 4096, 8192, 32, 5, 200, 3.0, 1.5)
    assert config.issuers == (Issuer("http://127.0.0.1:8090", "roles", ("one", "two")),)


def test_the_version_follows_the_bytes_and_only_them(tmp_path: Path) -> None:
    first = loaded(tmp_path, GOOD)
    assert loaded(tmp_path, GOOD).version == first.version
    assert loaded(tmp_path, GOOD + "# a remark\n").version != first.version
    assert loaded(tmp_path, GOOD, {"ORDERS_TOKEN": "another"}).version == first.version
    assert first.version == hashlib.sha256(GOOD.encode()).hexdigest()[:16]


def test_what_is_loaded_cannot_be_changed(tmp_path: Path) -> None:
    config = loaded(tmp_path, GOOD)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.url = "x"  # type: ignore[misc]  # the point of the test
    with pytest.raises(TypeError):
        config.targets["x"] = config.targets["orders"]  # type: ignore[index]  # the point of the test


def test_no_is_a_name_and_not_false(tmp_path: Path) -> None:
    text = edited("groups: [analysts]", "groups: [no, yes, off, 0x, 1_000, 2026-11-21, 1:30]")
    assert loaded(tmp_path, text).rules[0].selector.groups == ("no", "yes", "off", "0x", "1_000", "2026-11-21", "1:30")


def test_mistakes_of_all_kinds_are_told_in_one_go_and_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = edited('gateway: {url: "http://127.0.0.1:8080"}', 'gateway: {url: "http://gateway.example"}')
    text = edited("targets: [orders]", "targets: [ordres]", text)
    text = edited("tools: [query,", "tool: [query,", text)  # refuses the shape of this rule ...
    text = edited("mask: [secrets, pii]", "mask: [secrets, pi]", text)
    text = edited("message: Exports", "mesage: Exports", text)
    text = edited("detect: [email,", "detect: [mail,", text)
    problems = refused(tmp_path, text + "limits: {json_depth: deep}\n", {})
    assert [(problem.line, problem.column) for problem in problems] == [
        (2, 16),
        (9, 32),
        (12, 52),
        (16, 5),
        (18, 18),
        (22, 22),
    ]  # ... so line 12 is not asked for its meaning, and everything else is


def test_a_problem_reads_file_line_column_what_and_remedy(tmp_path: Path) -> None:
    problems = refused(tmp_path, edited("tools: [query,", "tool: [query,"))
    path = tmp_path / "gateway.yaml"
    assert [str(problem) for problem in problems] == [f"{path}:12:52: unknown key `tool`: did you mean `tools`?"]
    assert str(ConfigRefused(problems)) == str(problems[0])
    assert problems == (Problem(str(path), 12, 52, "unknown key `tool`", "did you mean `tools`?"),)


def test_several_missing_keys_are_all_told(tmp_path: Path) -> None:
    said = [problem.what for problem in refused(tmp_path, "version: 1\n")]
    assert said == [f"missing key `{key}`" for key in ("gateway", "identity", "targets", "rules")]


def test_a_problem_stays_on_one_line_whatever_the_file_holds(tmp_path: Path) -> None:
    for problem in refused(tmp_path, GOOD + '"a\\nb\\e[31m' + "x" * 2_000 + '": 1\n'):
        assert str(problem).isprintable()
        assert len(problem.what) < 500


@pytest.mark.parametrize("make", ["absent", "folder", "pipe"])
def test_what_is_no_readable_file_is_a_problem(tmp_path: Path, make: str) -> None:
    path = tmp_path / "gateway.yaml"
    if make == "folder":
        path.mkdir()
    if make == "pipe":
        os.mkfifo(path)
    with pytest.raises(ConfigRefused) as caught:
        load(path, {})
    assert [(problem.line, problem.column) for problem in caught.value.problems] == [(1, 1)]


def test_a_file_over_a_mebibyte_is_refused(tmp_path: Path) -> None:
    fits = GOOD + "#" * (1024 * 1024 - len(GOOD) - 1) + "\n"
    assert loaded(tmp_path, fits).url
    assert "larger than" in refused(tmp_path, fits + "#")[0].what
