"""gateway.yaml for services that need none of its rules and masks compiled."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from countersign.cli.wiring import serving
from countersign.config import POLL_S, ConfigWatcher, GatewayConfig, SecretUse
from countersign.model.principal import Principal
from countersign.runtime.settings import ServiceSettings, SettingsError
from countersign.runtime.status import Report


class Watched:
    """What such a service asks of gateway.yaml: who may what, and where the database is. Raises ``ConfigRefused``."""

    def __init__(self, settings: ServiceSettings, reads: Collection[SecretUse]) -> None:
        self._watcher = ConfigWatcher(settings.config, settings.environment, reads=reads)
        self._given_dsn = settings.postgres_dsn
        serving.watch_refusals(lambda: self._watcher.problem)

    @property
    def current(self) -> GatewayConfig:
        """The version in force."""
        return self._watcher.current

    @property
    def dsn(self) -> str:
        """The database. Raises ``SettingsError`` when none is named."""
        named = self.current.postgres_dsn
        dsn = named.reveal() if named is not None else self._given_dsn
        if not dsn:
            raise SettingsError("no database: set COUNTERSIGN_POSTGRES_DSN, or recording.postgres in gateway.yaml")
        return dsn

    def is_auditor(self, principal: Principal) -> bool:
        """Whether this principal may read what is recorded."""
        return bool(set(principal.groups) & set(self.current.auditors))

    def is_operator(self, principal: Principal) -> bool:
        """Whether this principal may operate the gateway."""
        return bool(set(principal.groups) & set(self.current.operators))

    def report(self) -> Report:
        """What the service says of itself."""
        return serving.report_of(self.current, self._watcher.problem)

    async def follow(self) -> None:
        """Take up edits until cancelled."""
        while True:
            await asyncio.sleep(POLL_S)
            await asyncio.to_thread(self._watcher.poll)
