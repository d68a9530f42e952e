"""Demo only: an MCP server over an invented shop, made with the official Python SDK; speaks both protocol eras.

It accepts only its own credential (``ORDERS_TOKEN``) and keeps a journal of every HTTP request and every executed
call. Run alone: ``ORDERS_TOKEN=... python -m countersign.demo.orders --port 9000 --state DIR``; the endpoint is /mcp.
"""

from __future__ import annotations

import csv
import io
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from countersign.demo import orders_data
from countersign.demo.orders_journal import Credential, Entry, Journal, inspect, journal_path
from countersign.demo.serving import serve_in_foreground

ROW_CAP = 200
_QUERY_S = 2.0
_ALLOWED_ACTIONS = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
}

Cell = str | int | float | None


# Without slots: the SDK derives a tool's output schema from a class and would take slots for defaults.


@dataclass(frozen=True)
class Rows:
    """The answer of ``query``: at most ROW_CAP rows, ``truncated`` when there were more."""

    rows: list[dict[str, Cell]]
    truncated: bool


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    type: str


class Database:
    """The shop, read-only: one short-lived connection a query, bounded in rows and in time."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._uri = f"file:{path}?mode=ro"
        self._clock = clock

    def query(self, sql: str, parameters: tuple[Cell, ...] = (), *, cap: int = ROW_CAP) -> Rows:
        """Run one statement that only reads; columns that have the same name get a number.

        Raises:
            ToolError: when it is not one reading statement, is wrong, or takes longer than two seconds.
        """
        deadline = self._clock() + _QUERY_S
        with closing(sqlite3.connect(self._uri, uri=True)) as database:
            database.set_authorizer(_only_reads)
            database.set_progress_handler(lambda: self._clock() > deadline, 10_000)
            try:
                cursor = database.execute(sql, parameters)
                fetched = cursor.fetchmany(cap + 1)
            except sqlite3.Error as error:
                raise ToolError(f"the database refused the statement: {error}") from None
            names = _distinct([column[0] for column in cursor.description or ()])
        rows: list[dict[str, Cell]] = [dict(zip(names, row, strict=True)) for row in fetched[:cap]]
        return Rows(rows, truncated=len(fetched) > cap)

    def tables(self) -> list[str]:
        """The names of all tables."""
        found = self.query("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        return [str(row["name"]) for row in found.rows]

    def columns(self, table: str) -> list[Column]:
        """The columns of a table.

        Raises:
            ToolError: when there is no such table.
        """
        known = self.known(table)
        with closing(sqlite3.connect(self._uri, uri=True)) as database:
            found = database.execute("SELECT name, type FROM pragma_table_info(?)", (known,)).fetchall()
        return [Column(str(name), str(kind)) for name, kind in found]

    def known(self, table: str) -> str:
        """The name itself, when a table has it.

        Raises:
            ToolError: when there is no such table.
        """
        if table not in self.tables():
            raise ToolError(f"there is no table {table!r}: list_tables names them")
        return table


def _only_reads(action: int, *_: str | None) -> int:
    return sqlite3.SQLITE_OK if action in _ALLOWED_ACTIONS else sqlite3.SQLITE_DENY


def _distinct(names: list[str]) -> list[str]:
    taken: dict[str, int] = {}
    result = []
    for name in names:
        taken[name] = taken.get(name, 0) + 1
        result.append(name if taken[name] == 1 else f"{name}_{taken[name]}")
    return result


def build(database: Database, journal: Journal) -> MCPServer:
    """The MCP server: five tools, one prompt, one resource. Every executed one is journalled first."""
    about = "Orders, customers, cards and notes of a shop."
    server: MCPServer = MCPServer("orders", version="1", instructions=about, log_level="WARNING")

    def executed(name: str, **arguments: object) -> None:
        journal.add(Entry("call", name=name, arguments=arguments))

    @server.tool()
    async def query(sql: str, ctx: Context) -> Rows:
        """Run one SQL statement that only reads (SQLite), at most 200 rows."""
        executed("query", sql=sql)
        found = database.query(sql)
        await ctx.report_progress(len(found.rows), message=f"read {len(found.rows)} rows")
        return found

    @server.tool()
    def list_tables() -> list[str]:
        """List the tables."""
        executed("list_tables")
        return database.tables()

    @server.tool()
    def describe_table(table: str) -> list[Column]:
        """Describe the columns of a table."""
        executed("describe_table", table=table)
        return database.columns(table)

    @server.tool()
    def export_table(table: str) -> str:
        """Export a whole table as CSV."""
        executed("export_table", table=table)
        found = database.query(f'SELECT * FROM "{database.known(table)}"', cap=orders_data.ORDERS)  # noqa: S608 - known
        text = io.StringIO()
        writer = csv.DictWriter(text, [column.name for column in database.columns(table)])
        writer.writeheader()
        writer.writerows(found.rows)
        return text.getvalue()

    @server.tool()
    def get_customer(customer_id: int) -> dict[str, Cell]:
        """Fetch one customer with their card."""
        executed("get_customer", customer_id=customer_id)
        found = database.query(
            "SELECT c.*, k.card, k.expires FROM customers c JOIN cards k ON k.customer_id = c.id WHERE c.id = ?",
            (customer_id,),
        )
        if not found.rows:
            raise ToolError(f"there is no customer {customer_id}")
        return found.rows[0]

    @server.prompt()
    def summarise_customer(customer_id: str) -> str:
        """Ask for a summary of one customer's orders."""
        executed("summarise_customer", customer_id=customer_id)
        return f"Summarise the orders of customer {customer_id}; mention returns, leave out personal data."

    @server.resource("orders://schema", mime_type="application/sql")
    def schema() -> str:
        """The tables as SQL."""
        executed("orders://schema")
        return orders_data.SCHEMA

    return server


