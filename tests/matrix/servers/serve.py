"""Serve both Python servers until standard input ends: ``python -m tests.matrix.servers.serve PORT PORT``."""

from __future__ import annotations

import logging
import sys

from countersign.demo.serving import ThreadedServer
from tests.matrix.servers import fast, official


def main(ports: list[str]) -> None:
    """Serve the official SDK's at the first port, fastmcp's at the second; say ``ready``."""
    logging.disable(logging.CRITICAL)
    with ThreadedServer(official.app(), int(ports[0])), ThreadedServer(fast.app(), int(ports[1])):
        print("ready", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1:])
