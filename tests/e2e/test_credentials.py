"""What targets are shown: got, renewed after a 401, and never what somebody else was to show."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import httpx
import pytest
from starlette.responses import JSONResponse

from countersign.api.access.v1 import revocations_pb2
from countersign.api.access.v1.revocations_pb2_grpc import RevocationServiceStub
from tests.e2e.test_nothing_raw import holding
from tests.fault.rig import eventually
from tests.support.auditors import session_service
from tests.support.biting import Revoker
from tests.support.clients import INITIALIZE, LEGACY, MODERN, Rpc, call, post
from tests.support.gateway import Gateway, Setup, Upstream, free_port
from tests.support.in_turn import InTurn
from tests.support.issuer import RunningIssuer, running_issuer
from tests.support.targets import Exchange, Received, ScriptedTarget, answers, scripted_target, tool_text
from tests.support.token_server import CLIENT_ID, TokenServer, running_token_server

CHALLENGE = "challenge-" + "of-the-target"
COOKIE = "cookie-" + "of-the-target"
EMAIL = "somebody" + "@example.org"
VAULTED = "secret/data/crm/api"
TOOLS = [
    {"name": "query", "inputSchema": {"type": "object"}},
    {"name": "look", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}},
]


@dataclass
class Scene:
    gateway: Gateway
    issuer: RunningIssuer
    tokens: TokenServer
    port: int
    filed: str
    folder: Path
    target: ScriptedTarget | None = None
    good: set[str] = field(default_factory=set)
    held: dict[tuple[str, str], str] = field(default_factory=dict)

    async def ask(self, rpc: Rpc, target: str, person: str = "alice", era: str = MODERN) -> httpx.Response:
        """Ask with the person's token, the same for each call."""
        url = self.gateway.endpoint(target)
        token = self.held.setdefault((person, target), self.issuer.token(person, url))
        return await post(url, token, rpc, era=era)

    def change_vault(self, *, refused: bool) -> None:
        """Keep another secret in Vault; the target takes what is kept there, but none of before if ``refused``."""
        if refused:
            self.good.clear()
            self.tokens.stored[VAULTED] = {"key": "kept-" + secrets.token_urlsafe(24)}
        self.good.add(f"Bearer {self.tokens.stored[VAULTED]['key']}")

    def spoil(self) -> None:
        """Have the target refuse all that was given so far, and forget what it saw."""
        assert self.target is not None
        self.tokens.spoil()
        self.target.received.clear()

    @property
    def shown(self) -> list[str | None]:
        return [received.header("authorization") for received in self.received]

    @property
    def received(self) -> list[Received]:
        assert self.target is not None
        return self.target.received

    async def script(self, exchange: Exchange) -> None:
        shown = exchange.request.header("authorization")
        subject = self.tokens.takes(shown)
        if subject is None and shown not in self.good:
            headers = {"www_authenticate": f'Bearer realm="{CHALLENGE}"', "set_cookie": f"a={COOKIE}"}
            await answers({"said": CHALLENGE}, 401, **headers)(exchange)
        elif exchange.request.method == "tools/list":
            listed = {"tools": TOOLS, "resultType": "complete", "ttlMs": 0, "cacheScope": "public"}
            await answers(listed, set_cookie=f"a={COOKIE}")(exchange)
        else:
            await answers(tool_text(f"done for {subject}"), set_cookie=f"a={COOKIE}")(exchange)


def private(file: Path, text: str) -> Mapping[str, str]:
    """Keep a secret in a file, replaced at once; return it as gateway.yaml names it."""
    temporary = file.with_suffix(".tmp")
    temporary.touch(mode=0o600)
    temporary.write_text(text)
    temporary.replace(file)
    return {"file": str(file)}


