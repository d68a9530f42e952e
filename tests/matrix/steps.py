"""What a client is to do with a server: steps that every driver understands, in Python and in Node.js.

A step says what to do (`do`) and which feature of the protocol it shows. A driver does the steps of a run in one
connection, and writes what it saw of each; one that its client has no way to do is not written at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

FEATURES = (
    "connect",
    "ping",
    "lists",
    "calls",
    "errors",
    "resources",
    "prompts",
    "completions",
    "progress",
    "logging",
    "cancellation",
    "sampling",
    "elicitation",
    "roots",
    "subscriptions",
    "tasks",
    "resumption",
    "end",
)
"""The columns of the table, in their order."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. ``settings`` belong to ``do``: see the drivers."""

    name: str
    feature: str
    do: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def written(self) -> dict[str, Any]:
        """As drivers in other languages are told it."""
        return {"name": self.name, "feature": self.feature, "do": self.do, **self.settings}


@dataclass(frozen=True, slots=True)
class Door:
    """Where a server is reached: by URL with a bearer token, or as a program that the client runs itself."""

    url: str | None = None
    token: str | None = None
    command: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)

    def written(self) -> dict[str, Any]:
        """As drivers in other languages are told it."""
        return {"url": self.url, "token": self.token, "command": list(self.command), "env": dict(self.env)}


@dataclass(frozen=True, slots=True)
class Run:
    """One connection of a client in an era (``mode``), through a door, doing steps; ``name`` tells it from others."""

    name: str
    mode: str
    door: Door
    steps: Sequence[Step]

    def written(self) -> dict[str, Any]:
        """As drivers in other languages are told it."""
        steps = [step.written() for step in self.steps]
        return {"name": self.name, "mode": self.mode, "door": self.door.written(), "steps": steps}


@dataclass(frozen=True, slots=True)
class Saw:
    """What a client saw of a step: JSON. Of the connection itself, the step's name is ``connect``."""

    run: str
    step: str
    what: Any


def listing(what: str) -> Step:
    """All pages of a list: tools, resources, templates or prompts."""
    return Step(f"list {what}", "lists", "list", {"what": what})


def call(name: str, tool: str, arguments: Mapping[str, Any] | None = None, feature: str = "calls") -> Step:
    """A tool's call; progress is asked for where it is the feature."""
    wanted = {"tool": tool, "arguments": dict(arguments or {}), "progress": feature == "progress"}
    return Step(name, feature, "call", wanted)


def read(uri: str, feature: str = "resources") -> Step:
    """Read a resource."""
    return Step(f"read {uri}", feature, "read", {"uri": uri})


def prompt(name: str, arguments: Mapping[str, str], feature: str = "prompts") -> Step:
    """Get a prompt."""
    return Step(f"prompt {name} {len(arguments)}", feature, "prompt", {"prompt": name, "arguments": dict(arguments)})


def complete(ref: Mapping[str, str], argument: str, value: str) -> Step:
    """Ask how an argument of a prompt (``{"type": "ref/prompt", "name": …}``) or a template goes on."""
    name = f"complete {ref['type']} {value}"
    return Step(name, "completions", "complete", {"ref": dict(ref), "argument": argument, "value": value})


def level(to: str) -> Step:
    """Set the level of logging."""
    return Step(f"level {to}", "logging", "level", {"level": to})


def cancel(tool: str, arguments: Mapping[str, Any], proof: str) -> Step:
    """Call a tool, take the call back once it tells of progress; see by ``proof`` (same arguments) that it ended."""
    settings = {"tool": tool, "arguments": dict(arguments), "proof": proof}
    return Step(f"cancel {tool}", "cancellation", "cancel", settings)


def subscribe(uri: str, tool: str, arguments: Mapping[str, Any] | None = None) -> Step:
    """Subscribe to a resource and to lists, have ``tool`` change them, and wait until the update was heard."""
    settings = {"uri": uri, "tool": tool, "arguments": dict(arguments or {})}
    return Step(f"subscribe {uri}", "subscriptions", "subscribe", settings)


def task(tool: str, arguments: Mapping[str, Any]) -> Step:
    """Call a tool as a task, follow it to its end, and see the list of tasks."""
    return Step(f"task {tool}", "tasks", "task", {"tool": tool, "arguments": dict(arguments)})


def wait(file: str) -> Step:
    """Say by ``file.here`` that the client is here, and go on once ``file.go`` is there."""
    return Step("wait", "connect", "wait", {"file": file})


def lost(tool: str, arguments: Mapping[str, Any]) -> Step:
    """Have the session ended behind the client's back, see that a call fails, and call again once connected anew."""
    return Step("lost", "end", "lost", {"tool": tool, "arguments": dict(arguments)})


END = Step("end", "end", "end")
"""End the session; what a call in it gets then."""
PING = Step("ping", "ping", "ping")
