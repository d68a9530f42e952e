"""Runs one service. Imported only by the process that serves; what a service needs is imported when it is run.

``python -m countersign.cli.services serve NAME`` is ``countersign serve NAME`` without what reads command lines.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType, ModuleType
from typing import cast

from countersign.runtime.cache import private_cache
from countersign.runtime.logs import configure_logs
from countersign.runtime.settings import ServiceSettings, SettingsError, load_settings


def main(service: str) -> int:
    """Serve ``service`` as the environment says; return the exit code. What keeps it from serving is told on stderr."""
    leave_out_commands()
    try:
        run(service, load_settings(service))
    except _reasons() as error:
        # One line a problem, for whoever reads the last line of a log.
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def leave_out_commands() -> None:
    """Keep the command that httpx has from being imported: with rich, click and pygments, a tenth of a second."""
    cast("dict[str, ModuleType | None]", sys.modules)["httpx._main"] = None


def _reasons() -> tuple[type[Exception], ...]:
    # Here, not at the top: what reads gateway.yaml is to be imported while the catalogue of secrets loads.
    from countersign.config import ConfigRefused

    return SettingsError, ConfigRefused, RuntimeError, OSError


def run(service: str, settings: ServiceSettings) -> None:
    """Serve ``authz``, ``masker``, ``recorder``, ``approver``, ``portal``, ``hub`` or ``bridge`` until told to stop.

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


def _portal(settings: ServiceSettings) -> None:
    from countersign.cli.wiring.portal import run

    run(settings)


def _hub(settings: ServiceSettings) -> None:
    from countersign.cli.wiring.hub import run

    run(settings)


def _bridge(settings: ServiceSettings) -> None:
    from countersign.cli.wiring.bridge import run

    run(settings)


_SERVICES: Mapping[str, Callable[[ServiceSettings], None]] = MappingProxyType(
    {
        "authz": _authz,
        "masker": _masker,
        "recorder": _recorder,
        "approver": _approver,
        "portal": _portal,
        "hub": _hub,
        "bridge": _bridge,
    }
)


def _loading_secrets(settings: ServiceSettings) -> ServiceSettings:
    """Begin to load what takes longest, so that the other imports take no time; the cache is what may be trusted."""
    from countersign.catalogue import load_ahead

    cache_dir = private_cache(settings.cache_dir)
    load_ahead(cache_dir)
    return replace(settings, cache_dir=cache_dir)


if __name__ == "__main__":
    sys.exit(main(sys.argv[-1]))
