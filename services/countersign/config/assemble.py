"""From the file's shape to what the services use: names, references, URLs, masks and credentials, all checked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path as FilePath
from types import MappingProxyType

from countersign.config import (
    approvals,
    detectors,
    identity,
    masks,
    portal,
    prose,
    rates,
    recording,
    screening,
    secrets,
    stdio,
    target_credentials,
    targets,
    urls,
)
from countersign.config.credentials import Credentials
from countersign.config.document import Node, Path
from countersign.config.names import Names
from countersign.config.problem import Problems
from countersign.config.rules import Known, Rules
from countersign.config.shape import File, TargetShape
from countersign.config.shape_stdio import StdioShape
from countersign.config.shaped import Shaped
from countersign.config.target_credentials import TargetCredentials
from countersign.config.types import Approvals, Candidate, GatewayConfig, Limits, Portal, Secret, SecretUse, Target
from countersign.config.types_stdio import ADDRESS, Stdio
from countersign.model.rule import Mask, Rule
from countersign.screening import Screening


class Assembly:
    """One pass over a file of right shape; what is wrong with it goes to ``problems``."""

    def __init__(
        self, root: Node, folder: FilePath, env: Mapping[str, str], reads: Collection[SecretUse], problems: Problems
    ) -> None:
        self._root = root
        self._folder = folder
        self._problems = problems
        self._credentials = Credentials(root, folder, env, reads, problems)
        self._shown = TargetCredentials(self._credentials, {})
        self._screening = Screening()

    def config(self, shaped: Shaped, version: str, candidate: Candidate | None) -> GatewayConfig:
        """The whole configuration; to be used only if ``problems`` stayed empty."""
        file, declared = shaped.file, shaped.declared
        self._shown = TargetCredentials(self._credentials, file.secret_stores)
        self._shown.check_stores()
        self._screening = screening.read(file.screening, self._root, self._problems, Screening())
        url = self._url(("gateway", "url"), file.gateway.url, urls.gateway)
        names = Names()
        own = detectors.read(file.detectors, self._root, self._problems)
        made = masks.read(file.masks, declared.detectors, self._root, self._problems)
        known = {name: made.get(name) for name in declared.masks}
        indexed = list(zip(declared.rules, file.rules, strict=False))  # none where a stand-in took the rules' place
        known_here = Known(declared.targets, known, declared.channels)
        rules = Rules(self._root, known_here, names, self._problems).check(indexed)
        if declared.all_rules and not any(
            (shape.allow or shape.approve) and shape.mode != "shadow" for shape in file.rules
        ):
            what, remedy = "no rule allows anything: every call would be denied", "add a rule with `allow`"
            self._problems.add(self._root.key_place(("rules",)), what, remedy)
        limits = list(zip(declared.rate_limits, file.rate_limits, strict=True))
        section = identity.Section(self._root, self._folder, f"{url}/portal", self._problems)
        section.check_sign_ins(file.identity, _sign_ins(file))
        who = section.read(file.identity)
        return GatewayConfig(
            version=version,
            url=url,
            issuers=who.issuers,
            machines=who.machines,
            revocation=who.revocation,
            targets=MappingProxyType(
                {name: self._target(name, shape, url, known) for name, shape in file.targets.items()}
            ),
            rules=rules,
            masks=MappingProxyType(made),
            detectors=MappingProxyType(own),
            prose=prose.read(file.ner, file.masks, self._folder, self._root, self._problems),
            rate_limits=rates.check(limits, self._root, declared.targets, names, self._problems),
            candidate=candidate,
            auditors=self._groups("auditors", file.auditors.groups if file.auditors else (), "the record"),
            operators=self._groups("operators", file.operators.groups if file.operators else (), "the tools"),
            postgres_dsn=self._postgres(file),
            limits=Limits(**file.limits.model_dump()),
            otlp_endpoint=self._url(("telemetry", "otlp"), file.telemetry.otlp, urls.otlp) if file.telemetry else None,
            approvals=self._approvals(shaped, rules),
            recording=recording.Section(self._credentials, self._folder, declared.targets).read(file.recording),
            variables=_variables(file),
            portal=self._portal(file),
            hub=file.gateway.hub,
            hosts=self._reached("hosts", file.gateway.hosts, urls.host),
            origins=self._reached("origins", file.gateway.origins, urls.page_origin),
        )

    def _reached(self, key: str, said: Sequence[str] | None, check: Callable[[str], str]) -> tuple[str, ...]:
        said = said or ()
        for index, text in enumerate(said):
            self._url(("gateway", key, index), text, check)
            if text in said[:index]:
                self._add(("gateway", key, index), "this is listed twice", "remove one")
        return tuple(said)

    def _portal(self, file: File) -> Portal | None:
        issuers = [issuer.issuer for issuer in file.identity.oidc]
        shape = file.portal
        return None if shape is None else portal.Section(self._credentials, self._folder, issuers).read(shape)

    def _approvals(self, shaped: Shaped, rules: tuple[Rule, ...]) -> Approvals:
        issuers = [issuer.issuer for issuer in shaped.file.identity.oidc]
        asked = {group for rule in rules if rule.by for group in rule.by.groups}
        known = asked if shaped.declared.all_rules else None
        return approvals.Section(self._credentials, issuers, known).read(shaped.file.approvals)

    def _add(self, path: Path, what: str, remedy: str) -> None:
        self._problems.add(self._root.find(path).place, what, remedy)

    def _url(self, path: Path, url: str, check: Callable[[str], str]) -> str:
        try:
            return check(url)
        except urls.BadUrl as error:
            self._add(path, error.what, error.remedy)
            return url

    def _target(self, name: str, shape: TargetShape, gateway: str, known: Mapping[str, Mask | None]) -> Target:
        path: Path = ("targets", name)
        targets.check_name(name, self._root.key_place(path), self._problems)
        shown = shape.credential
        url, server = self._endpoint(path, name, shape, gateway)
        says = targets.Says(shape, self._root.find(path), self._problems)
        return Target(
            name=name,
            mcp_url=url,
            stdio=server,
            credential=None if shown is None else self._shown.read((*path, "credential"), shown),
            resource=f"{gateway}/{name}/mcp",
            new_tools=says.new_tools(),
            binary=says.binary(),
            mask_request=says.mask_request(known),
            statements=says.statements(),
            screening=screening.read(shape.screening, self._root.find(path), self._problems, self._screening),
            seal_states=shape.seal_states,
        )

    def _endpoint(self, path: Path, name: str, shape: TargetShape, gateway: str) -> tuple[str, Stdio | None]:
        """The URL of the target, and the server to run where it is one of ours."""
        where: Path = (*path, "mcp")
        if isinstance(shape.mcp, StdioShape):
            if shape.credential is not None:
                what = "a server that the gateway runs takes no `credential`"
                remedy = "name what it needs under `mcp.env`, by {env: NAME} or {file: path}"
                self._add((*path, "credential"), what, remedy)
            server = stdio.StdioTargets(self._credentials).read(where, shape.mcp)
            return f"{ADDRESS}{server.path(name)}", server
        url = shape.mcp
        self._url(where, url, lambda text: urls.target(text, has_credential=shape.credential is not None))
        if _same_origin(url, gateway):
            self._add(where, "the target is the gateway itself", "name the server that is behind it")
        return url, None

    def _groups(self, key: str, groups: Collection[str], opened: str) -> tuple[str, ...]:
        for index, group in enumerate(groups):
            path: Path = (key, "groups", index)
            if "*" in group or "?" in group:
                self._add(path, f"a wildcard would open {opened} to groups yet unknown", "name each group in full")
            elif not group.isprintable() or group != group.strip():
                self._add(path, "unprintable characters, or spaces around a group", "remove them")
        return tuple(groups)

    def _postgres(self, file: File) -> Secret | None:
        path, source = ("recording", "postgres"), file.recording.postgres
        return self._credentials.read(path, source, secrets.dsn, SecretUse.POSTGRES) if source else None


def _sign_ins(file: File) -> Iterator[tuple[Path, str]]:
    """Where people sign in, each with its place."""
    if file.approvals.sign_in is not None:
        yield ("approvals", "sign_in", "issuer"), file.approvals.sign_in.issuer
    for index, shape in enumerate(file.portal.oidc if file.portal is not None else ()):
        yield ("portal", "oidc", index, "issuer"), shape.issuer


def _variables(file: File) -> Mapping[SecretUse, frozenset[str]]:
    shown = [shape.credential for shape in file.targets.values()]
    database = file.recording.postgres
    return MappingProxyType(
        {
            SecretUse.TARGETS: target_credentials.variables(shown, file.secret_stores),
            SecretUse.POSTGRES: frozenset((database.env,) if database and database.env else ()),
            SecretUse.APPROVALS: approvals.variables(file.approvals),
            SecretUse.EXPORTS: recording.variables(file.recording),
            SecretUse.PORTAL: portal.variables(file.portal),
            SecretUse.BRIDGE: stdio.variables(shape.mcp for shape in file.targets.values()),
        }
    )


def _same_origin(one: str, other: str) -> bool:
    try:
        return urls.origin(one) == urls.origin(other)
    except (ValueError, KeyError):
        return False
