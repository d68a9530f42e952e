"""Taking up edits of gateway.yaml while the gateway runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from countersign.config.load import Loaded, load_files, read
from countersign.config.problem import ConfigRefused
from countersign.config.types import ALL_SECRETS, GatewayConfig, SecretUse

POLL_S = 1.0
"""How often those who follow the file look at it, in seconds."""

_Files = dict[Path, bytes | None]


class ConfigWatcher:
    """Keeps the version in force.

    A refused edit never replaces what is in force. Poll it in one thread at a time; what it hands out is immutable.
    """

    def __init__(self, path: Path, env: Mapping[str, str], *, reads: Collection[SecretUse] = ALL_SECRETS) -> None:
        """Load the first version. Raises ``ConfigRefused``."""
        self._path, self._env, self._reads = path, env, reads
        self._loaded = self._load({})
        self._problem: ConfigRefused | None = None
        self._refused: _Files = {}

    @property
    def current(self) -> GatewayConfig:
        """The version in force."""
        return self._loaded.config

    @property
    def problem(self) -> ConfigRefused | None:
        """Why the newest edit is not in force; stays until the file is mended or put back."""
        return self._problem

    def poll(self, *, again: bool = False) -> GatewayConfig | None:
        """Look at the file, and at the candidate that it names; return the new configuration if one took force.

        With ``again`` it is loaded though no byte of it changed: a credential that it names did. Raises nothing of its
        own. Reads both each time (unchanged, that costs microseconds) and compares content, not times, so that renames,
        swapped links and two edits within one tick of the clock are all seen. What was refused is tried again when it
        was edited, or each time while a credential is missing. To load a file takes about a millisecond a rule.
        """
        if not again and _is_current(self._loaded.files):
            self._problem = None
            return None
        if self._problem is not None and not self._problem.elsewhere and _is_current(self._refused):
            return None
        seen: _Files = {}
        try:
            loaded = self._load(seen)
        except ConfigRefused as refused:
            self._refused = seen
            if self._problem is None or self._problem.problems != refused.problems:
                self._problem = refused  # the same object while nothing changes, so that it can be reported once
            return None
        if not _is_current(loaded.files):
            return None  # still being written: half a file may be sound and lack the denials that follow
        self._problem = None
        self._loaded = loaded
        return loaded.config

    def _load(self, seen: _Files) -> Loaded:
        """Load; ``seen`` gets what was read, also when that is refused."""

        def reader(path: Path) -> bytes:
            data = seen[path] = _content(path)
            return read(path) if data is None else data

        return load_files(self._path, self._env, self._reads, reader)


def _is_current(files: Mapping[Path, bytes | None]) -> bool:
    """Whether the files still hold what was read; ``None`` stands for one that could not be."""
    return all(_content(path) == data for path, data in files.items())


def _content(path: Path) -> bytes | None:
    try:
        return read(path)
    except ConfigRefused:
        return None
