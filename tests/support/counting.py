"""A real MCP server whose dangerous tools count how often they ran, and with what."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mcp.server.mcpserver import MCPServer

from countersign.demo.serving import ThreadedServer

DANGEROUS = ("drop_table", "wipe_table", "move_table", "burn_table")


class Ledger:
    """What ran: by its tool and arguments. Filled in the server's thread, read in the test's."""

    def __init__(self) -> None:
        self.ran: Counter[tuple[str, str]] = Counter()

    def times(self, tool: str = "drop_table", **arguments: object) -> int:
        """How often a tool ran with these very arguments."""
        return self.ran[tool, json.dumps(arguments, sort_keys=True)]


@contextmanager
def counting_server(port: int) -> Iterator[Ledger]:
    """Run the server on 127.0.0.1, with the tools that change things, and ``look``, which does not."""
    ledger = Ledger()
    server: MCPServer = MCPServer("ledger", version="1", log_level="WARNING")
    for name in DANGEROUS:
        server.add_tool(_counting(name, ledger), name=name, description="Changes a table for good.")

    @server.tool()
    def look(table: str) -> str:
        """Look at a table."""
        return f"{table} is there"

    with ThreadedServer(server.streamable_http_app(streamable_http_path="/mcp"), port):
        yield ledger


def _counting(name: str, ledger: Ledger) -> Callable[[str, str], str]:
    def run(table: str, reason: str = "") -> str:
        arguments = {"table": table, "reason": reason} if reason else {"table": table}
        ledger.ran[name, json.dumps(arguments, sort_keys=True)] += 1
        return f"{name} {table}: done"

    return run
