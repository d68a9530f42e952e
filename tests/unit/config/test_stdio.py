"""Targets that the gateway runs itself: what a file may say of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from countersign.config import ConfigRefused, SecretUse, load
from countersign.config.types import ALL_SECRETS, Processes, Secret, Stdio, StdioLimits

BASE = """\
version: 1
gateway: {url: "https://mcp.example.com"}
identity: {oidc: [{issuer: "https://login.example.com"}]}
rules: [{name: base, allow: {groups: [base]}}]
targets:
  git:
    mcp:
"""
ENV = {"GIT_KEY": "made-" + "up"}


def written(folder: Path, *lines: str, target: str = "") -> Path:
    file = folder / "gateway.yaml"
    file.write_text(BASE + "".join(f"      {line}\n" for line in lines) + (f"    {target}\n" if target else ""))
    return file


def test_a_command_alone_will_do(tmp_path: Path) -> None:
    target = load(written(tmp_path, "command: [mcp-server-git, --repository, /srv/repo]"), {}).targets["git"]
    assert target.stdio is not None
    expected = Stdio(("mcp-server-git", "--repository", "/srv/repo"), fingerprint=target.stdio.fingerprint)
    assert target.stdio == expected
    assert target.mcp_url == f"http://bridge/git/{expected.fingerprint}"
    assert target.resource == "https://mcp.example.com/git/mcp"


def test_everything_that_can_be_said_is_heard(tmp_path: Path) -> None:
    lines = ["command: [/opt/server]", "cwd: /srv", "user: mcp", "processes: shared", "idle: 90s", "sessions: 20"]
    lines += ["sessions_per_caller: 2", "env: {KEY: {env: GIT_KEY}, LEVEL: debug, EMPTY: ''}"]
    lines += ["limits: {memory_mib: 64, tasks: 4, open_files: 32, cpu_s: 60}"]
    config = load(written(tmp_path, *lines), ENV)
    stdio = config.targets["git"].stdio
    assert stdio is not None
    assert (stdio.cwd, stdio.user, stdio.processes, stdio.idle_s) == ("/srv", "mcp", Processes.SHARED, 90.0)
    assert (stdio.sessions, stdio.sessions_per_caller) == (20, 2)
    assert dict(stdio.env) == {"KEY": Secret(ENV["GIT_KEY"]), "LEVEL": "debug", "EMPTY": ""}
    assert stdio.limits == StdioLimits(64 * 1024 * 1024, 4, 32, 60)
    assert config.variables[SecretUse.BRIDGE] == {"GIT_KEY"}


def test_a_variable_that_is_a_secret_is_read_by_the_bridge_alone(tmp_path: Path) -> None:
    file = written(tmp_path, "command: [server]", "env: {KEY: {env: GIT_KEY}}")
    others = load(file, {}, reads=ALL_SECRETS - {SecretUse.BRIDGE}).targets["git"].stdio
    assert others is not None
    value = others.env["KEY"]
    assert isinstance(value, Secret)
    with pytest.raises(PermissionError):
        value.reveal()
    with pytest.raises(ConfigRefused, match="GIT_KEY is not set"):
        load(file, {})


def test_another_statement_is_another_place(tmp_path: Path) -> None:
    one = load(written(tmp_path, "command: [server, --read-only]"), {}).targets["git"].mcp_url
    other = load(written(tmp_path, "command: [server]"), {}).targets["git"].mcp_url
    assert one != other


@pytest.mark.parametrize(
    ("lines", "target", "at", "says"),
    [
        (["command: []"], "", 8, "is empty"),
        (["command: ['']"], "", 8, "is empty"),
        (["command: [' ']"], "", 8, "names no program"),
        (["command: server --all"], "", 8, "text where a list is needed"),
        (["command: [./server]"], "", 8, "depends on the folder"),
        (["command: [server]", "cwd: repo"], "", 9, "no absolute path"),
        (["command: [server]", "user: 'a b'"], "", 9, "no name of a user"),
        (["command: [server]", "processes: many"], "", 9, "no way to have processes"),
        (["command: [server]", "idle: 0s"], "", 9, "too short"),
        (["command: [server]", "sesions: 3"], "", 9, "unknown key `sesions`"),
        (["command: [server]", "sessions: 3", "sessions_per_caller: 4"], "", 10, "than all together"),
        (["command: [server]", "limits: {memory_mib: 1}"], "", 9, "too small"),
        (["command: [server]", "env: {COUNTERSIGN_KEY: x}"], "", 9, "the gateway's own variables"),
        (["command: [server]", "env: {countersign_x: x}"], "", 9, "the gateway's own variables"),
        (["command: [server]", "env: {A-B: x}"], "", 9, "no name of an environment variable"),
        (["command: [server]", "env: {KEY: {env: A_B, file: c}}"], "", 9, "one of `env` and `file`"),
        (["command: [server]", "env: {KEY: 7}"], "", 9, "holds a number"),
        (["env: {KEY: x}"], "", 7, "missing key `targets.git.mcp.command`"),
        (["command: [server]"], "credential: {bearer: {env: GIT_KEY}}", 9, "takes no `credential`"),
    ],
)
def test_what_would_not_work_or_not_protect_is_refused(
    tmp_path: Path, lines: list[str], target: str, at: int, says: str
) -> None:
    with pytest.raises(ConfigRefused) as refused:
        load(written(tmp_path, *lines, target=target), ENV)
    (problem,) = refused.value.problems
    assert says in str(problem)
    assert problem.line == at