class OwnCredentialOnly:
    """ASGI middleware: answers 401 unless ``Authorization`` is the server's own credential; journals every request."""

    def __init__(self, app: ASGIApp, token: str, journal: Journal) -> None:
        self._app = app
        self._token = token
        self._journal = journal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection scope."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        credential, elsewhere = inspect(headers, self._token)
        trace = next((value for name, value in headers if name == b"traceparent"), b"").decode("latin-1")

        async def journalled(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry = Entry(
                    "request",
                    verb=scope["method"],
                    status=message["status"],
                    credential=credential,
                    foreign_elsewhere=elsewhere,
                    traceparent=trace,
                )
                self._journal.add(entry)
            await send(message)

        app = self._app if credential is Credential.OWN else _UNAUTHENTICATED
        await app(scope, receive, journalled)


_UNAUTHENTICATED = JSONResponse(
    {"error": "this server accepts only its own credential"},
    status_code=401,
    # A real server's hint, which a gateway must keep from its callers: they have no business at this issuer.
    headers={"www-authenticate": 'Bearer realm="orders", resource_metadata="http://127.0.0.1:1/orders-own-issuer"'},
)


def app(state: Path, token: str, *, path: str = "/mcp", json_response: bool = False) -> ASGIApp:
    """The whole server as an ASGI application over the database and the journal in ``state`` (made when missing).

    ``json_response`` answers the legacy era in JSON in place of server-sent events.

    Raises:
        ValueError: when ``token`` is empty.
    """
    if not token:
        raise ValueError("the orders server needs a credential of its own")
    state.mkdir(parents=True, exist_ok=True)
    if not orders_data.database_path(state).exists():
        orders_data.create(orders_data.database_path(state))
    journal = Journal(journal_path(state))
    server = build(Database(orders_data.database_path(state)), journal)
    return OwnCredentialOnly(
        server.streamable_http_app(streamable_http_path=path, json_response=json_response), token, journal
    )


def main(
    token: Annotated[str, typer.Option(envvar="ORDERS_TOKEN", help="The credential that callers must show.")],
    state: Annotated[Path, typer.Option(help="Where the database and the journal are kept.")],
    port: int = 9000,
    json_response: bool = False,
) -> None:
    """Serve the orders on 127.0.0.1 until a signal ends it."""
    ready = f"ready: orders at http://127.0.0.1:{port}/mcp"
    serve_in_foreground(app(state, token, json_response=json_response), port, ready=ready)


if __name__ == "__main__":
    typer.run(main)
