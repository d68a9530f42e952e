"""A call as a command line describes it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from countersign.cli.access import USAGE, stop
from countersign.cli.policy.questions import Question
from countersign.config import GatewayConfig
from countersign.model.call import Call, NameKind
from countersign.model.principal import Principal, PrincipalKind
from countersign.model.situation import Situation, Usage
from countersign.rehearsal.calls import Arguments, BadCall, make_call, read_arguments, set_argument, write_json
from countersign.rehearsal.cases import NOT_VERIFIED, is_address
from countersign.rehearsal.moments import NoMoment, read_moment

_ARGUMENTS_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Described:
    """The options that describe a call, as they were given; empty where they were not."""

    subject: str
    groups: Sequence[str]
    kind: PrincipalKind
    actors: Sequence[str]
    issuer: str
    target: str
    method: str
    tool: str
    prompt: str
    resource: str
    arg: Sequence[str]
    args_json: str
    at: str
    address: str
    usage: Sequence[str]

    def __bool__(self) -> bool:
        """Whether any of them was given (a kind always is)."""
        return any(getattr(self, field.name) for field in fields(self) if field.name != "kind")

    def question(self, loaded: GatewayConfig, now_us: int) -> Question:
        """Return what is asked.

        Raises:
            typer.Exit: with USAGE, after saying what is missing or wrong.
        """
        if not self.subject or not self.target:
            raise stop("who calls what? give --as and --target, or --event for a recorded call", USAGE)
        situation = Situation(_moment(self.at, now_us), _address(self.address), _usage(self.usage))
        return Question(self._principal(loaded), self._call(loaded), situation)

    def _principal(self, loaded: GatewayConfig) -> Principal:
        issuers = [one.issuer for one in loaded.issuers]
        if self.issuer and self.issuer not in issuers:
            raise stop(f"the file takes no tokens of {self.issuer}: it has {', '.join(issuers)}", USAGE)
        named = tuple(name.strip() for given in self.groups for name in given.split(",") if name.strip())
        kind = PrincipalKind.AGENT if self.actors else self.kind
        return Principal(self.issuer or issuers[0], self.subject, named, kind, NOT_VERIFIED, tuple(self.actors))

    def _call(self, loaded: GatewayConfig) -> Call:
        if self.target not in loaded.targets:
            raise stop(f"the file has no target {self.target!r}: it has {', '.join(sorted(loaded.targets))}", USAGE)
        names = {NameKind.TOOL: self.tool, NameKind.PROMPT: self.prompt, NameKind.RESOURCE: self.resource}
        given = [(kind, name) for kind, name in names.items() if name]
        if len(given) > 1:
            raise stop("a call names one thing: give one of --tool, --prompt and --resource", USAGE)
        kind, name = given[0] if given else (NameKind.NONE, "")
        try:
            return make_call(self.target, self.method, kind, name, self._arguments())
        except BadCall as bad:
            raise stop(str(bad), USAGE) from None

    def _arguments(self) -> str:
        if self.arg and self.args_json:
            raise BadCall("the arguments are given twice", "keep one of --arg and --args-json")
        if self.args_json:
            return read_arguments(_read(self.args_json))
        arguments: Arguments = {}
        for one in self.arg:
            name, equals, text = one.partition("=")
            if not equals:
                raise BadCall(f"--arg {one!r} has no value", "write NAME=VALUE")
            set_argument(arguments, name, text)
        return write_json(arguments) if arguments else ""


def _read(file: str) -> str:
    try:
        data = sys.stdin.buffer.read(_ARGUMENTS_BYTES) if file == "-" else Path(file).read_bytes()
        return data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise stop(f"--args-json {file} cannot be read: {type(error).__name__}", USAGE) from None


def _moment(at: str, now_us: int) -> int:
    try:
        return read_moment(at) if at else now_us
    except NoMoment as error:
        raise stop(f"--at {at!r} is not a time: {error}", USAGE) from None


def _address(text: str) -> str:
    if text and not is_address(text):
        raise stop(f"--from {text!r} is no IP address: write for example 192.0.2.7", USAGE)
    return text


def _usage(given: Sequence[str]) -> Usage:
    known = [field.name for field in fields(Usage)]
    counts: dict[str, int] = {}
    for one in given:
        name, _, number = one.partition("=")
        if name not in known or not (number.isascii() and number.isdigit()):
            raise stop(f"--usage {one!r} is no use: write NAME=NUMBER, with one of {', '.join(known)}", USAGE)
        counts[name] = int(number)
    return Usage(**counts)
