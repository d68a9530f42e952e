"""The version of gateway.yaml in force, compiled, and the few before it that calls under way may still need."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from countersign.config import POLL_S, ConfigRefused, ConfigWatcher, GatewayConfig, SecretUse
from countersign.masking import MaskCatalog
from countersign.policy import Policy
from countersign.policy.rates import RateLimits

log = logging.getLogger(__name__)

_KEPT = 8


@dataclass(frozen=True, slots=True)
class InForce:
    """One version of gateway.yaml with its rules and masks compiled.

    ``trial`` are the rules as they would be if those on trial were enforced; ``None`` when none are.
    """

    config: GatewayConfig
    policy: Policy
    masks: MaskCatalog
    trial: Policy | None
    limits: RateLimits

    @property
    def judges_by_usage(self) -> bool:
        """Whether any call is judged by what was used before it."""
        return bool(self.config.rate_limits) or self.policy.reads_usage


class Rulebook:
    """Loads gateway.yaml, follows its edits, and finds recent versions by their name.

    Raises ``ConfigRefused`` at construction when the file is refused; later a refused edit leaves the version in
    force and is logged. ``hash_key`` is the deployment's, for masks that hash.
    """

    def __init__(
        self,
        path: Path,
        env: Mapping[str, str],
        cache_dir: Path | None,
        *,
        reads: Collection[SecretUse],
        hash_key: bytes | None = None,
    ) -> None:
        self._watcher = ConfigWatcher(path, env, reads=reads)
        self._cache_dir = cache_dir
        self._hash_key = hash_key
        self._compiled: OrderedDict[str, InForce] = OrderedDict()
        self._current = self._compile(self._watcher.current)
        self._refused_before = ""
        self._polling = Lock()

    @property
    def current(self) -> InForce:
        """The version that judges new calls."""
        return self._current

    @property
    def problem(self) -> ConfigRefused | None:
        """Why the newest edit of the file is not in force; ``None`` when it is."""
        return self._watcher.problem

    def find(self, version: str) -> InForce | None:
        """Return the version that judged a call, or ``None`` when it is neither in force nor among the last few."""
        if version not in self._compiled:
            # Another replica may have seen an edit before us.
            self.poll()
        return self._compiled.get(version)

    def poll(self) -> GatewayConfig | None:
        """Look at the file once; return the new version when one took force. May be called in any thread."""
        with self._polling:
            return self._poll()

    def _poll(self) -> GatewayConfig | None:
        changed = self._watcher.poll()
        if changed is not None:
            self._current = self._compile(changed)
            log.info("gateway.yaml took force", extra={"policy_version": changed.version})
        problem = "" if self._watcher.problem is None else str(self._watcher.problem)
        if problem and problem != self._refused_before:
            log.error(
                "gateway.yaml was edited and refused; the version before it stays in force",
                extra={"problems": problem, "policy_version": self._current.config.version},
            )
        self._refused_before = problem
        return changed

    async def follow(self, changed: Callable[[InForce], None] | None = None) -> None:
        """Poll once a second until cancelled; tell ``changed`` of each version that takes force."""
        while True:
            await asyncio.sleep(POLL_S)
            # In a thread: while many rules are loaded and compiled, calls are judged by those before.
            if await asyncio.to_thread(self.poll) is not None and changed is not None:
                changed(self._current)

    def _compile(self, config: GatewayConfig) -> InForce:
        compiled = InForce(
            config=config,
            policy=Policy(config.rules, version=config.version),
            masks=MaskCatalog(
                config.masks.values(),
                own=config.detectors.values(),
                prose=config.prose,
                cache_dir=self._cache_dir,
                max_depth=config.limits.json_depth,
                hash_key=self._hash_key,
            ),
            trial=_trial(config),
            limits=RateLimits(config.rate_limits),
        )
        self._compiled[config.version] = compiled
        self._compiled.move_to_end(config.version)
        while len(self._compiled) > _KEPT:
            self._compiled.popitem(last=False)
        return compiled


def _trial(config: GatewayConfig) -> Policy | None:
    if config.candidate is not None:
        return Policy(config.candidate.rules, version=config.candidate.version, trial=True)
    if any(rule.shadow for rule in config.rules):
        return Policy(config.rules, version=config.version, trial=True)
    return None
