"""Runs one service. Imported only by the process that serves; what a service needs is imported when it is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from countersign.runtime.cache import private_cache
from countersign.runtime.logs import configure_logs
from countersign.runtime.settings import ServiceSettings


def run(service: str, settings: ServiceSettings) -> None:
    """Serve ``authz``, ``masker``, ``recorder`` or ``approver`` until told to stop.

    Raises ``ConfigRefused``, ``SettingsError``, and :class:`OSError` or :class:`RuntimeError` for what else keeps it
    from serving.
    """
    configure_logs(service, settings.log_level)
    _SERVICES[service](settings)


def _authz(settings: ServiceSettings) -> None:
    settings = _loading_secrets(settings)
    from countersign.cli.wiring.authz import run

    run(settings)


def _masker(settings: ServiceSettings) -> None:
    settings = _loading_secrets(settings)
    from countersign.cli.wiring.masker import run

    run(settings)


def _recorder(settings: ServiceSettings) -> None:
    from countersign.cli.wiring.recorder import run

    run(settings)


def _approver(settings: ServiceSettings) -> None:
    from countersign.cli.wiring.approver import run

    run(settings)


_SERVICES: Mapping[str, Callable[[ServiceSettings], None]] = MappingProxyType(
    {"authz": _authz, "masker": _masker, "recorder": _recorder, "approver": _approver}
)


def _loading_secrets(settings: ServiceSettings) -> ServiceSettings:
    """Begin to load what takes longest, so that the other imports take no time; the cache is what may be trusted."""
    from countersign.catalogue import load_ahead

    cache_dir = private_cache(settings.cache_dir)
    load_ahead(cache_dir)
    return replace(settings, cache_dir=cache_dir)
