"""The process that ``countersign up`` forks its services from: imports once what each of them would import.

``python -m countersign.cli.nursery STATE SERVICES DESCRIPTOR PARENT``; see :mod:`countersign.local.nursery`. It imports
services, and nothing of the commands: what tries policies makes principals without a token.
"""

from __future__ import annotations

import gc
import socket
import sys
from importlib import import_module

from countersign.cli import services
from countersign.local.nursery import Nursery
from countersign.runtime.cache import private_cache
from countersign.runtime.parent import end_with_parent
from countersign.runtime.settings import cache_directory, environment


def main(state: str, names: str, descriptor: str, parent: str) -> int:
    """Fork services until ``up`` is gone, and serve in those that are forked; return the exit code."""
    end_with_parent(int(parent))
    load(names.split(","))
    try:
        with socket.socket(fileno=int(descriptor)) as control:
            service = Nursery(control, state).tend()
    except OSError as error:
        print(f"error: nothing can be forked here: {error}", file=sys.stderr)
        return 1
    return 0 if service is None else services.main(service)


def load(names: list[str]) -> None:
    """Import what the services ``names`` need, and load the catalogue of secrets. Starts no thread that stays."""
    # All that is imported stays: there is nothing to collect.
    gc.disable()
    services.leave_out_commands()
    from countersign.catalogue import load_ahead, loaded_ahead

    load_ahead(private_cache(cache_directory(environment())))
    for name in names:
        import_module(f"countersign.cli.wiring.{name}")
    loaded_ahead()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
