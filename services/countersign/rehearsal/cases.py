"""Reading files of test cases: each names a call, and says what should become of it."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path as FilePath

from pydantic import ValidationError

from countersign.config import GatewayConfig, document, files, wording
from countersign.config.document import Node, Path
from countersign.config.problem import START, Place, Problems
from countersign.config.wording import nearest
from countersign.model.call import Call, NameKind
from countersign.model.decision import Outcome
from countersign.model.principal import Principal, PrincipalKind
from countersign.model.situation import Situation, Usage
from countersign.rehearsal.calls import BadCall, make_call, read_arguments
from countersign.rehearsal.moments import NoMoment, read_moment
from countersign.rehearsal.ruling import Ruling
from countersign.rehearsal.shape import CallShape, CaseShape, CasesShape

FILE_LIMIT_BYTES = 4 * 1024 * 1024
NOON = "2026-01-01T12:00:00Z"
"""When a call is made whose case does not say: always the same, so that a test says the same every day."""

NOT_VERIFIED = "rehearsal"
"""The token id of principals that stand in a file or on a command line: no token was verified, none was there."""

_OUTCOMES = {outcome.value: outcome for outcome in (Outcome.ALLOW, Outcome.DENY, Outcome.APPROVE)}


@dataclass(frozen=True, slots=True)
class Expected:
    """What should become of a call; ``None`` is not compared. Names are sorted."""

    outcome: Outcome
    rules: tuple[str, ...] | None
    masks: tuple[str, ...] | None
    glass: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One case of a file, and the line on which it begins."""

    name: str
    line: int
    principal: Principal
    call: Call
    situation: Situation
    expected: Expected


class CaseFile:
    """A file of right shape, still to be checked against a configuration.

    Raises:
        ConfigRefused: when it cannot be read or has another shape; its problems point into the file.
    """

    def __init__(self, path: FilePath) -> None:
        self._problems = Problems(str(path))
        self._root = _root(path, self._problems)
        if self._root is None:
            raise self._problems.refusal()
        try:
            self._file = CasesShape.model_validate(self._root.plain())
        except ValidationError as error:
            wording.explain(error, self._root, self._problems, CasesShape)
            raise self._problems.refusal() from None
        self.config = path.parent / self._file.config if self._file.config is not None else None

    def cases(self, config: GatewayConfig, ruling: Ruling) -> tuple[Case, ...]:
        """The cases, which name nothing that is not in ``config``, of which ``ruling`` is.

        Raises:
            ConfigRefused: when one does, or says what cannot be; its problems point into the file.
        """
        reading = _Reading(self._node, config, ruling, self._problems)
        cases = [reading.case(index, shape) for index, shape in enumerate(self._file.cases)]
        if self._problems:
            raise self._problems.refusal()
        return tuple(case for case in cases if case is not None)

    @property
    def _node(self) -> Node:
        if self._root is None:
            raise TypeError("refused files hold no cases")
        return self._root


