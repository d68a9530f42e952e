"""The catalogue, loaded: its rules are compiled once for each machine and version."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import kingfisher_sdk

from countersign.catalogue.compiling import one_at_a_time


class NativeFinding(Protocol):
    """What we read of a finding of the catalogue's scanner."""

    @property
    def location(self) -> dict[str, int]:
        """Holds ``start_offset`` and ``end_offset``, in bytes."""
        ...

    @property
    def secret(self) -> str:
        """The text that was found."""
        ...

    @property
    def visible(self) -> bool:
        """Whether it is a credential, and no part that only counts beside others, such as the id of a client."""
        ...

    @property
    def rule_id(self) -> str:
        """The name of the catalogue's rule: fixed words, nothing of the text."""
        ...


class NativeScanner(Protocol):
    """What we use of the catalogue's scanner."""

    def scan(self, data: bytes) -> list[NativeFinding]:
        """Find credentials in UTF-8 text."""
        ...


_begun: dict[Path | None, Future[NativeScanner]] = {}


def load_ahead(cache_dir: Path | None) -> None:
    """Begin to load the catalogue in a thread; the next :func:`load` waits for it.

    It does not hold the interpreter, so a process that starts can import meanwhile what else it needs.
    """
    if cache_dir not in _begun:
        thread = ThreadPoolExecutor(1, "catalogue")
        _begun[cache_dir] = thread.submit(_load, cache_dir)
        thread.shutdown(wait=False)


def loaded_ahead() -> None:
    """Wait until nothing is being loaded ahead any more, and forget what could not be loaded.

    What was loaded is there for :func:`load`, also in processes that are forked from now on: each has a scanner of its
    own then, with nothing of it in use.
    """
    for cache_dir, begun in list(_begun.items()):
        if begun.exception() is not None:
            del _begun[cache_dir]


def load(cache_dir: Path | None) -> NativeScanner:
    """Load the catalogue: half a second from ``cache_dir``, five when it is compiled anew.

    What :func:`load_ahead` began, it waits for; what that raised, it raises.
    """
    begun = _begun.pop(cache_dir, None)
    return _load(cache_dir) if begun is None else begun.result()


def _load(cache_dir: Path | None) -> NativeScanner:
    with one_at_a_time(cache_dir, "kingfisher-secret-scanner"):
        rules = kingfisher_sdk.Rules(cache=cache_dir is not None, cache_dir=cache_dir)
    # Base64 texts would be found by what they hold, at offsets that are not where it stands.
    scanner: NativeScanner = kingfisher_sdk.Scanner(rules, base64=False)
    return scanner
