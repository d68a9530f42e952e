"""The section ``identity:``: what would load but not protect, or never take a token, is refused in its place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath

from countersign.config import urls, worldwide
from countersign.config.document import Node, Path
from countersign.config.durations import Bounds
from countersign.config.problem import Problems
from countersign.config.selectors import is_wild
from countersign.config.shape_identity import ALGORITHMS, MACHINE_NAME, IdentityShape, MachineShape, OidcShape
from countersign.config.types_identity import Claims, Issuer, Machine, Revoking
from countersign.config.wording import nearest
from countersign.model.glob import Glob

CLOCK_SKEW = Bounds("0s", "120s")
UNKNOWN_AFTER = Bounds("1s", "60s", whole=False)

_ROOT: Path = ("identity",)
# Microsoft's own guidance on claims: these change hands, and guests bring theirs along.
_CHOSEN = frozenset({"email", "preferred_username", "upn", "unique_name", "name"})


@dataclass(frozen=True, slots=True)
class Identity:
    """The section as the services use it."""

    issuers: tuple[Issuer, ...]
    machines: tuple[Machine, ...]
    revocation: Revoking


@dataclass(frozen=True, slots=True)
class Section:
    """Reads the section. ``folder`` is that of gateway.yaml; ``own_issuer`` is what the gateway's own tokens name."""

    root: Node
    folder: FilePath
    own_issuer: str
    out: Problems

    def read(self, shape: IdentityShape) -> Identity:
        """The section; to be used only if nothing was added to the problems."""
        machines = tuple(self._machine(name, each, shape) for name, each in (shape.machines or {}).items())
        self._check_apart(machines)
        issuers = self._issuers(shape.oidc, machines)
        at = self.root.find((*_ROOT, "revocation", "unknown_after"))
        unknown_after_s = UNKNOWN_AFTER.read(shape.revocation.unknown_after, at, self.out)
        return Identity(issuers, machines, Revoking(unknown_after_s))

    def check_sign_ins(self, shape: IdentityShape, sign_ins: Iterable[tuple[Path, str]]) -> None:
        """Refuse that people sign in, by what stands at these paths, at an issuer of which only machines are taken."""
        machines = {each.issuer for each in shape.oidc if each.only_machines}
        for path, issuer in sign_ins:
            if issuer in machines:
                what = "nobody could sign in there, for only machines are taken of this issuer"
                self._add(path, what, "name another one, or remove its `only_machines`")

    def _issuers(self, shapes: Sequence[OidcShape], machines: Sequence[Machine]) -> tuple[Issuer, ...]:
        read: list[Issuer] = []
        seen: set[str] = set()
        for index, shape in enumerate(shapes):
            path: Path = (*_ROOT, "oidc", index)
            issuer = self._issuer(path, shape)
            same = shape.issuer.rstrip("/").casefold()
            if same in seen:
                self._add((*path, "issuer"), "this issuer stands here twice", "keep one entry for each issuer")
            if same == self.own_issuer:
                self._add(
                    (*path, "issuer"), "this is the gateway's own portal", "remove it: its tokens are taken anyway"
                )
            seen.add(same)
            self._check_whose(path, issuer, [each for each in machines if each.issuer == issuer.issuer])
            read.append(issuer)
        return tuple(read)

    def _issuer(self, path: Path, shape: OidcShape) -> Issuer:
        try:
            urls.issuer(shape.issuer)
        except urls.BadUrl as error:
            self._add((*path, "issuer"), error.what, error.remedy)
        for key, text in (("groups", shape.groups), ("subject", shape.subject), ("keys_file", shape.keys_file or "x")):
            self._check_plain((*path, key), text)
        if shape.subject in _CHOSEN and worldwide.is_entra(shape.issuer):
            what = f"`{shape.subject}` is what somebody chose: Entra ID does not vouch for it"
            self._add((*path, "subject"), what, "use `oid`, or leave it at `sub`")
        for position, audience in enumerate(shape.audiences or ()):
            self._check_plain((*path, "audiences", position), audience)
        for position, algorithm in enumerate(shape.algorithms or ()):
            self._check_algorithm((*path, "algorithms", position), algorithm)
        if shape.id_tokens and not shape.audiences:
            what = "ID tokens are for clients of the issuer, never for the URL of a target"
            self._add((*path, "id_tokens"), what, "say under `audiences` for which clients")
        if shape.id_tokens and shape.only_machines:
            self._add((*path, "id_tokens"), "machines sign in without ID tokens", "remove `id_tokens`")
        return Issuer(
            issuer=shape.issuer,
            groups_claim=shape.groups,
            audiences=tuple(shape.audiences or ()),
            subject_claim=shape.subject,
            algorithms=tuple(dict.fromkeys(shape.algorithms or ())),
            clock_skew_s=int(CLOCK_SKEW.read(shape.clock_skew, self.root.find((*path, "clock_skew")), self.out)),
            required=self._claims((*path, "required"), shape.required or {}),
            keys_file=str(self.folder / shape.keys_file) if shape.keys_file else "",
            only_machines=shape.only_machines,
            id_tokens=shape.id_tokens,
        )

    def _check_algorithm(self, path: Path, algorithm: str) -> None:
        if algorithm in ALGORITHMS:
            return
        if algorithm.upper().startswith("HS"):
            what = f"with `{algorithm}`, whoever can verify a token can also forge one"
        elif algorithm.lower() == "none":
            what = "a token without a signature proves nothing"
        else:
            what = f"there is no algorithm `{algorithm}`"
        self._add(path, what, f"use some of {', '.join(ALGORITHMS)}")

    def _check_whose(self, path: Path, issuer: Issuer, machines: Sequence[Machine]) -> None:
        """Refuse an issuer that gives tokens to the whole world, unless it is said whose are meant."""
        if worldwide.names_no_tenant(issuer.issuer):
            what = "no token names this issuer: many tenants sign in there"
            self._add(
                (*path, "issuer"),
                what,
                "write your tenant's own, such as https://login.microsoftonline.com/TENANT-ID/v2.0",
            )
            return
        if issuer.only_machines and not machines:
            what = "no token of this issuer is taken, for no machine is of it"
            self._add((*path, "only_machines"), what, "add one under `machines`, or remove `only_machines`")
        world = worldwide.of(issuer.issuer)
        if world is None or world.tied(issuer.required):
            return
        if not issuer.only_machines:
            what = "this issuer gives tokens to the whole world, and all of them would be taken"
            remedy = f"say under `required` whose are meant, such as {{{world.example}}}, or add `only_machines: true`"
            self._add((*path, "issuer"), what, remedy)
        for machine in machines:
            if issuer.only_machines and not world.tied(machine.claims):
                what = f"anybody could be `{machine.name}`, for its issuer gives tokens to the whole world"
                remedy = f"add a claim that says whose it is, without wildcards up to there, such as {world.example}"
                self._add((*_ROOT, "machines", machine.name, "claims"), what, remedy)

    def _machine(self, name: str, shape: MachineShape, section: IdentityShape) -> Machine:
        path: Path = (*_ROOT, "machines", name)
        if not re.fullmatch(MACHINE_NAME, name):
            remedy = "use up to 63 letters, digits, dots, hyphens and underscores, the first a letter or digit"
            self.out.add(self.root.key_place(path), f"`{name}` is no usable name of a machine", remedy)
        issuers = [each.issuer for each in section.oidc]
        if shape.issuer not in issuers:
            meant = nearest(shape.issuer, issuers)
            remedy = f"did you mean {meant}?" if meant else "name one of them, or add it there"
            self._add((*path, "issuer"), "this is none of the issuers under `identity.oidc`", remedy)
        claims = self._claims((*path, "claims"), shape.claims)
        if all(any(not entry.strip("*?") for entry in entries) for entries in claims.values()):
            what = f"every token could be `{name}`, for its claims are wildcards only"
            self._add((*path, "claims"), what, "say what one of them must be")
        for position, group in enumerate(shape.groups or ()):
            self._check_plain((*path, "groups", position), group)
            if is_wild(group):
                self._add(
                    (*path, "groups", position), "a machine is in groups, not in globs of them", "name each in full"
                )
        return Machine(name, shape.issuer, claims, tuple(dict.fromkeys(shape.groups or ())))

    def _check_apart(self, machines: Sequence[Machine]) -> None:
        """Refuse an entry all of whose tokens fit another one as well: each of them would be refused."""
        for position, machine in enumerate(machines):
            for other_position, other in enumerate(machines):
                if other.issuer != machine.issuer or position == other_position:
                    continue
                same = _implies(other.claims, machine.claims)
                # Of two that say the same, the later one is told.
                if _implies(machine.claims, other.claims) and not (same and position < other_position):
                    what = f"every token that fits `{machine.name}` fits `{other.name}`, too, and so would be refused"
                    remedy = "let them differ in a claim, such as `ref`"
                    self.out.add(self.root.key_place((*_ROOT, "machines", machine.name)), what, remedy)
                    break

    def _claims(self, path: Path, stated: Mapping[str, Sequence[str]]) -> Claims:
        for claim, entries in stated.items():
            if not claim.isprintable() or claim != claim.strip():
                place = self.root.key_place((*path, claim))
                self.out.add(place, "unprintable characters, or spaces around, in a claim's name", "remove them")
            for position, entry in enumerate(entries):
                self._check_plain((*path, claim, position), entry)
        return {claim: tuple(dict.fromkeys(entries)) for claim, entries in stated.items()}

    def _check_plain(self, path: Path, text: str) -> None:
        if not text.isprintable() or text != text.strip():
            key = next(step for step in reversed(path) if isinstance(step, str))
            self._add(path, f"unprintable characters, or spaces around, in `{key}`", "remove them")

    def _add(self, path: Path, what: str, remedy: str) -> None:
        self.out.add(self.root.find(path).place, what, remedy)


def _implies(narrow: Claims, wide: Claims) -> bool:
    """Whether what fits ``narrow`` plainly fits ``wide``. May say no where that is hard to see."""
    return all(
        claim in narrow and all(any(_within(entry, glob) for glob in entries) for entry in narrow[claim])
        for claim, entries in wide.items()
    )


def _within(entry: str, glob: str) -> bool:
    return entry == glob or not glob.strip("*") or (not is_wild(entry) and Glob(glob).matches(entry))
