"""`countersign tools diff`, `accept` and `forget` against a scripted ToolReviewService."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
import typer
from typer.testing import CliRunner, Result

from countersign.api.access.v1 import tools_pb2, tools_pb2_grpc
from countersign.cli import tools
from tests.support.gateway import free_port

app = typer.Typer()
tools.register(app)
TOKEN = "-".join(["credential", "canary"])


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def waiting(name: str, description: str, before: str = "", *flags: tools_pb2.ToolFlag) -> tools_pb2.ReviewedTool:
    """A tool that waits: changed when there is something before, else new."""
    changed = tools_pb2.ToolDifference(place="$.description", before=json.dumps(before), after=json.dumps(description))
    return tools_pb2.ReviewedTool(
        target="orders",
        name=name,
        state=tools_pb2.TOOL_STATE_CHANGED if before else tools_pb2.TOOL_STATE_NEW,
        seen_digest=digest(description),
        seen_definition=json.dumps({"name": name, "description": description}, ensure_ascii=False),
        accepted_digest=digest(before) if before else b"",
        accepted_definition=json.dumps({"name": name, "description": before}) if before else "",
        differences=[changed] if before else [],
        flags=flags,
        changed_us=1_790_000_000_000_000,
    )


@dataclass
class Scripted(tools_pb2_grpc.ToolReviewServiceServicer):
    """Lists what a test put in, one a page, and accepts all but ``stale``; keeps what was asked."""

    tools: list[tools_pb2.ReviewedTool] = field(default_factory=list)
    stale: set[str] = field(default_factory=set)
    status: grpc.StatusCode | None = None
    listed: list[tools_pb2.ListToolsRequest] = field(default_factory=list)
    accepted: list[tools_pb2.AcceptToolsRequest] = field(default_factory=list)
    forgotten: list[tools_pb2.ForgetToolsRequest] = field(default_factory=list)
    credentials: set[str] = field(default_factory=set)

    def _begin(self, context: grpc.ServicerContext) -> None:
        self.credentials |= {str(value) for key, value in context.invocation_metadata() if key == "authorization"}
        if self.status is not None:
            context.abort(self.status, "target: not the name of one\x1b[2J")

    def ListTools(
        self, request: tools_pb2.ListToolsRequest, context: grpc.ServicerContext
    ) -> tools_pb2.ListToolsResponse:
        self._begin(context)
        self.listed.append(request)
        start = int(request.page_token or 0)
        more = str(start + 1) if start + 1 < len(self.tools) else ""
        return tools_pb2.ListToolsResponse(tools=self.tools[start : start + 1], next_page_token=more)

    def AcceptTools(
        self, request: tools_pb2.AcceptToolsRequest, context: grpc.ServicerContext
    ) -> tools_pb2.AcceptToolsResponse:
        self._begin(context)
        self.accepted.append(request)
        names = [tool.name for tool in request.tools]
        return tools_pb2.AcceptToolsResponse(
            accepted=[name for name in names if name not in self.stale],
            not_accepted=[name for name in names if name in self.stale],
        )

    def ForgetTools(
        self, request: tools_pb2.ForgetToolsRequest, context: grpc.ServicerContext
    ) -> tools_pb2.ForgetToolsResponse:
        self._begin(context)
        self.forgotten.append(request)
        names = [tool.name for tool in request.tools]
        return tools_pb2.ForgetToolsResponse(
            forgotten=[name for name in names if name not in self.stale],
            not_forgotten=[name for name in names if name in self.stale],
        )


@dataclass
class Bench:
    """The service and the options that reach it."""

    service: Scripted
    options: list[str]

    def run(self, *arguments: str, typed: str | None = None) -> Result:
        return CliRunner().invoke(app, ["tools", *arguments, *self.options], input=typed)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    service = Scripted()
    with ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool)
        tools_pb2_grpc.add_ToolReviewServiceServicer_to_server(service, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        file = tmp_path / "token"
        file.write_text(TOKEN)
        yield Bench(service, ["--gateway", f"http://127.0.0.1:{port}", "--token-file", str(file)])
        server.stop(None).wait()


def test_nothing_that_waits_is_said_and_ends_well(bench: Bench) -> None:
    result = bench.run("diff", "orders")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "no tools wait" in result.stderr
    assert (bench.service.listed[0].target, bench.service.listed[0].pending) == ("orders", True)
    assert bench.service.credentials == {f"Bearer {TOKEN}"}


def test_what_waits_is_shown_with_its_differences_and_ends_with_1(bench: Bench) -> None:
    flag = tools_pb2.ToolFlag(place="$.description", what="tells to keep something from the user")
    bench.service.tools = [waiting("query", "after", "before", flag), waiting("new", "All of it.")]
    result = bench.run("diff")
    assert result.exit_code == 1
    for shown in (
        f"orders: query@{digest('after').hex()[:16]}  changed",
        "suspicious: tells to keep something from the user at $.description",
        '- "before"',
        '+ "after"',
        "orders: new@",
        '"description": "All of it."',
    ):
        assert shown in result.stdout


def test_what_is_hidden_becomes_visible_and_obeys_no_terminal(bench: Bench) -> None:
    flag = tools_pb2.ToolFlag(hidden=True, place="$.description", what="a zero-width character")
    bench.service.tools = [
        waiting("qu\u0435ry", "Adds\u200b\x1b[8m more", "Adds", flag),
        waiting("plain", "Gr\u00fc\u00dfe \x1b[2J\U000e0041"),
    ]
    result = bench.run("diff")
    assert "qu\\u0435ry" in result.stdout
    assert "\\u200b" in result.stdout
    assert "Gr\u00fc\u00dfe" in result.stdout
    assert not {"\x1b", "\u200b", "\u0435", "\U000e0041"} & set(result.stdout)


def test_json_holds_digests_definitions_and_differences(bench: Bench) -> None:
    bench.service.tools = [waiting("query", "after", "before")]
    result = bench.run("diff", "--json")
    assert result.exit_code == 1
    (tool,) = json.loads(result.stdout)["tools"]
    assert (tool["digest"], tool["accepted_digest"]) == (digest("after").hex(), digest("before").hex())
    assert tool["definition"] == {"name": "query", "description": "after"}
    assert tool["differences"] == [{"place": "$.description", "before": '"before"', "after": '"after"'}]


def test_accepting_shows_asks_and_sends_the_digests_that_were_shown(bench: Bench) -> None:
    bench.service.tools = [waiting("query", "after", "before"), waiting("new", "x"), waiting("other", "y")]
    result = bench.run("accept", "orders", "query", "new", typed="y\n")
    assert result.exit_code == 0
    assert '+ "after"' in result.stdout
    assert "Accept these 2 tools?" in result.stdout
    assert "accepted query\naccepted new\n" in result.stdout
    (sent,) = bench.service.accepted
    assert [(tool.name, tool.digest) for tool in sent.tools] == [("query", digest("after")), ("new", digest("x"))]


@pytest.mark.parametrize("typed", ["n\n", "", "\n"])
def test_without_a_yes_nothing_is_accepted(bench: Bench, typed: str) -> None:
    bench.service.tools = [waiting("query", "after", "before")]
    result = bench.run("accept", "orders", "--all", typed=typed)
    assert result.exit_code == 1
    assert "nothing was accepted" in result.stderr
    assert bench.service.accepted == []


def test_all_and_yes_accept_everything_without_asking(bench: Bench) -> None:
    bench.service.tools = [waiting("query", "after", "before"), waiting("new", "x")]
    result = bench.run("accept", "orders", "--all", "--yes", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"accepted": ["query", "new"], "not_accepted": []}


def test_all_of_nothing_is_no_failure(bench: Bench) -> None:
    result = bench.run("accept", "orders", "--all", "--yes")
    assert result.exit_code == 0
    assert bench.service.accepted == []


def test_a_digest_accepts_only_what_was_looked_at(bench: Bench) -> None:
    bench.service.tools = [waiting("query", "after", "before")]
    looked_at = digest("after").hex()[:16]
    assert bench.run("accept", "orders", f"query@{looked_at}", "--yes").exit_code == 0
    bench.service.tools = [waiting("query", "later", "before")]
    result = bench.run("accept", "orders", f"query@{looked_at}", "--yes")
    assert result.exit_code == 1
    assert "not offered with that digest any more" in result.stderr
    assert len(bench.service.accepted) == 1


def test_what_changed_meanwhile_is_told_and_fails(bench: Bench) -> None:
    bench.service.tools = [waiting("query", "after", "before"), waiting("new", "x")]
    bench.service.stale = {"query"}
    result = bench.run("accept", "orders", "--all", "--yes")
    assert result.exit_code == 1
    assert "accepted new" in result.stdout
    assert "changed meanwhile, and not accepted: query" in result.stderr


@pytest.mark.parametrize("arguments", [["orders"], ["orders", "query", "--all"], ["orders", "--all", "--json"]])
def test_a_command_line_that_says_nothing_clear_is_refused(bench: Bench, arguments: list[str]) -> None:
    for verb in ("accept", "forget"):
        assert bench.run(verb, *arguments).exit_code == 2
    assert (bench.service.accepted, bench.service.forgotten) == ([], [])


def test_a_tool_that_does_not_wait_cannot_be_accepted(bench: Bench) -> None:
    result = bench.run("accept", "orders", "no\x1bne", "--yes")
    assert result.exit_code == 1
    assert "does not wait to be accepted" in result.stderr
    assert "\x1b" not in result.stderr


def test_what_waits_at_a_target_that_is_not_in_gateway_yaml_is_remarked_and_does_not_count(bench: Bench) -> None:
    removed = waiting("query", "after", "before")
    removed.not_configured = True
    bench.service.tools = [removed]
    result = bench.run("diff")
    assert result.exit_code == 0
    assert "orders: query@" in result.stdout
    assert "! not in gateway.yaml: have it forgotten, with `countersign tools forget`" in result.stdout
    (shown,) = json.loads(bench.run("diff", "--json").stdout)["tools"]
    assert shown["not_in_gateway_yaml"] is True
    assert bench.run("diff", "orders").exit_code == 1
    bench.service.tools.append(waiting("new", "x"))
    assert bench.run("diff").exit_code == 1


def test_forgetting_shows_asks_and_sends_the_digests_that_were_shown(bench: Bench) -> None:
    bench.service.tools = [waiting("query", "after", "before"), waiting("new", "x"), waiting("other", "y")]
    result = bench.run("forget", "orders", "query", f"new@{digest('x').hex()[:16]}", typed="y\n")
    assert result.exit_code == 0
    assert '+ "after"' in result.stdout
    assert "Forget these 2 tools?" in result.stdout
    assert "forgotten query\nforgotten new\n" in result.stdout
    (sent,) = bench.service.forgotten
    assert sent.target == "orders"
    assert [(tool.name, tool.digest) for tool in sent.tools] == [("query", digest("after")), ("new", digest("x"))]
    assert bench.service.accepted == []


def test_tools_that_are_named_may_be_accepted_ones_and_all_are_those_that_wait(bench: Bench) -> None:
    bench.service.tools = [waiting("query", "after", "before")]
    assert bench.run("forget", "orders", "query", "--yes").exit_code == 0
    assert not bench.service.listed[-1].pending
    result = bench.run("forget", "orders", "--all", "--yes", "--json")
    assert json.loads(result.stdout) == {"forgotten": ["query"], "not_forgotten": []}
    assert bench.service.listed[-1].pending


@pytest.mark.parametrize("typed", ["n\n", "", "\n"])
def test_without_a_yes_nothing_is_forgotten(bench: Bench, typed: str) -> None:
    bench.service.tools = [waiting("query", "after", "before")]
    result = bench.run("forget", "orders", "query", typed=typed)
    assert result.exit_code == 1
    assert "nothing was forgotten" in result.stderr
    assert bench.service.forgotten == []


def test_what_is_not_as_it_was_seen_is_not_forgotten(bench: Bench) -> None:
    bench.service.tools = [waiting("query", "after", "before")]
    for wanted, said in (
        (f"query@{digest('earlier').hex()}", "not offered with that digest any more"),
        ("no\x1bne", "is not known of that target"),
    ):
        result = bench.run("forget", "orders", wanted, "--yes")
        assert result.exit_code == 1
        assert said in result.stderr
        assert "\x1b" not in result.stderr
    assert bench.service.forgotten == []
    bench.service.stale = {"query"}
    result = bench.run("forget", "orders", "query", "--yes")
    assert result.exit_code == 1
    assert "changed meanwhile, and not forgotten: query" in result.stderr


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, 1, "you are not an operator"),
        (grpc.StatusCode.UNAUTHENTICATED, 1, "get a new one"),
        (grpc.StatusCode.UNAVAILABLE, 3, "does not answer"),
        (grpc.StatusCode.INVALID_ARGUMENT, 2, "not the name of one"),
    ],
)
def test_what_goes_wrong_is_one_line_with_a_remedy(bench: Bench, status: grpc.StatusCode, code: int, said: str) -> None:
    bench.service.status = status
    result = bench.run("diff")
    assert result.exit_code == code
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert TOKEN not in result.output
    assert "\x1b" not in result.output


def test_nobody_answers(bench: Bench) -> None:
    bench.options[1] = f"http://127.0.0.1:{free_port()}"
    assert bench.run("diff").exit_code == 3
