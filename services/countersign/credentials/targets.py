"""The credentials of all targets, as gateway.yaml in force states them."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from types import MappingProxyType

from countersign.config import Secret, Target
from countersign.config.types_credentials import Credential, SecretStore
from countersign.credentials.asking import Asker
from countersign.credentials.errors import CredentialUnavailable
from countersign.credentials.oauth import Surroundings
from countersign.credentials.showing import NOBODY, Caller, Making, Presenter, Shown
from countersign.credentials.stores import Store, opened
from countersign.model.principal import Principal

REMEMBERED = 20_000
"""Calls under way that may come back with a refusal; of older ones a refusal tells nothing."""

VERSIONS = 2
"""What gateway.yaml says of a target now, and what it said before."""

_FORGOTTEN: Mapping[str, Secret] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Presented:
    """Headers for a target.

    ``handle`` names them, in this process, to ``refused`` and ``again``; it is no secret, and empty when to ask again
    could yield nothing else. ``shared`` says that all callers are given the same headers, for as long as they stay as
    they are the very same mapping.
    """

    headers: Mapping[str, Secret]
    handle: str
    shared: bool = False


@dataclass(frozen=True, slots=True)
class _Version:
    """What gateway.yaml said of a target: ``place`` stands for its URL, at every replica."""

    place: str
    credential: Credential
    presenter: Presenter


@dataclass(frozen=True, slots=True)
class _Remembered:
    presenter: Presenter
    shown: Shown


class TargetCredentials:
    """Gives what targets are shown, and hears when they refuse it. ``most`` callers' own tokens are kept a target."""

    def __init__(self, around: Surroundings, *, most: int) -> None:
        self._around = around
        self._asker = Asker()
        self._stores: dict[SecretStore, Store] = {}
        self._most = most
        # What is in force first. Calls that were judged before an edit end by what was stated then.
        self._versions: dict[str, list[_Version]] = {}
        # The version of a target as it was judged by last; one edit, and it is found anew.
        self._latest: dict[str, tuple[Target, _Version]] = {}
        self._handles: OrderedDict[str, _Remembered] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def configure(self, targets: Mapping[str, Target]) -> None:
        """Take up the credentials of these targets; those that stay the same keep what they have."""
        self._latest.clear()
        for name in [each for each in self._versions if each not in targets or targets[each].credential is None]:
            for version in self._versions.pop(name):
                version.presenter.close()
        for target in targets.values():
            if target.credential is not None:
                version = self._version(target, target.credential)
                stated = self._versions[target.name]
                stated.remove(version)
                stated.insert(0, version)
        used = {
            store for stated in self._versions.values() for version in stated for store in version.credential.stores
        }
        for store in self._stores.keys() - used:
            self._aside(self._stores.pop(store).close())

    def prefetch(self) -> None:
        """Begin to fetch what is the same for all callers, so that the first need not wait, and logs tell early."""
        for presenter in self._all():
            if presenter.shared and presenter.renewable:
                self._aside(_tried(presenter))

    async def present(self, target: Target, principal: Principal, token: Secret) -> Presented | None:
        """Return what the target is shown in a call of ``principal``, whose token is ``token``; ``None`` for nothing.

        Raises ``CredentialUnavailable``.
        """
        if target.credential is None:
            return None
        latest = self._latest.get(target.name)
        if latest is None or latest[0] is not target:
            latest = self._latest[target.name] = target, self._version(target, target.credential)
        version = latest[1]
        shown = await version.presenter.show(Caller(principal, token))
        return self._presented(f"{target.name}.{version.place}", version.presenter, shown)

    def refused(self, handle: str) -> None:
        """Hear that a target refused what was presented under this handle, here or by another replica."""
        known = self._handles.get(handle)
        if known is not None:
            known.presenter.refused(known.shown)
        elif (presenter := self._shared(handle)) is not None:
            presenter.refused_elsewhere()

    async def again(self, handle: str) -> Presented | None:
        """Return what to present in place of what was refused; ``None`` when nothing is known of that.

        What another replica presented is known here when it is the same for all callers, and its target is where it was
        then. Raises ``CredentialUnavailable``.
        """
        known = self._handles.get(handle)
        presenter = self._shared(handle) if known is None else known.presenter
        if presenter is None or presenter.closed:
            return None
        shown = await presenter.again(NOBODY if known is None else known.shown.key)
        return self._presented(handle.rpartition(".")[0], presenter, shown)

    def drop(self, struck: Callable[[Principal], bool]) -> None:
        """Forget what is kept for these callers, who were revoked."""
        for presenter in self._all():
            presenter.drop(struck)

    async def close(self) -> None:
        """Forget all, and close the connections."""
        for presenter in self._all():
            presenter.close()
        self._versions = {}
        self._latest.clear()
        self._handles.clear()
        await asyncio.gather(self._asker.close(), *(store.close() for store in self._stores.values()), *self._tasks)

    def _aside(self, what: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _all(self) -> list[Presenter]:
        return [version.presenter for stated in self._versions.values() for version in stated]

    def _version(self, target: Target, credential: Credential) -> _Version:
        place = hashlib.sha256(target.mcp_url.encode()).hexdigest()[:16]
        stated = self._versions.setdefault(target.name, [])
        same = [version for version in stated if version.credential == credential]
        for version in same:
            if version.place == place:
                return version
        if same:
            presenter = same[0].presenter
        else:
            presenter = Making(target.name, self._asker, self._store, self._around, self._most).presenter(credential)
        made = _Version(place, credential, presenter)
        # Not before what is in force, until ``configure`` says that this is.
        stated.insert(1, made)
        gone, stated[VERSIONS:] = stated[VERSIONS:], []
        self._latest.pop(target.name, None)
        for version in gone:
            if all(version.presenter is not other.presenter for other in stated):
                version.presenter.close()
        return made

    def _shared(self, handle: str) -> Presenter | None:
        """What the target of a handle is shown now, if it is where it was and that is the same for all callers."""
        name, _, rest = handle.partition(".")
        stated = self._versions.get(name)
        if not stated or stated[0].place != rest.partition(".")[0] or not stated[0].presenter.shared:
            return None
        return stated[0].presenter

    def _presented(self, named: str, presenter: Presenter, shown: Shown) -> Presented:
        if not presenter.renewable:
            return Presented(shown.headers, "", presenter.shared)
        handle = f"{named}.{self._around.new_id()}"
        # Not the headers: of so many calls they are much, and secret.
        self._handles[handle] = _Remembered(presenter, replace(shown, headers=_FORGOTTEN))
        while len(self._handles) > REMEMBERED:
            self._handles.popitem(last=False)
        return Presented(shown.headers, handle, presenter.shared)

    def _store(self, store: SecretStore) -> Store:
        if store not in self._stores:
            self._stores[store] = opened(store, self._around.clock, self._around.chance)
        return self._stores[store]


async def _tried(presenter: Presenter) -> None:
    with suppress(CredentialUnavailable):
        await presenter.again(NOBODY)