@pytest.fixture(scope="module")
def started(in_turn: InTurn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("secrets")
    port, filed = free_port(), secrets.token_urlsafe(24)
    with running_issuer() as issuer, running_token_server() as tokens:
        tokens.stored[VAULTED] = {"key": "kept-" + secrets.token_urlsafe(24)}
        secret = private(folder / "client", tokens.client_secret)
        client: Mapping[str, object] = {
            "token_url": f"{tokens.url}/token",
            "client_id": CLIENT_ID,
            "client_secret": secret,
        }
        jag = {"identity_provider": client, "authorization_server": client, "issuer": "https://as.test"}
        credentials: Mapping[str, Mapping[str, object]] = {
            "shared": {"oauth": {**client, "scopes": ["read"]}},
            "own": {"exchange": {**client, "audience": "crm"}},
            "asserted": {"id_jag": jag},
            "vaulted": {"bearer": {"store": "main", "path": "crm/api", "key": "key"}},
        }
        # What goes there is changed by the masker on its way, on the second as on the first.
        more: Mapping[str, Mapping[str, object]] = {"vaulted": {"mask_request": {"mask": ["pii"]}}}
        url = f"http://127.0.0.1:{port}/mcp"
        upstreams = {
            name: Upstream(f"{url}/{name}", extra={"credential": shown, "new_tools": "allow", **more.get(name, {})})
            for name, shown in credentials.items()
        }
        upstreams["filed"] = Upstream(f"{url}/filed", filed)
        extra = {
            "secret_stores": {
                "main": {"vault": {"address": tokens.url, "token": private(folder / "vault", tokens.vault_token)}}
            },
            "operators": {"groups": ["operators"]},
        }
        rules = [{"name": "all", "allow": {"groups": ["analysts", "support"]}}]
        masks = {"pii": {"detect": ["email"]}}
        gateway = in_turn.take(Setup(issuer.url, upstreams, rules, masks, extra))
        yield Scene(gateway, issuer, tokens, port, filed, folder)


@pytest.fixture
async def scene(started: Scene) -> AsyncIterator[Scene]:
    started.tokens.asked.clear()
    async with scripted_target(started.script, started.port) as target:
        started.target = target
        yield started


async def test_one_token_of_the_gateways_own_does_for_all_callers(scene: Scene) -> None:
    for answer in await asyncio.gather(*(scene.ask(call("query"), "shared", who) for who in ("alice", "bob") * 5)):
        assert answer.status_code == 200, answer.text
    assert len(set(scene.shown)) == 1
    assert len(scene.tokens.asked) <= 1
    assert scene.tokens.takes(scene.shown[0]) == CLIENT_ID


@pytest.mark.parametrize("target", ["shared", "own", "asserted", "vaulted"])
@pytest.mark.parametrize(
    "rpc", [Rpc("tools/list"), call("look", {"to": EMAIL})], ids=["a list", "a tool that reads only"]
)
async def test_what_is_safe_to_repeat_is_sent_once_more_with_another_credential(
    scene: Scene, target: str, rpc: Rpc
) -> None:
    scene.change_vault(refused=False)
    assert (await scene.ask(Rpc("tools/list"), target)).status_code == 200
    scene.spoil()
    if target == "vaulted":
        scene.change_vault(refused=True)
    answer = await scene.ask(rpc, target)
    assert answer.status_code == 200, answer.text
    assert not {"www-authenticate", "set-cookie"} & answer.headers.keys()
    first, second = scene.shown
    assert first != second
    assert scene.received[0].body == scene.received[1].body
    sent_plainly = EMAIL.encode() in scene.received[1].body
    assert sent_plainly == (rpc.method == "tools/call" and target != "vaulted")
    assert not [name for received in scene.received for name, _ in received.headers if "attempt" in name]


@pytest.mark.parametrize("method", ["tools/call", "initialize"])
async def test_what_is_not_safe_is_never_repeated_and_has_the_credential_renewed(scene: Scene, method: str) -> None:
    rpc = call("query") if method == "tools/call" else INITIALIZE
    era = MODERN if method == "tools/call" else LEGACY
    assert (await scene.ask(Rpc("tools/list"), "own", "bob")).status_code == 200
    scene.spoil()
    answer = await scene.ask(rpc, "own", "bob", era)
    assert answer.status_code == 502, answer.text
    assert len(scene.shown) == 1
    assert not {"www-authenticate", "set-cookie"} & answer.headers.keys()
    assert CHALLENGE not in answer.text
    assert (await scene.ask(rpc, "own", "bob", era)).status_code == 200
    assert len(scene.shown) == 2


async def test_a_caller_cannot_pass_for_a_second_attempt_nor_have_one_made(scene: Scene) -> None:
    # Of a caller nothing of whom was refused just now.
    scene.held.pop(("alice", "own"), None)
    assert (await scene.ask(Rpc("tools/list"), "own")).status_code == 200
    url = scene.gateway.endpoint("own")
    forged = {
        "x-envoy-attempt-count": "2",
        "x-envoy-retry-on": "retriable-status-codes,reset,5xx",
        "x-envoy-retriable-status-codes": "401",
        "x-envoy-max-retries": "3",
    }
    scene.spoil()
    answer = await post(url, scene.held["alice", "own"], call("query"), headers=forged)
    assert answer.status_code == 502, answer.text
    [received] = scene.received
    assert not [name for name, _ in received.headers if name.startswith("x-envoy")]
    assert [value for name, value in received.headers if name == "authorization"] == [scene.shown[0]]


async def test_a_call_that_breaks_off_is_not_sent_once_more_however_safe_it_is(scene: Scene) -> None:
    assert scene.target is not None

    async def breaking_off(exchange: Exchange) -> None:
        exchange.writer.close()

    scene.target.script = breaking_off
    assert (await scene.ask(Rpc("tools/list"), "shared")).status_code == 502
    assert len(scene.shown) == 1


async def test_a_403_of_a_target_passes_without_what_it_says_beside(scene: Scene) -> None:
    assert scene.target is not None
    headers = {"www_authenticate": f'Bearer realm="{CHALLENGE}"', "set_cookie": f"a={COOKIE}"}
    scene.target.script = answers(tool_text("no"), 403, **headers)
    answer = await scene.ask(call("look"), "shared")
    assert answer.status_code == 403
    assert CHALLENGE not in str(answer.headers)
    assert COOKIE not in str(answer.headers)
    assert len(scene.shown) == 1


async def test_a_call_is_not_sent_once_more_without_another_credential(scene: Scene) -> None:
    scene.held.pop(("bob", "asserted"), None)
    assert (await scene.ask(Rpc("tools/list"), "asserted", "bob")).status_code == 200
    scene.spoil()
    scene.tokens.lie = lambda _: JSONResponse({}, 500)
    answer = await scene.ask(Rpc("tools/list"), "asserted", "bob")
    scene.tokens.lie = None
    assert answer.status_code == 502, answer.text
    assert CHALLENGE not in answer.text
    assert len(scene.shown) == 1

    async def back() -> bool:
        return (await scene.ask(Rpc("tools/list"), "asserted", "bob")).status_code == 200

    await eventually(back, 10, "the token endpoint's next try")


async def test_a_call_whose_caller_was_revoked_while_its_target_thought_is_not_sent_once_more(scene: Scene) -> None:
    assert scene.target is not None
    sent, revoked = asyncio.Event(), asyncio.Event()

    async def thinking(exchange: Exchange) -> None:
        sent.set()
        await revoked.wait()
        await answers({"said": CHALLENGE}, 401)(exchange)

    token = scene.issuer.token("bob", scene.gateway.endpoint("shared"), jti="thinking-1")
    scene.target.script = thinking
    under_way = asyncio.create_task(post(scene.gateway.endpoint("shared"), token, Rpc("tools/list")))
    async with asyncio.timeout(10):
        await sent.wait()
    async with grpc.aio.insecure_channel(scene.gateway.url.removeprefix("http://")) as channel:
        operator = scene.issuer.token("alice", scene.gateway.url, sub="olga", groups=["operators"])
        revoker = Revoker(RevocationServiceStub(channel), operator, scene.issuer.url)
        await revoker.revoke(revocations_pb2.REVOCATION_KIND_TOKEN, "thinking-1")
    answer = await post(scene.gateway.endpoint("shared"), token, Rpc("tools/list"))
    assert answer.status_code == 401
    revoked.set()
    assert (await under_way).status_code == 502
    assert len(scene.shown) == 1


async def test_a_target_that_refuses_everything_is_asked_twice_at_most(scene: Scene) -> None:
    scene.tokens.refusing = True
    try:
        for _ in range(5):
            scene.spoil()
            answer = await scene.ask(Rpc("tools/list"), "shared")
            assert answer.status_code == 502
            assert CHALLENGE not in answer.text
            assert COOKIE not in str(answer.headers)
            assert len(scene.shown) == 2
        # Nor does each refusal have a token fetched.
        assert len(scene.tokens.asked) <= 3
    finally:
        scene.tokens.refusing = False


@pytest.mark.parametrize("attempt", ["first", "second"])
async def test_no_answer_brings_a_caller_the_credential_that_its_target_was_shown(scene: Scene, attempt: str) -> None:
    assert scene.target is not None
    # Of a caller nothing of whom was refused just now.
    scene.held.pop(("bob", "own"), None)
    assert (await scene.ask(Rpc("tools/list"), "own", "bob")).status_code == 200
    if attempt == "second":
        scene.spoil()

    async def telling(exchange: Exchange) -> None:
        """Repeat the request's headers, as pages for debugging do."""
        shown = exchange.request.header("authorization")
        if scene.tokens.takes(shown) is None:
            await answers({}, 401)(exchange)
        else:
            await answers(tool_text(f"authorization: {shown}"))(exchange)

    scene.target.script = telling
    scene.received.clear()
    answer = await scene.ask(call("look"), "own", "bob")
    assert answer.status_code == 502, answer.text
    assert "holds the credential" in answer.text
    assert len(scene.shown) == (2 if attempt == "second" else 1)
    assert str(scene.shown[-1]).removeprefix("Bearer ") not in answer.text


@pytest.mark.parametrize("target", ["own", "asserted"])
async def test_each_caller_is_shown_as_itself(scene: Scene, target: str) -> None:
    people = ("alice", "bob") * 10
    tokens = {person: scene.issuer.token(person, scene.gateway.endpoint(target)) for person in set(people)}
    scene.held |= {(person, target): token for person, token in tokens.items()}
    answered = await asyncio.gather(*(scene.ask(call("query"), target, person) for person in people))
    said = [answer.json()["result"]["content"][0]["text"] for answer in answered]
    assert said == [f"done for {person}" for person in people]
    assert len({form["subject_token"] for form in scene.tokens.asked if "subject_token" in form}) == 2
    assert tokens["alice"] not in str(scene.received)


async def test_a_file_is_read_again_under_traffic(scene: Scene) -> None:
    scene.good = {f"Bearer {scene.filed}"}
    renewed = secrets.token_urlsafe(24)
    for number in range(20):
        if number == 10:
            scene.good.add(f"Bearer {renewed}")
            private(scene.gateway.folder / "filed.credential", renewed)
        assert (await scene.ask(call("query"), "filed")).status_code == 200
    assert scene.shown == [f"Bearer {scene.filed}"] * 10 + [f"Bearer {renewed}"] * 10


async def test_nothing_is_sent_while_there_is_no_credential(scene: Scene) -> None:
    scene.tokens.lie = lambda _: JSONResponse({"error": "server_error", "token": CHALLENGE}, 500)
    try:
        for _ in range(5):
            scene.held.pop(("alice", "own"), None)
            answer = await scene.ask(call("query"), "own")
            assert answer.status_code == 503
            assert "nothing was sent" in answer.text
            assert CHALLENGE not in answer.text
        assert scene.shown == []
        assert len(scene.tokens.asked) <= 2
    finally:
        scene.tokens.lie = None


async def test_nothing_of_a_credential_is_kept_anywhere(scene: Scene) -> None:
    """Whatever this and the tests before it had given, refused and asked for is looked for."""
    for target in ("shared", "own", "asserted", "vaulted"):
        await scene.ask(call("query"), target)
    scene.spoil()
    assert (await scene.ask(call("query"), "asserted")).status_code == 502
    scene.tokens.lie = lambda _: JSONResponse({}, 500)
    scene.held.pop(("bob", "own"), None)
    assert (await scene.ask(call("query"), "own", "bob")).status_code == 503
    scene.tokens.lie = None
    async with session_service(scene.gateway.url, scene.issuer.token("carol", scene.gateway.url)) as sessions:
        listed = await sessions.list_sessions()
        events = [event for session in listed for event in await sessions.replay(session.session_id)]
    recorded = b"".join(event.SerializeToString() for event in events)
    assert b"refused the gateway's credential" in recorded
    assert b"nothing was sent" in recorded
    secret = [*scene.tokens.given, scene.tokens.client_secret, scene.tokens.vault_token, *scene.held.values()]
    secret += [each["key"] for each in scene.tokens.stored.values()]
    canaries = [each.encode() for each in secret]
    assert [number for number, canary in enumerate(canaries) if canary in recorded] == []
    assert holding(scene.gateway.state, canaries) == []
    assert [number for number, canary in enumerate(canaries) if canary in scene.gateway.output().encode()] == []
