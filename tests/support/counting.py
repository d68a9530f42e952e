"""A real MCP server whose one dangerous tool counts how often it ran, and with what."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from mcp.server.mcpserver import MCPServer

from countersign.demo.serving import ThreadedServer


class Ledger:
    """What ran: by its arguments, as canonical JSON. Filled in the server's thread, read in the test's."""

    def __init__(self) -> None:
        self.ran: Counter[str] = Counter()

    def times(self, **arguments: object) -> int:
        """How often the tool ran with these very arguments."""
        return self.ran[json.dumps(arguments, sort_keys=True)]


@contextmanager
def counting_server(port: int) -> Iterator[Ledger]:
    """Run the server on 127.0.0.1, with the tool ``drop_table``, which changes things, and ``look``, which does not."""
    ledger = Ledger()
    server: MCPServer = MCPServer("ledger", version="1", log_level="WARNING")

    @server.tool()
    def drop_table(table: str, reason: str = "") -> str:
        """Drop a table."""
        ledger.ran[json.dumps({"table": table, "reason": reason} if reason else {"table": table}, sort_keys=True)] += 1
        return f"dropped {table}"

    @server.tool()
    def look(table: str) -> str:
        """Look at a table."""
        return f"{table} is there"

    with ThreadedServer(server.streamable_http_app(streamable_http_path="/mcp"), port):
        yield ledger
