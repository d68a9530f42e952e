"""All servers of the matrix, running, and how each is reached directly; what each is to the gateway."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.matrix.steps import Door
from tests.support.gateway import Upstream, free_port, short_folder
from tests.support.node import FOLDER, NODE

_PACKAGES = FOLDER / "node_modules" / "@modelcontextprotocol"
_BIN = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Peer:
    """A server: its ``name`` as a target, what people call it, and how it is reached without the gateway.

    ``plan`` names its steps, ``modern`` says that it speaks 2026-07-28, ``folder`` is what its steps may look into.
    """

    name: str
    title: str
    plan: str
    door: Door
    modern: bool = False
    folder: str = ""

    @property
    def stdio(self) -> bool:
        """Whether it is a program that whoever uses it starts."""
        return self.door.url is None

    def upstream(self) -> Upstream:
        """What it is to the gateway, which refuses nothing that it may send."""
        given = {"command": list(self.door.command), "env": dict(self.door.env)}
        mcp = self.door.url or {key: value for key, value in given.items() if value}
        return Upstream(mcp, extra={"binary": "pass", "new_tools": "allow", "seal_states": self.modern})


@contextmanager
def running_peers() -> Iterator[Mapping[str, Peer]]:
    """Start those that are served, and lay out what the others work on."""
    folder = short_folder()
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        official, fast, everything = free_port(), free_port(), free_port()
        serve = [sys.executable, "-W", "ignore", "-m", "tests.matrix.servers.serve", str(official), str(fast)]
        node = [str(NODE), "--import", str(FOLDER / "drivers" / "loopback.mjs")]
        program = str(_PACKAGES / "server-everything" / "dist" / "index.js")
        python = stack.enter_context(_running(serve, {}))
        other = stack.enter_context(_running([*node, program, "streamableHttp"], {"PORT": str(everything)}))
        _says(python, "ready")
        _says(other, "listening")
        peers = [
            Peer("official", "Python SDK 2.3", "official", _at(official), modern=True),
            Peer("fast", "fastmcp 4", "fast", _at(fast), modern=True),
            Peer("everything", "server-everything", "everything", _at(everything)),
            *_programs(folder),
        ]
        yield {peer.name: peer for peer in peers}


def _at(port: int) -> Door:
    return Door(url=f"http://127.0.0.1:{port}/mcp")


def _programs(folder: Path) -> Sequence[Peer]:
    files = folder / "files"
    (files / "inner").mkdir(parents=True)
    (files / "brief.txt").write_text("Grüße: 名前\n")
    (files / "inner" / "leer.txt").touch()
    repository = folder / "repository"
    _repository(repository)
    node = str(NODE)

    def package(name: str) -> list[str]:
        return [node, str(_PACKAGES / f"server-{name}" / "dist" / "index.js")]

    filesystem = Door(command=[*package("filesystem"), str(files)])
    git = Door(command=[str(_BIN / "mcp-server-git"), "--repository", str(repository)])
    time = Door(command=[str(_BIN / "mcp-server-time"), "--local-timezone", "UTC"])
    # Each process its own file: those that share one write over each other.
    own = 'MEMORY_FILE_PATH="$(mktemp -d)/memory.jsonl"; export MEMORY_FILE_PATH; exec "$0" "$@"'
    memory = Door(command=["sh", "-c", own, *package("memory")], env={"TMPDIR": str(folder)})
    everything = Door(command=[*package("everything"), "stdio"])
    return [
        Peer("everything-stdio", "server-everything as a program", "everything-stdio", everything),
        Peer("filesystem", "filesystem", "filesystem", filesystem, False, str(files)),
        Peer("memory", "memory", "memory", memory),
        Peer("git", "git", "git", git, False, str(repository)),
        Peer("time", "time", "time", time),
    ]


def _repository(folder: Path) -> None:
    who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in _WHO.items()}
    env = {**os.environ, **who, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True, env=env)
    (folder / "letter.txt").write_text("Grüße\n")
    for command in (["add", "letter.txt"], ["commit", "-q", "-m", "Add a letter: 名前"]):
        subprocess.run(["git", "-C", str(folder), *command], check=True, env=env)


_WHO = {"NAME": "Ada", "EMAIL": "ada" + "@invalid", "DATE": "2026-01-02T03:04:05+00:00"}


@contextmanager
def _running(command: Sequence[str], env: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **env},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _says(process: subprocess.Popen[bytes], word: str) -> None:
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if word in line.decode():
            return
    raise AssertionError(f"it ended: {b''.join(said).decode()[-2000:]}")
