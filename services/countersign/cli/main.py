"""``countersign``: the commands and what they have in common."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from functools import cache
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_group

_ROOMS: Final = {
    "up": "up",
    "check": "check",
    "envoy-config": "envoy_config",
    "login": "login",
    "logout": "logout",
    "whoami": "whoami",
    "call": "call",
    "sessions": "sessions",
    "show": "show",
    "replay": "sessions",
    "tail": "tail",
    "search": "search",
    "status": "status",
    "demo": "demo",
    "classify": "classify",
    "mask": "mask",
    "serve": "serve",
    "tools": "tools",
    "approvals": "approvals",
    "policy": "policy",
    "export": "export",
    "verify": "verify",
    "keep": "keep",
    "log": "log",
    "review": "review",
    "revoke": "revoke",
    "revocations": "revocations",
}
"""Each command and the module of this room that registers it, in the order of the help."""


@cache
def _command(name: str) -> Any:
    """Make a command, once: a module registers the commands below it with what all applications share."""
    one = _application(TyperGroup)
    import_module(f"countersign.cli.{_ROOMS[name]}").register(one)
    return get_group(one).commands[name]


class _Commands(MutableMapping[str, Any]):
    """The commands by name; each is imported when it is asked for.

    ``classify`` is run once a statement in loops, and all the others take half a second to import; and a process that
    serves holds nothing that tries policies, which makes principals without a token.
    """

    def __init__(self) -> None:
        self._commands: dict[str, Any] = dict.fromkeys(_ROOMS)

    def __getitem__(self, name: str) -> Any:
        return self._commands[name] or _command(name)

    def __setitem__(self, name: str, command: Any) -> None:
        self._commands[name] = command

    def __delitem__(self, name: str) -> None:
        del self._commands[name]

    def __contains__(self, name: object) -> bool:
        return name in self._commands

    def __iter__(self) -> Iterator[str]:
        return iter(self._commands)

    def __len__(self) -> int:
        return len(self._commands)


class _Group(TyperGroup):
    """The group of all commands."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Commands()


def _application(group: type[TyperGroup]) -> typer.Typer:
    application = typer.Typer(
        name="countersign",
        help="A governed gateway in front of MCP servers, HTTP APIs and databases.",
        cls=group,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    # Without one, an application of a single command would be that command.
    application.callback()(lambda: None)
    return application


app = _application(_Group)


if __name__ == "__main__":
    app()
