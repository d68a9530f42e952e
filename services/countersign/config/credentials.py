"""The credentials that a file names, read if this process has a use for them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath

from countersign.config import secrets
from countersign.config.document import Node, Path
from countersign.config.problem import Problems
from countersign.config.shape_base import SecretSource
from countersign.config.types import Secret, SecretUse
from countersign.config.wording import NEVER_LITERAL


@dataclass(frozen=True, slots=True)
class Credentials:
    """Reads credentials for the uses ``reads``; what is wrong with one goes to ``out``."""

    root: Node
    folder: FilePath
    env: Mapping[str, str]
    reads: Collection[SecretUse]
    out: Problems

    def read(
        self,
        path: Path,
        source: SecretSource,
        check: Callable[[str], Secret],
        use: SecretUse,
        *,
        whole: bool = False,
    ) -> Secret | None:
        """The credential that the file names at ``path``, unread when it is for another use; ``None`` if it is bad.

        With ``whole`` it may have several lines, as keys in PEM do.
        """
        if (source.env is None) == (source.file is None):
            what = "one of `env` and `file` is needed, and not both"
            self.out.add(self.root.find(path).place, what, NEVER_LITERAL)
            return None
        if use not in self.reads:
            return Secret.unread()
        try:
            if source.env is not None:
                return check(secrets.from_env(source.env, self.env))
            return check(secrets.from_file(self.folder / str(source.file), whole=whole))
        except secrets.Unreadable as error:
            self.out.elsewhere = True
            place = self.root.find((*path, "env" if source.env is not None else "file")).place
            self.out.add(place, error.what, error.remedy)
            return None
