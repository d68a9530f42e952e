"""``toy_nursery.py [busy] DESCRIPTOR PARENT``: services that do what they are named; ``busy`` runs a thread."""

from __future__ import annotations

import gc
import json
import os
import random
import signal
import socket
import sys
import tempfile
import threading
import uuid
from pathlib import Path

from countersign.local.nursery import Nursery
from countersign.runtime.parent import end_with_parent


def tell() -> int:
    """Print what this process finds."""
    found = {
        "environment": dict(os.environ),
        "descriptors": {name: _target(name) for name in os.listdir("/proc/self/fd")},
        "arguments": sys.argv[1:],
        "group": os.getpgid(0),
        "parent": os.getppid(),
        "signals": [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Sig")],
        "handlers": [str(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)],
        "collects": gc.isenabled(),
        "drawn": [random.random(), str(uuid.uuid4()), next(tempfile._get_candidate_names())],  # type: ignore[attr-defined]  # what names files
    }
    print(json.dumps(found), flush=True)
    return pause()


def _target(name: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{name}")
    except OSError:  # the one that listed them
        return ""


def pause() -> int:
    """Run until a signal ends it."""
    while True:
        signal.pause()


def deaf() -> int:
    """Run whoever asks it to end."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("deaf", flush=True)
    return pause()


def three() -> int:
    """End with the status 3."""
    print("it was three", file=sys.stderr)
    return 3


def main(*arguments: str) -> int:
    """Tend; see the module."""
    *busy, descriptor, parent = arguments
    end_with_parent(int(parent))
    gc.disable()
    if busy:
        threading.Thread(target=pause_thread, daemon=True).start()
    # What was drawn before is not to be drawn again by those that are forked.
    random.random(), uuid.uuid4(), next(tempfile._get_candidate_names())  # type: ignore[attr-defined]  # as above
    with socket.socket(fileno=int(descriptor)) as control:
        service = Nursery(control, "/toys").tend()
    return 0 if service is None else {"tell": tell, "pause": pause, "deaf": deaf, "three": three}[service]()


def pause_thread() -> None:
    """Wait for nothing."""
    threading.Event().wait()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
