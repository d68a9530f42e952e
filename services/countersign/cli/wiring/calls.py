"""What the services that every call passes, authz and masker, have in common."""

from __future__ import annotations

from collections.abc import Collection

from countersign.cli.wiring.recording import token_for
from countersign.cli.wiring.serving import watch_refusals
from countersign.config import SecretUse
from countersign.runtime.handles import RecorderHandles
from countersign.runtime.pins import PinnedTools
from countersign.runtime.rulebook import Rulebook
from countersign.runtime.sealing import hash_key
from countersign.runtime.settings import ServiceSettings
from countersign.runtime.tokens import TokenVault


def rulebook(settings: ServiceSettings, reads: Collection[SecretUse]) -> Rulebook:
    """Load gateway.yaml, compiled. Raises ``ConfigRefused``."""
    loaded = Rulebook(
        settings.config,
        settings.environment,
        settings.cache_dir,
        reads=reads,
        hash_key=hash_key(settings.sealing_key),
    )
    watch_refusals(lambda: loaded.problem)
    return loaded


def vault(settings: ServiceSettings) -> TokenVault:
    """The recorder, for tokens."""
    return TokenVault(settings.recorder, settings.sealing_key, service_token=token_for(settings.recorder, settings))


def handles(settings: ServiceSettings) -> RecorderHandles:
    """The recorder, for what targets hand to callers to come back with."""
    service_token = token_for(settings.recorder, settings)
    return RecorderHandles(settings.recorder, settings.sealing_key, service_token=service_token)


def pinned_tools(settings: ServiceSettings) -> PinnedTools:
    """The recorder, for the tools' definitions."""
    return PinnedTools(settings.recorder, service_token=token_for(settings.recorder, settings))
