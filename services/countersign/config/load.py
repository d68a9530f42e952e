"""Reading gateway.yaml: bytes, YAML, shape, meaning; every problem with its place."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path as FilePath

from pydantic import ValidationError

from countersign.config import document, files, wording
from countersign.config.assemble import Assembly, Declared
from countersign.config.document import Node, Path, Plain
from countersign.config.problem import START, Place, Problems
from countersign.config.shape import File
from countersign.config.types import ALL_SECRETS, MIB, GatewayConfig, SecretUse

FILE_LIMIT_BYTES = MIB
VERSION_DIGITS = 16

_ENTRIES = ("targets", "rules", "masks")
_STAND_IN: dict[str, Plain] = {
    "version": 1,
    "gateway": {"url": "https://gateway.invalid"},
    "identity": {"oidc": [{"issuer": "https://issuer.invalid"}]},
    "targets": {"target": {"mcp": "https://target.invalid"}},
    "rules": [{"name": "rule", "allow": {"groups": ["*"]}}],
}
"""What takes the place of a refused section, so that the rest of the file can still be checked."""


def load(path: FilePath, env: Mapping[str, str], *, reads: Collection[SecretUse] = ALL_SECRETS) -> GatewayConfig:
    """The configuration that the file states. ``env`` is where credentials named by ``env:`` are looked up.

    Credentials for other uses than ``reads`` are neither read nor demanded.


    Raises ``ConfigRefused`` with all the problems that can be found in one go, also when the file cannot be read.
    """
    return parse(read(path), path, env, reads)


def read(path: FilePath) -> bytes:
    """The file's bytes; at most ``FILE_LIMIT_BYTES``. Raises ``ConfigRefused``."""
    try:
        return files.read(path, FILE_LIMIT_BYTES).data
    except files.BadFile as error:
        problems = Problems(str(path))
        problems.add(START, str(error), "name a YAML file that the gateway may read")
        raise problems.refusal() from None


def version_of(data: bytes) -> str:
    """The policy version of a file with these bytes."""
    return hashlib.sha256(data).hexdigest()[:VERSION_DIGITS]


def parse(
    data: bytes, path: FilePath, env: Mapping[str, str], reads: Collection[SecretUse] = ALL_SECRETS
) -> GatewayConfig:
    """The configuration that these bytes state; ``path`` is for messages and for files named relatively."""
    problems = Problems(str(path))
    root = _root(data, problems)
    if root is not None:
        shaped = _shaped(root, problems)
        if shaped is not None:
            config = Assembly(root, path.parent, env, reads, problems).config(*shaped, version_of(data))
            if not problems:
                return config
    raise problems.refusal()


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


def _shaped(root: Node, problems: Problems) -> tuple[File, Declared] | None:
    """The file's shape, or that of its usable parts, so that one mistake does not hide the others."""
    plain = root.plain()
    assert isinstance(plain, dict)
    try:
        return File.model_validate(plain), _declared(plain, [])
    except ValidationError as error:
        broken = wording.explain(error, root, problems)
    if ("targets",) in broken or ("masks",) in broken:
        return None  # every name would seem to dangle
    return File.model_validate(_usable(plain, broken)), _declared(plain, broken)


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
    targets, rules, masks = (plain.get(key) for key in _ENTRIES)
    refused = {path[1] for path in broken if len(path) > 1 and path[0] == "rules"}
    indices = range(len(rules)) if isinstance(rules, list) else range(0)
    return Declared(
        targets=tuple(targets) if isinstance(targets, dict) else (),
        masks=tuple(masks) if isinstance(masks, dict) else (),
        rules=tuple(index for index in indices if index not in refused),
        all_rules=not any(path[0] == "rules" for path in broken),
    )
