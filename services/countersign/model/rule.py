"""One entry of ``rules:`` and one of ``masks:``, as gateway.yaml states them, checked but not yet compiled."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from countersign.model.opening import OpeningHours
from countersign.model.personal_data import PERSONAL_DATA
from countersign.model.principal import PrincipalKind

DETECTORS = ("secrets", *PERSONAL_DATA)
"""The names that ``masks.*.detect`` may hold; the masking room must know each of them, and no other."""


DETECTOR_SETS: dict[str, tuple[str, ...]] = {"pii": PERSONAL_DATA}
"""Names in ``masks.*.detect`` that stand for several detectors. ``pii`` is the standard set of personal data."""


VALIDATORS = (
    *("luhn", "verhoeff", "damm", "iban", "mod97", "mod11_2", "mod11_10", "mod37_2", "gtin"),
    "entropy",
)
"""The names that ``detectors.*.validate`` may hold: check digits, and how random a value looks."""


class Effect(StrEnum):
    """What a rule does with the calls that it selects."""

    ALLOW = "allow"
    DENY = "deny"
    APPROVE = "approve"
    BREAK_GLASS = "break_glass"


@dataclass(frozen=True, slots=True)
class Approvers:
    """Whom an approve rule asks: ``count`` different members of any of ``groups``, within ``within_s`` seconds.

    What they agree to runs once, or, with ``reuse_s`` over 0, as often as asked for that many seconds. ``window`` are
    the hours in which it may be asked, agreed to and run; ``None`` is always. ``note_required``: each must say why.
    """

    groups: tuple[str, ...]
    count: int = 1
    within_s: int = 900
    reuse_s: int = 0
    window: OpeningHours | None = None
    note_required: bool = False


@dataclass(frozen=True, slots=True)
class Glass:
    """What a break_glass rule allows: the caller agrees alone, and the channels that ``alert`` names are told."""

    alert: tuple[str, ...]
    within_s: int = 900
    reuse_s: int = 0


@dataclass(frozen=True, slots=True)
class Selector:
    """Which calls a rule is about: every field that is not ``None`` must match; entries are globs (``*``, ``?``).

    ``tools``, ``prompts`` and ``resources`` name what may be called; a rule that gives any of them selects only calls
    of those kinds. ``methods`` are JSON-RPC methods. ``groups`` matches when the principal is in any of them;
    ``["*"]`` means every verified principal. ``principals`` are globs of subjects; ``kinds`` are those of principals;
    ``actors`` are globs of who acts for the subject now, which selects no call of a subject by itself.
    """

    groups: tuple[str, ...] | None = None
    targets: tuple[str, ...] | None = None
    methods: tuple[str, ...] | None = None
    tools: tuple[str, ...] | None = None
    prompts: tuple[str, ...] | None = None
    resources: tuple[str, ...] | None = None
    principals: tuple[str, ...] | None = None
    kinds: tuple[PrincipalKind, ...] | None = None
    actors: tuple[str, ...] | None = None


Scalar = str | int | float | bool | None
"""A JSON value that is no object and no array."""


@dataclass(frozen=True, slots=True)
class ArgConstraint:
    """What one argument of a call must be: all that is given must hold.

    ``path`` is a key, or keys joined by dots (``filter.region``). ``one_of`` and ``none_of`` list values; ``at_least``
    and ``at_most`` bound a number (inclusive); ``glob`` is matched with the whole of a string; ``max_length`` counts
    the code points of a string or the elements of an array. ``present`` says whether the argument must be there at all.
    An argument of another type than the constraint can judge makes the rule throw.
    """

    path: str
    one_of: tuple[Scalar, ...] | None = None
    none_of: tuple[Scalar, ...] | None = None
    at_least: int | float | None = None
    at_most: int | float | None = None
    glob: str | None = None
    max_length: int | None = None
    present: bool | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A named rule: it selects a call when its selector, all ``args`` and the CEL expression ``when`` do.

    ``masks`` are names under ``masks:``; ``message`` is shown to a caller whom the rule denies. A ``shadow`` rule is on
    trial: it takes part in the shadow decision only. ``unmask_for`` are globs of the tools that get the real values of
    this session's tokens when the rule allows a call of them. ``by`` is given for ``APPROVE`` only, ``glass`` for
    ``BREAK_GLASS`` only.
    """

    name: str
    effect: Effect
    selector: Selector
    masks: tuple[str, ...] = ()
    message: str = ""
    args: tuple[ArgConstraint, ...] = ()
    when: str = ""
    shadow: bool = False
    unmask_for: tuple[str, ...] = ()
    by: Approvers | None = None
    glass: Glass | None = None


class Window(StrEnum):
    """The sliding windows over which use is counted."""

    MINUTE = "1m"
    HOUR = "1h"
    DAY = "24h"


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most ``calls`` in any ``window`` for each principal at each target that ``selector`` names.

    Of the selector only ``groups``, ``principals``, ``kinds``, ``actors`` and ``targets`` are used.
    """

    name: str
    selector: Selector
    calls: int
    window: Window


class ReplacementKind(StrEnum):
    """What a mask puts in place of what it finds."""

    REDACT = "redact"
    """A fixed text."""
    PARTIAL = "partial"
    """The value's shape, with its last characters left."""
    HASH = "hash"
    """A keyed hash: the same value has the same one everywhere in this deployment."""
    TOKENIZE = "tokenize"
    """A token of the same shape, which the gateway can turn back within its session."""


@dataclass(frozen=True, slots=True)
class OwnDetector:
    """A detector that gateway.yaml states itself, under the ``name`` that masks have in ``detect``.

    What ``pattern`` (RE2's syntax) matches is found; of a pattern with a group ``value``, what that matches.
    ``validate`` is one of :data:`VALIDATORS`, or empty. Of the words ``near``, unless there are none, one must stand
    near the match, on its line or in its key.
    """

    name: str
    pattern: str
    label: str
    validate: str = ""
    near: tuple[str, ...] = ()


NAMES_IN_PROSE = "names_in_prose"
"""The name in ``masks.*.detect`` of the detector that needs a :class:`ProseModel`."""


@dataclass(frozen=True, slots=True)
class ProseModel:
    """The language model (spaCy) by which names are found in prose.

    ``model`` is the name of its package, or its folder. ``entities`` are the model's own labels of what to find. A text
    with more than ``max_characters`` of prose is refused.
    """

    model: str
    entities: tuple[str, ...] = ("PERSON", "PER", "GPE", "LOC", "FAC")
    max_characters: int = 20_000


@dataclass(frozen=True, slots=True)
class Mask:
    """A named set of detectors and fields, and what to put in place of what they find.

    ``fields`` select values by key in JSON: ``ssn`` the key anywhere, ``*.card`` and ``customer.*.card`` the end of a
    path of keys (array positions do not count; ``*`` is one whole key). ``replace`` is the text that ``REDACT`` puts
    there, and may hold ``{label}``.
    """

    name: str
    detectors: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    replace: str = "[{label}]"
    how: ReplacementKind = ReplacementKind.REDACT
