"""Reading gateway.yaml: bytes, YAML, shape, meaning; every problem with its place."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath

from countersign.config import candidates, files
from countersign.config.assemble import Assembly
from countersign.config.candidates import Reader
from countersign.config.problem import START, Problems
from countersign.config.shaped import read_shape
from countersign.config.types import ALL_SECRETS, MIB, GatewayConfig, SecretUse
from countersign.config.version import version_of

FILE_LIMIT_BYTES = MIB


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration, and the bytes of every policy file that it is made of: gateway.yaml, and the candidate."""

    config: GatewayConfig
    files: Mapping[FilePath, bytes]


def load(path: FilePath, env: Mapping[str, str], *, reads: Collection[SecretUse] = ALL_SECRETS) -> GatewayConfig:
    """The configuration that the file states. ``env`` is where credentials named by ``env:`` are looked up.

    Credentials for other uses than ``reads`` are neither read nor demanded; of the candidate on trial, if the file
    names one, none are.

    Raises ``ConfigRefused`` with all the problems that can be found in one go, also when the file cannot be read.
    """
    return load_files(path, env, reads).config


def load_files(
    path: FilePath, env: Mapping[str, str], reads: Collection[SecretUse] = ALL_SECRETS, reader: Reader | None = None
) -> Loaded:
    """Like ``load``, with the bytes that were read. Raises ``ConfigRefused``."""
    reader = reader or read
    data = reader(path)
    config, files_read = _parse(data, path, env, reads, reader)
    return Loaded(config, {path: data} | files_read)


def read(path: FilePath) -> bytes:
    """The file's bytes; at most ``FILE_LIMIT_BYTES``. Raises ``ConfigRefused``."""
    try:
        return files.read(path, FILE_LIMIT_BYTES).data
    except files.BadFile as error:
        problems = Problems(str(path))
        problems.add(START, str(error), "name a YAML file that the gateway may read")
        raise problems.refusal() from None


def parse(
    data: bytes, path: FilePath, env: Mapping[str, str], reads: Collection[SecretUse] = ALL_SECRETS
) -> GatewayConfig:
    """The configuration that these bytes state; ``path`` is for messages and for files named relatively.

    Raises ``ConfigRefused``.
    """
    return _parse(data, path, env, reads, read)[0]


def _parse(
    data: bytes, path: FilePath, env: Mapping[str, str], reads: Collection[SecretUse], reader: Reader
) -> tuple[GatewayConfig, dict[FilePath, bytes]]:
    problems = Problems(str(path))
    shaped = read_shape(data, problems)
    if shaped is None:
        raise problems.refusal()
    trial = candidates.load(shaped, path.parent, reader, problems)
    version = version_of(data, trial.data if trial else None)
    assembly = Assembly(shaped.root, path.parent, env, reads, problems)
    config = assembly.config(shaped, version, trial.candidate if trial else None)
    if problems:
        raise problems.refusal()
    return config, {trial.path: trial.data} if trial else {}
