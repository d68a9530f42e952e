"""From bytes to YAML to the shape of gateway.yaml: every value has its type, and every one its place."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from pydantic import ValidationError

from countersign.config import document, wording
from countersign.config.document import Node, Path, Plain
from countersign.config.problem import START, Place, Problems
from countersign.config.shape import File

_ENTRIES = ("targets", "rules", "masks", "detectors", "rate_limits")
_STAND_IN: dict[str, Plain] = {
    "version": 1,
    "gateway": {"url": "https://gateway.invalid"},
    "identity": {"oidc": [{"issuer": "https://issuer.invalid"}]},
    "targets": {"target": {"mcp": "https://target.invalid"}},
    "rules": [{"name": "rule", "allow": {"groups": ["*"]}}],
}
"""What takes the place of a refused section, so that the rest of the file can still be checked."""


@dataclass(frozen=True, slots=True)
class Declared:
    """Names that the file declares, also those whose entries are refused, and the positions of its usable entries."""

    targets: Collection[str]
    masks: Collection[str]
    detectors: Collection[str]
    channels: Collection[str]
    rules: tuple[int, ...]
    rate_limits: tuple[int, ...]
    all_rules: bool


@dataclass(frozen=True, slots=True)
class Shaped:
    """A file of right shape, or the usable parts of one; ``root`` knows where everything stands."""

    root: Node
    file: File
    declared: Declared


def read_shape(data: bytes, problems: Problems) -> Shaped | None:
    """The file's shape, or that of its usable parts, so that one mistake does not hide the others.

    What is wrong goes to ``problems``; ``None`` when nothing of the file can be used.
    """
    root = _root(data, problems)
    if root is None:
        return None
    plain = root.plain()
    assert isinstance(plain, dict)
    try:
        return Shaped(root, File.model_validate(plain), _declared(plain, []))
    except ValidationError as error:
        broken = wording.explain(error, root, problems)
    if not {("targets",), ("masks",), ("detectors",)}.isdisjoint(broken):
        return None  # every name would seem to dangle
    return Shaped(root, File.model_validate(_usable(plain, broken)), _declared(plain, broken))


def _root(data: bytes, problems: Problems) -> Node | None:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        place = Place(before.count("\n") + 1, len(before) - before.rfind("\n"))
        problems.add(place, "the file is not UTF-8", "save it as UTF-8")
        return None
    root = document.read(text, problems)
    if root is None:
        if problems:
            return None
        problems.add(START, "the file is empty", "start with `version: 1`")
    elif not isinstance(root.value, dict):
        problems.add(root.place, f"the file holds {document.kind_of(root.value)}", "start with `version: 1`")
        return None
    return root


def _usable(plain: dict[str, Plain], broken: list[Path]) -> dict[str, Plain]:
    """The file without its broken entries, and with something sound in place of broken sections."""
    refused = {path[:2] if path[0] in _ENTRIES else path[:1] for path in broken}
    usable: dict[str, Plain] = {}
    for key, value in plain.items():
        if (key,) in refused:
            continue
        if key in _ENTRIES and isinstance(value, dict):
            usable[key] = {name: entry for name, entry in value.items() if (key, name) not in refused}
        elif key in _ENTRIES and isinstance(value, list):
            usable[key] = [entry for index, entry in enumerate(value) if (key, index) not in refused]
        else:
            usable[key] = value
    return _STAND_IN | {key: value for key, value in usable.items() if value}


def _declared(plain: dict[str, Plain], broken: list[Path]) -> Declared:
    return Declared(
        targets=_names(plain, "targets"),
        masks=_names(plain, "masks"),
        detectors=_names(plain, "detectors"),
        channels=_channels(plain),
        rules=_sound(plain, "rules", broken),
        rate_limits=_sound(plain, "rate_limits", broken),
        all_rules=not any(path[0] == "rules" for path in broken),
    )


def _names(plain: dict[str, Plain], key: str) -> tuple[str, ...]:
    entries = plain.get(key)
    return tuple(entries) if isinstance(entries, dict) else ()


def _channels(plain: dict[str, Plain]) -> tuple[str, ...]:
    approvals = plain.get("approvals")
    channels = approvals.get("channels") if isinstance(approvals, dict) else None
    entries = channels if isinstance(channels, list) else []
    names = [entry.get("name") for entry in entries if isinstance(entry, dict)]
    return tuple(name for name in names if isinstance(name, str))


def _sound(plain: dict[str, Plain], key: str, broken: list[Path]) -> tuple[int, ...]:
    """The positions of a list's entries that can be used."""
    entries, refused = plain.get(key), {path[1] for path in broken if len(path) > 1 and path[0] == key}
    if not isinstance(entries, list) or (key,) in broken:
        return ()
    return tuple(index for index in range(len(entries)) if index not in refused)
