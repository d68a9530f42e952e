"""People of a SAML identity provider, from their browser to a tool; and programs that bring assertions."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import grpc.aio
import httpx
import pytest

from countersign.api.access.v1 import revocations_pb2
from countersign.api.access.v1.revocations_pb2_grpc import RevocationServiceStub
from countersign.api.recorder.v1 import session_pb2
from tests.e2e.test_nothing_raw import holding
from tests.support.auditors import session_service
from tests.support.biting import Revoker
from tests.support.clients import call, post
from tests.support.gateway import Gateway, Setup, Upstream, free_port
from tests.support.in_turn import InTurn
from tests.support.issuer import RunningIssuer, running_issuer
from tests.support.saml_documents import Told, granted
from tests.support.saml_idp import Idp, running_idp
from tests.support.targets import answers, scripted_target, tool_text
from tests.support.user_agent import Form, Page, UserAgent

RULES = ({"name": "analysts", "allow": {"groups": ["analysts"], "targets": ["scripted"], "tools": ["query"]}},)
WITHIN_S = 10
GRANT = "urn:ietf:params:oauth:grant-type:saml2-bearer"


@dataclass(frozen=True)
class Place:
    gateway: Gateway
    issuer: RunningIssuer
    idp: Idp
    port: int

    @property
    def scripted(self) -> str:
        return self.gateway.endpoint("scripted")

    async def calls(self, token: str) -> int:
        """Return how a tool call with this token is answered."""
        async with scripted_target(answers(tool_text("reached")), port=self.port):
            return (await post(self.scripted, token, call("query"))).status_code

    async def recorded(self) -> list[tuple[str, str, tuple[str, ...]]]:
        """Return whose sessions are on record."""
        wanted = session_pb2.SessionFilter(target="scripted")
        async with session_service(self.gateway.url, self.issuer.token("carol", self.gateway.url)) as sessions:
            found = await sessions.list_sessions(wanted)
        return [(one.principal.issuer, one.principal.subject, tuple(one.principal.groups)) for one in found]


@pytest.fixture(scope="module")
def place(in_turn: InTurn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    port = free_port()
    with running_issuer() as issuer, running_idp(tmp_path_factory.mktemp("idp"), sign="both") as idp:
        upstream = {"scripted": Upstream(f"http://127.0.0.1:{port}/mcp")}
        setup = Setup(
            issuer.url,
            upstream,
            RULES,
            {},
            extra={"portal": {"saml": [idp.entry()]}, "operators": {"groups": ["auditors"]}},
        )
        gateway = in_turn.take(setup)
        idp.know(httpx.get(f"{gateway.url}/portal/saml/company/metadata").raise_for_status().content)
        yield Place(gateway, issuer, idp, port)


@pytest.fixture
def agent() -> Iterator[UserAgent]:
    found = UserAgent()
    yield found
    found.close()


def answered(place: Place, agent: UserAgent, login: Page, user: str) -> Page:
    """Sign in at the provider; what it answers has not yet been posted."""
    assert login.url.startswith(f"{place.idp.url}/sso?"), login.text
    [form] = login.forms
    return agent.submit(login, form, user=user)


def signed_in(place: Place, agent: UserAgent, user: str) -> tuple[str, Form]:
    """Sign in from a program's request to its token for the target; return that, and what the provider answered."""
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    program = {"client_id": "countersign-cli", "resource": place.scripted, "redirect_uri": f"{place.idp.url}/callback"}
    asked = {"response_type": "code", "code_challenge": challenge, "code_challenge_method": "S256", "state": "s"}
    login = agent.open(f"{place.gateway.url}/portal/authorize?{httpx.QueryParams({**program, **asked})}")
    answer = answered(place, agent, login, user)
    consent = agent.submit(answer, answer.forms[0])
    [form] = [one for one in consent.forms if ("answer", "yes") in one.buttons]
    back = agent.submit(consent, form, ("answer", "yes"))
    code = parse_qs(urlsplit(back.url).query)["code"][0]
    form_of_program = {**program, "grant_type": "authorization_code", "code": code, "code_verifier": verifier}
    token = httpx.post(f"{place.gateway.url}/portal/token", data=form_of_program)
    assert token.status_code == 200, token.text
    return str(token.json()["access_token"]), answer.forms[0]


