"""What people do on the page about an approval: agree, deny, break the glass, take back."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from countersign.approver.deciding import Deciding
from countersign.approver.page.cookies import Session
from countersign.approver.page.desk import Desk, Told, approval_id_of, came_of, link_of
from countersign.approver.page.links import Link, LinkRefused, Links, UsedLinks, WhyRefused
from countersign.approver.page.shown import shown
from countersign.approver.ports import ApprovalError, MayNot, NoSuchApproval, NoteMissing, NotOpen, Stale
from countersign.model.approval import Approval, ApprovalState, Person

MOST_NOTE = 1_000
"""Characters of a note or a reason."""
_REFRESH_S = 10
_VERSION = re.compile(r"[0-9]{1,18}")
_STATUSES: tuple[tuple[type[ApprovalError], int], ...] = (
    (NoteMissing, 400),
    (MayNot, 403),
    (NotOpen, 409),
    (Stale, 409),
)


class Decisions:
    """The paths of one approval."""

    def __init__(self, desk: Desk, deciding: Deciding, links: Links, used: UsedLinks) -> None:
        self._desk = desk
        self._deciding = deciding
        self._links = links
        self._used = used

    async def see(self, request: Request) -> Response:
        """Show how an approval stands; changes nothing, whoever looks and by whatever link."""
        approval_id = approval_id_of(request.path_params["approval_id"])
        given = "link" in request.query_params
        link = link_of(request.query_params.get("link", ""))
        session = self._desk.session(request, approval_id, link)
        if given:
            opened = await self._opened(request, session, approval_id, link)
            if await self._used.is_used(opened):
                raise Told(await self._link_refused(request, session, approval_id, WhyRefused.USED))
        return await self._page(session, approval_id, link=link)

    async def decide(self, request: Request) -> Response:
        """Agree or deny; uses up the link through which the form was reached."""
        session, approval_id, form = await self._posted(request)
        version, note = self._version(session, form), self._words(session, form.get("note", ""))
        if form.get("decision") not in ("approve", "deny"):
            raise Told(self._bad_form(session))
        if form.get("link"):
            link = await self._opened(request, session, approval_id, link_of(form["link"]))
            by = Person(session.principal.issuer, session.principal.subject)
            if not await self._used.use(link, by, self._desk.now_us()):
                raise Told(await self._link_refused(request, session, approval_id, WhyRefused.USED))
        return await self._done(
            session,
            approval_id,
            note,
            lambda: self._deciding.decide(
                session.principal,
                approval_id,
                version=version,
                agrees=form["decision"] == "approve",
                note=note,
                came=came_of(request),
            ),
        )

    async def break_glass(self, request: Request) -> Response:
        """Agree to one's own call, where a rule says so."""
        session, approval_id, form = await self._posted(request)
        version, reason = self._version(session, form), self._words(session, form.get("reason", ""))
        return await self._done(
            session,
            approval_id,
            reason,
            lambda: self._deciding.break_glass(
                session.principal, approval_id, version=version, reason=reason, came=came_of(request)
            ),
        )

    async def cancel(self, request: Request) -> Response:
        """Take back one's own."""
        session, approval_id, _ = await self._posted(request)
        return await self._done(
            session,
            approval_id,
            "",
            lambda: self._deciding.cancel(session.principal, approval_id, came=came_of(request)),
        )

    async def _posted(self, request: Request) -> tuple[Session, str, dict[str, str]]:
        approval_id = approval_id_of(request.path_params["approval_id"])
        session = self._desk.session(request, approval_id)
        return session, approval_id, await self._desk.form(request, session)

    async def _done(
        self, session: Session, approval_id: str, words: str, act: Callable[[], Awaitable[Approval]]
    ) -> Response:
        try:
            await act()
        except NoSuchApproval:
            return self._none(session)
        except ApprovalError as error:
            status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 503)
            return await self._page(session, approval_id, status=status, problem=_sentence(str(error)), words=words)
        # Reloading what comes now decides nothing again.
        return RedirectResponse(f"{self._desk.url}/approvals/{approval_id}", 303)

    async def _page(
        self,
        session: Session,
        approval_id: str,
        *,
        link: str = "",
        status: int = 200,
        problem: str = "",
        words: str = "",
    ) -> Response:
        try:
            seen = await self._deciding.get(session.principal, approval_id) if approval_id else None
        except NoSuchApproval:
            seen = None
        if seen is None:
            return self._none(session)
        # Who may still write something must not lose it.
        waits = seen.approval.state is ApprovalState.PENDING and not (seen.may_decide or seen.may_deny or seen.glass)
        return self._desk.rendering.page(
            "approval",
            status,
            session=session,
            refresh_s=_REFRESH_S if waits and status == 200 else 0,
            a=shown(seen, session.principal, self._desk.now_us()),
            link=link,
            problem=problem,
            note=words,
        )

    async def _opened(self, request: Request, session: Session, approval_id: str, link: str) -> Link:
        try:
            return self._links.open(link, approval_id, self._desk.now_us())
        except LinkRefused as error:
            raise Told(await self._link_refused(request, session, approval_id, error.why)) from None

    async def _link_refused(self, request: Request, session: Session, approval_id: str, why: WhyRefused) -> Response:
        await self._deciding.link_refused(session.principal, approval_id, why.value, came=came_of(request))
        status = 400 if why is WhyRefused.FORGED else 403
        text = f"{_sentence(why.value)} Nothing was decided by it."
        return self._desk.rendering.message(
            "This link is not taken", text, status, session=session, approval_id=approval_id
        )

    def _version(self, session: Session, form: dict[str, str]) -> int:
        if not _VERSION.fullmatch(form.get("version", "")):
            raise Told(self._bad_form(session))
        return int(form["version"])

    def _words(self, session: Session, text: str) -> str:
        words = text.replace("\r\n", "\n").strip()
        if len(words) > MOST_NOTE:
            message = f"Say it in {MOST_NOTE} characters or fewer."
            raise Told(self._desk.rendering.message("That is too long", message, 400, session=session))
        return words

    def _bad_form(self, session: Session) -> Response:
        text = "The form is not one of this page."
        return self._desk.rendering.message("This was not taken", text, 400, session=session)

    def _none(self, session: Session) -> Response:
        text = "There is no such approval, or it is not for you to see."
        return self._desk.rendering.message("No such approval", text, 404, session=session)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