class _Reading:
    """One pass over the cases; what is wrong with them goes to ``problems``."""

    def __init__(self, root: Node, config: GatewayConfig, ruling: Ruling, problems: Problems) -> None:
        self._root = root
        self._config = config
        self._ruling = ruling
        self._problems = problems
        self._seen: dict[str, int] = {}

    def case(self, index: int, shape: CaseShape) -> Case | None:
        """One case; ``None`` when something is wrong with it."""
        path: Path = ("cases", index)
        line = self._root.find(path).place.line
        before = len(self._problems)
        if (twin := self._seen.setdefault(shape.name, line)) != line or not shape.name.isprintable():
            what = f"the name of the case stands on line {twin} already" if twin != line else "it is not printable"
            self._add((*path, "name"), what, "give each case a name of its own")
        principal = self._principal(path, shape)
        call = self._call((*path, "call"), shape.call)
        situation = self._situation(path, shape)
        expected = self._expected((*path, "expect"), shape)
        if len(self._problems) > before or call is None:
            return None
        return Case(shape.name, line, principal, call, situation, expected)

    def _principal(self, path: Path, shape: CaseShape) -> Principal:
        given = shape.principal
        issuers = [issuer.issuer for issuer in self._config.issuers]
        if given.issuer is not None:
            self._known((*path, "principal", "issuer"), given.issuer, issuers, "issuer")
        self._known((*path, "principal", "kind"), given.kind, list(PrincipalKind), "kind of principal")
        kind = PrincipalKind(given.kind) if given.kind in list(PrincipalKind) else PrincipalKind.PERSON
        if given.actors and kind is not PrincipalKind.AGENT:
            self._add((*path, "principal", "actors"), "whoever acts for somebody is an agent", "add `kind: agent`")
        return Principal(
            *(given.issuer or issuers[0], given.subject, tuple(given.groups), kind, NOT_VERIFIED, tuple(given.actors)),
            token_subject=given.token_subject or "",
        )

    def _call(self, path: Path, shape: CallShape) -> Call | None:
        self._known((*path, "target"), shape.target, sorted(self._config.targets), "target")
        named = [(kind, name) for kind, name in _names(shape) if name is not None]
        if len(named) > 1:
            self._problems.add(self._root.key_place(path), "several things are called at once", "make it two cases")
            return None
        if shape.args is not None and shape.args_json is not None:
            self._add((*path, "args_json"), "the arguments are given twice", "keep one of `args` and `args_json`")
        kind, name = named[0] if named else (NameKind.NONE, "")
        try:
            if shape.args_json is not None:
                arguments = read_arguments(shape.args_json)
            else:
                arguments = json.dumps(shape.args, allow_nan=False) if shape.args is not None else ""
        except BadCall as bad:
            self._add((*path, "args_json"), bad.what, bad.remedy)
            return None
        except ValueError:
            self._add((*path, "args"), "infinite numbers and NaN are no JSON", "no caller can send them: remove them")
            return None
        try:
            return make_call(shape.target, shape.method or "", kind, name, arguments)
        except BadCall as bad:
            self._problems.add(self._root.key_place(path), bad.what, bad.remedy)
            return None

    def _situation(self, path: Path, shape: CaseShape) -> Situation:
        try:
            time_us = read_moment(shape.at or NOON)
        except NoMoment as error:
            self._add((*path, "at"), "this is no date and time", str(error))
            time_us = 0
        if shape.address is not None and not is_address(shape.address):
            self._add((*path, "from"), "this is no IP address", "write for example 192.0.2.7")
        return Situation(time_us, shape.address or "", Usage(**shape.usage.model_dump()))

    def _expected(self, path: Path, shape: CaseShape) -> Expected:
        given = shape.expect
        self._known((*path, "outcome"), given.outcome, list(_OUTCOMES), "outcome")
        if given.rule is not None and given.rules is not None:
            self._add((*path, "rules"), "the rules are given twice", "keep one of `rule` and `rules`")
        rules = [given.rule] if given.rule is not None else given.rules
        for index, rule in enumerate(rules or ()):
            where: Path = (*path, "rule") if given.rule is not None else (*path, "rules", index)
            self._known(where, rule, sorted(self._ruling.names), "rule or rate limit")
        for index, rule in enumerate(given.break_glass or ()):
            self._known((*path, "break_glass", index), rule, sorted(self._ruling.names), "rule")
        for index, mask in enumerate(given.masks or ()):
            self._known((*path, "masks", index), mask, sorted(self._ruling.masks), "mask")
        if given.masks and given.outcome == Outcome.DENY:
            self._add((*path, "masks"), "a denied call has no answer to mask", "remove `masks`")
        outcome = _OUTCOMES.get(given.outcome, Outcome.DENY)
        return Expected(outcome, _sorted(rules), _sorted(given.masks), _sorted(given.break_glass))

    def _known(self, path: Path, name: str, known: Collection[str], what: str) -> None:
        if name not in known:
            meant = nearest(name, known)
            remedy = f"did you mean `{meant}`?" if meant else f"use one of {', '.join(list(known)[:10]) or 'none'}"
            self._add(path, f"there is no {what} `{name}`", remedy)

    def _add(self, path: Path, what: str, remedy: str) -> None:
        self._problems.add(self._root.find(path).place, what, remedy)


def is_address(text: str) -> bool:
    """Whether the text is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _names(shape: CallShape) -> Iterator[tuple[NameKind, str | None]]:
    yield NameKind.TOOL, shape.tool
    yield NameKind.PROMPT, shape.prompt
    yield NameKind.RESOURCE, shape.resource


def _sorted(names: Collection[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(sorted(set(names)))


def _root(path: FilePath, problems: Problems) -> Node | None:
    try:
        data = files.read(path, FILE_LIMIT_BYTES).data
    except files.BadFile as error:
        problems.add(START, str(error), "name a file of test cases")
        return None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        place = Place(before.count("\n") + 1, len(before) - before.rfind("\n"))
        problems.add(place, "the file is not UTF-8", "save it as UTF-8")
        return None
    root = document.read(text, problems)
    if problems:
        return None
    if root is None:
        problems.add(START, "the file is empty", "start with `cases:`")
    elif isinstance(root.value, list):
        return Node(root.place, {"cases": root}, {"cases": root.place})
    elif not isinstance(root.value, dict):
        problems.add(root.place, f"the file holds {document.kind_of(root.value)}", "start with `cases:`")
    return None if problems else root
