"""The page, an issuer and browsers, joined without a network."""

from __future__ import annotations

import time
from dataclasses import replace
from uuid import uuid4

import httpx

from countersign.approver.acting import Acting
from countersign.approver.following import Following
from countersign.approver.outbox import Outbox
from countersign.approver.page.app import Pages
from countersign.approver.page.links import Links
from countersign.config import GatewayConfig
from countersign.config import Issuer as ConfiguredIssuer
from countersign.config.types import Approvals, Channel, Secret, SignInClient, SlackChannel
from countersign.demo.codes import Client
from countersign.demo.issuer import Issuer
from countersign.demo.people import Person as Somebody
from countersign.model.approval import Approval, Person, Question
from tests.support.approvals import OWNERS, question
from tests.support.forms import Forms
from tests.support.memory_approvals import MemoryApprovalStore
from tests.support.memory_links import MemoryUsedLinks
from tests.support.revoking import FakeRevocations
from tests.support.sinks import Sink

GATEWAY, ISSUER = "https://gateway.test", "https://issuer.test"
BACK = f"{GATEWAY}/approvals/signed-in"
KEY = bytes(range(32))
CLIENT = "approvals page"
SECOND = 1_000_000
PEOPLE = (
    Somebody("alice", ("analysts",)),
    Somebody("owen", ("data-owners",)),
    Somebody("olga", ("data-owners",)),
    Somebody("mallory", ()),
)


class World:
    """Everything of one test. ``later_s`` moves the clock."""

    def __init__(self, secret: str | None = None) -> None:
        self.later_s = 0.0
        self.signing_secret = uuid4().hex
        self.issuer = Issuer(ISSUER, PEOPLE)
        self.issuer.codes.clients[CLIENT] = Client(CLIENT, (BACK,), secret)
        self.config = GatewayConfig(
            version="v1",
            url=GATEWAY,
            # What tokens for targets are taken for must not matter for signing in.
            issuers=(ConfiguredIssuer(ISSUER, audiences=("https://api.test",)),),
            targets={},
            rules=(),
            masks={},
            auditors=(),
            postgres_dsn=None,
            approvals=Approvals(
                sign_in=SignInClient(ISSUER, CLIENT, Secret(secret) if secret is not None else None),
                channels=(Channel("slack", SlackChannel("C1", Secret("x"), Secret(self.signing_secret))),),
            ),
        )
        self.store, self.sink, self.used = MemoryApprovalStore(), Sink(), MemoryUsedLinks()
        self.links = Links(KEY, lambda: GATEWAY)
        self.revocations = FakeRevocations()
        self.acting = Acting(
            self.store,
            Outbox(self.store, self.sink),
            self.sink,
            Following(self.store),
            is_auditor=lambda _: False,
            is_operator=lambda _: False,
            clock_us=self.now_us,
            new_id=lambda: str(uuid4()),
            decided=lambda _who: None,
        )
        self.issuer_app = httpx.ASGITransport(self.issuer.app())
        self.page_app = httpx.ASGITransport(self._pages().app())

    def now_us(self) -> int:
        return int((time.time() + self.later_s) * SECOND)

    def _pages(self) -> Pages:
        ids = iter(range(10**6))
        return Pages(
            key=KEY,
            config=lambda: self.config,
            deciding=self.acting,
            used=self.used,
            revocations=self.revocations,
            client=httpx.AsyncClient(transport=self.issuer_app),
            now_us=self.now_us,
            monotonic=lambda: time.monotonic() + self.later_s,
            random=lambda: f"random-{next(ids):036}",
        )

    async def ask(self, asked: Question | None = None) -> Approval:
        """Have alice ask."""
        asked = asked or question(OWNERS)
        asked = replace(asked, caller=Person(ISSUER, "alice"), caller_kind="person")
        return (await self.store.ask(asked, self.now_us())).approval

    async def state(self, approval: Approval) -> str:
        return (await self.store.get(approval.id)).state.value

    def recorded(self) -> list[str]:
        """What happened, as the record has it."""
        return [event.method for event in self.sink.durable]

    def browser(self) -> Browser:
        return Browser(self)

    async def signed_in(self, name: str) -> Browser:
        """A browser in which somebody signed in."""
        browser = self.browser()
        await browser.sign_in(name)
        return browser


class Browser:
    """What keeps cookies and follows links, of one person at one machine."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.http = httpx.AsyncClient(
            # A transport of its own would load the system's certificates each time.
            transport=world.page_app,
            mounts={ISSUER: world.issuer_app},
            base_url=GATEWAY,
        )

    async def get(self, path: str) -> httpx.Response:
        return await self.http.get(path)

    async def begin(self, query: str = "") -> str:
        """Press "sign in"; return where the browser is sent."""
        return (await self.get(f"/approvals/sign-in{query}")).headers["location"]

    async def approve_at_issuer(self, place: str, name: str) -> str:
        """Say who one is at the issuer; return where the browser is sent back to."""
        return (await self.http.get(f"{place}&login_hint={name}")).headers["location"]

    async def sign_in(self, name: str, query: str = "") -> httpx.Response:
        """Sign in as somebody; return the answer to the issuer's."""
        return await self.get(await self.approve_at_issuer(await self.begin(query), name))

    async def form(self, path: str, action: str) -> dict[str, str]:
        """Open a page, and return the fields of its form to ``action``, as they stand."""
        return Forms.of((await self.get(path)).text)[action]

    async def decide(
        self, approval: Approval, decision: str = "approve", link: str = "", **fields: str
    ) -> httpx.Response:
        """Open an approval (by a link), and press a button."""
        path = f"/approvals/{approval.id}"
        form = await self.form(link or path, f"{path}/decide")
        return await self.http.post(f"{path}/decide", data={**form, "decision": decision, **fields})
