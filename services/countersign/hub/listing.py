"""One list of what all targets offer: asked of each, named as the door has it, in pages."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from countersign.config import GatewayConfig, Target
from countersign.hub.between import STATED
from countersign.hub.cursors import LONGEST_CURSOR, MOST_PAGES, Cursors, Standing
from countersign.hub.inside import Away, Caller
from countersign.hub.peers import Owner, Peers, Refused, SaidNo
from countersign.hub.wording import listed, text_at
from countersign.jsontext import Number, quote, value_at
from countersign.mcp import DENIED, WAITING, Era
from countersign.runtime.aside import Aside

log = logging.getLogger(__name__)

LISTS: Mapping[str, tuple[str, str]] = {
    "tools/list": ("tools", "name"),
    "prompts/list": ("prompts", "name"),
    "resources/list": ("resources", "uri"),
    "resources/templates/list": ("resourceTemplates", "uriTemplate"),
}
"""Lists, each with its key in the result, and that of an entry's name."""

DEADLINE_S = 10.0
"""How long a target may take for a page before the others are listed without it."""
AT_ONCE = 16
MOST_ENTRIES = 1_000
MOST_CHARACTERS = 4 * 1024 * 1024
MOST_OF_ONE = 10_000
"""Entries in a page of one target: to name more would hold up everybody else."""
_LONGEST_TTL = 15
_REFUSALS: Mapping[int, str] = {401: "the session with it was revoked", 429: "it is asked too often"}
LEFT_OUT = "countersign/leftOut"
"""The key of ``_meta`` under which a list says which targets are missing, and why."""


@dataclass(frozen=True, slots=True)
class _Page:
    entries: tuple[str, ...] = ()
    cursor: str = ""
    ttl_ms: int = 0
    missing: str = ""


class Listing:
    """Makes lists. Long ones are put into the door's words ``aside``."""

    def __init__(self, peers: Peers, cursors: Cursors, config: Callable[[], GatewayConfig], aside: Aside) -> None:
        self._peers = peers
        self._cursors = cursors
        self._config = config
        self._aside = aside

    async def page(
        self, caller: Caller, owner: Owner, era: Era, method: str, cursor: str | None, usable: list[Target]
    ) -> str:
        """Return a page of the list as the JSON text of a result; asked are ``usable`` targets, and no other.

        A target that is away, too slow, or refuses is missing in it, and said to be. Raises ``NoCursor`` for a cursor
        that is not this caller's, and ``Refused`` when the caller is not known any more.
        """
        standing = {target.name: Standing() for target in usable}
        if cursor is not None:
            standing = self._cursors.open(caller.principal, method, cursor)
        asked = [target for target in usable if target.name in standing]
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(target: Target) -> _Page:
            async with turns:
                return await self._of(caller, owner, era, method, target, standing[target.name].cursor)

        pages = await asyncio.gather(*map(one, asked), return_exceptions=True)
        names = [target.name for target in asked]
        return self._merged(caller, era, method, standing, dict(zip(names, map(_raised, pages), strict=True)))

    def _merged(
        self, caller: Caller, era: Era, method: str, standing: Mapping[str, Standing], pages: Mapping[str, _Page]
    ) -> str:
        entries: list[str] = []
        left: dict[str, Standing] = {}
        missing: dict[str, str] = {}
        ttl_ms, characters = [], 0
        for target, page in pages.items():
            before = standing[target]
            size = sum(map(len, page.entries))
            if entries and (len(entries) + len(page.entries) > MOST_ENTRIES or characters + size > MOST_CHARACTERS):
                # Asked again for the page that it begins.
                left[target] = before
                continue
            entries += page.entries
            characters += size
            ttl_ms.append(page.ttl_ms)
            if page.missing:
                missing[target] = page.missing
            if page.cursor and before.pages + 1 >= MOST_PAGES:
                missing[target] = "its list does not end"
            elif page.cursor:
                left[target] = Standing(page.cursor, before.pages + 1)
        members = [f'"{LISTS[method][0]}":[{",".join(entries)}]']
        if left:
            members.append(f'"nextCursor":{quote(self._cursors.seal(caller.principal, method, left))}')
        if missing:
            members.append(f'"_meta":{json.dumps({LEFT_OUT: missing})}')
        if era is Era.MODERN:
            # What is missing may be there the next time.
            known_for = 0 if missing or not ttl_ms else min(ttl_ms)
            members += ['"resultType":"complete"', f'"ttlMs":{known_for}', '"cacheScope":"private"']
        return f"{{{','.join(members)}}}"

    async def _of(
        self, caller: Caller, owner: Owner, era: Era, method: str, target: Target, cursor: str | None
    ) -> _Page:
        try:
            async with asyncio.timeout(DEADLINE_S):
                return await self._asked(caller, owner, era, method, target, cursor)
        except SaidNo:
            # It has none of these.
            return _Page()
        except Refused as refused:
            if refused.everywhere:
                raise
            if refused.code in (DENIED, WAITING):
                # Rules let the caller use something there, but not list it.
                return _Page()
            reason = _REFUSALS.get(refused.status, "it refuses to be asked")
        except TimeoutError:
            reason = "it did not answer in time"
        except Away:
            # What a target says of itself has no place in the others' list.
            reason = "it does not answer"
        log.warning("a target is missing in a list", extra={"target": target.name, "method": method})
        return _Page(missing=reason)

    async def _asked(
        self, caller: Caller, owner: Owner, era: Era, method: str, target: Target, cursor: str | None
    ) -> _Page:
        members = [] if cursor is None else [f'"cursor":{quote(cursor)}']
        for last in (False, True):
            way = await self._peers.way(caller, owner, target, era)
            meta = [f'"_meta":{{{STATED}}}'] if way.era is Era.MODERN else []
            try:
                answer = await self._peers.ask(caller, target, way, method, f"{{{','.join([*members, *meta])}}}")
                break
            except SaidNo as no:
                if last or no.status != 404 or not way.session_id:
                    raise
                self._peers.forget(owner, target, way)
        key, name_key = LISTS[method]
        found = value_at(answer.root, ("result", key))
        if isinstance(found, list) and len(found) > MOST_OF_ONE:
            return _Page(missing="it lists too much at once")
        entries = await self._aside.run(
            len(answer.text), lambda: listed(target.name, answer, ("result", key), name_key)
        )
        if not isinstance(found, list):
            raise Away("its list cannot be read")
        if len(entries) < len(found):
            log.warning("names that are too long are left out", extra={"target": target.name, "method": method})
        following = text_at(answer.root, ("result", "nextCursor"))
        if len(following) > LONGEST_CURSOR:
            return _Page(tuple(text for _, text in entries), missing="its cursor is too long to go on with")
        ttl = value_at(answer.root, ("result", "ttlMs"))
        ttl_ms = int(ttl) if isinstance(ttl, Number) and ttl.isdigit() and len(ttl) <= _LONGEST_TTL else 0
        return _Page(tuple(text for _, text in entries), following, ttl_ms)


def _raised(page: _Page | BaseException) -> _Page:
    if isinstance(page, BaseException):
        raise page
    return page