async def test_a_person_signs_in_by_saml_and_is_who_they_are_there(place: Place, agent: UserAgent) -> None:
    token, brought = signed_in(place, agent, "alice")
    assert await place.calls(token) == 200
    assert (place.idp.entity_id, "alice@example.com", ("analysts", "engineering")) in await place.recorded()
    cookies = [cookie for answer in agent.seen for cookie in answer.headers.get_list("set-cookie")]
    [session] = [cookie for cookie in cookies if cookie.startswith("countersign-portal=")]
    assert {"httponly", "samesite=lax"} <= {part.strip().lower() for part in session.split(";")}

    document = base64.b64decode(brought.fields["SAMLResponse"])
    signature = document.partition(b"SignatureValue>")[2][:60]
    canaries = [signature, brought.fields["SAMLResponse"][200:260].encode(), token.encode()]
    assert all(len(canary) >= 60 for canary in canaries)
    assert holding(place.gateway.folder, canaries) == []


async def test_that_a_token_of_one_who_signed_in_by_saml_is_judged_like_any_other(
    place: Place, agent: UserAgent
) -> None:
    token, _ = signed_in(place, agent, "bob")
    async with scripted_target(answers(tool_text("reached")), port=place.port) as target:
        answer = await post(place.scripted, token, call("query"))
        assert target.received == []
    assert "reached" not in answer.text
    other = await post(place.scripted, token[:-4] + "AAAA", call("query"))
    assert other.status_code == 401


def test_an_answer_is_taken_once_by_the_whole_deployment(place: Place, agent: UserAgent) -> None:
    login = agent.open(f"{place.gateway.url}/portal/saml/company/login")
    kept = "; ".join(f"{cookie.name}={cookie.value}" for cookie in agent.http.cookies.jar)
    answer = answered(place, agent, login, "alice")
    acs = f"{place.gateway.url}/portal/saml/company/acs"
    assert httpx.post(acs, data=answer.forms[0].fields).status_code == 400, "it is of no use in another browser"
    assert "alice@example.com" in agent.submit(answer, answer.forms[0]).text
    again = httpx.post(acs, data=answer.forms[0].fields, headers={"cookie": kept})
    assert (again.status_code, "used before" in again.text) == (403, True)
    assert "set-cookie" not in again.headers


async def test_an_assertion_is_exchanged_for_a_token_once(place: Place) -> None:
    now_s, endpoint = time.time(), f"{place.gateway.url}/portal/token"
    told = Told(
        name_id="robin@example.com",
        issuer=place.idp.entity_id,
        audience=endpoint,
        recipient=endpoint,
        confirmed_request="",
        not_before_s=now_s - 5,
        ends_s=now_s + 300,
        confirmed_until_s=now_s + 300,
        signed_in_s=now_s - 30,
        groups=("analysts",),
        assertion_id=f"_{secrets.token_hex(16)}",
    )
    assertion = place.idp.signer.sign(told.assertion(), told.assertion_id)
    form = {"grant_type": GRANT, "assertion": granted(assertion), "resource": place.scripted}
    async with httpx.AsyncClient() as client:
        answer = await client.post(endpoint, data=form)
        assert answer.status_code == 200, answer.text
        again = await client.post(endpoint, data=form)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert "refresh_token" not in answer.json()
    token = answer.json()["access_token"]
    assert await place.calls(token) == 200
    assert (place.idp.entity_id, "robin@example.com", ("analysts",)) in await place.recorded()
    canaries = [granted(assertion)[100:160].encode(), told.assertion_id.encode(), token.encode()]
    assert holding(Path(place.gateway.folder), canaries) == []


async def test_that_who_is_revoked_by_the_providers_names_is_out_and_cannot_come_back(
    place: Place, agent: UserAgent
) -> None:
    token, _ = signed_in(place, agent, "carl")
    assert await place.calls(token) == 200
    async with grpc.aio.insecure_channel(urlsplit(place.gateway.url).netloc) as channel:
        token_of_auditor = place.issuer.token("carol", place.gateway.url)
        revoker = Revoker(RevocationServiceStub(channel), token_of_auditor, place.idp.entity_id)
        await revoker.revoke(revocations_pb2.REVOCATION_KIND_PRINCIPAL, "carl@example.com")
    async with asyncio.timeout(WITHIN_S):
        while await place.calls(token) != 401:
            pass
        login = agent.open(f"{place.gateway.url}/portal/saml/company/login")
        answer = answered(place, agent, login, "carl")
        refused = agent.submit(answer, answer.forms[0])
    assert (refused.answer.status_code, "revoked" in refused.text) == (403, True)
