"""Files that are more than files: those that hold credentials, those that decide who may do what, devices.

Source: the Filesystem Hierarchy Standard 3.0, and the manuals of the programs that keep credentials in files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from posixpath import normpath

from countersign.statements.names import names
from countersign.statements.shell.words import Word
from countersign.statements.verdict import StatementClass

_C = StatementClass
_NONE: frozenset[StatementClass] = frozenset()
_FILE = frozenset({_C.FILE_ACCESS})
_SECRET = frozenset({_C.FILE_ACCESS, _C.PRIVILEGE})

_SECRETS = re.compile(
    r"""(?: ^/etc/(?:g?shadow|sudoers|security/opasswd|krb5\.keytab|ssl/private|ssh/ssh_host|master\.passwd)
    | (?:^|/)\.(?:ssh|aws|gnupg|kube|docker|azure|password-store|vault-token|netrc|pgpass|my\.cnf|npmrc|pypirc
        |git-credentials|htpasswd|mylogin\.cnf|terraformrc|s3cfg|boto)(?:/|$)
    | (?:^|/)\.config/(?:gcloud|gh|doctl|rclone)(?:/|$)
    | (?:^|/)\.env(?:\.[^/]*|rc)?$ | (?:^|/)\.[a-z_]*history$
    | (?:^|/)(?:id_(?:rsa|dsa|ecdsa|ed25519)|authorized_keys|credentials|secrets?)(?:\.[^/]*)?$
    | \.(?:pem|key|p12|pfx|jks|kdbx?|keytab|ppk|tfstate|ovpn)$
    | ^/(?:var/)?run/secrets(?:/|$) | ^/proc/(?:[^/]+/)+(?:environ|mem|maps|cmdline|fd|root|cwd)(?:/|$) | ^/proc/kcore
    | ^/root(?:/|$) | ^/var/lib/(?:mysql|postgresql|mongodb|redis|vault|kubelet|docker)(?:/|$)
    )""",
    re.VERBOSE | re.IGNORECASE,
)
_GUARDED = re.compile(r"^/(?:etc/(?:passwd|group)|dev|sys|boot|proc/sys|var/spool/cron|var/mail)(?:/|$)")
_SYSTEM = re.compile(r"^/(?:etc|usr|bin|sbin|lib\w*|boot|sys|proc|root|var/spool|var/www)(?:/|$)")
_STARTUP = re.compile(
    r"(?:^|/)(?:\.(?:bashrc|bash_profile|bash_login|profile|zshrc|zshenv|gitconfig|vimrc)|\.git/.*|crontab)$"
)
_SAMPLES = names(
    """/etc/passwd /etc/shadow /etc/gshadow /etc/sudoers ~/.ssh/id_rsa ~/.ssh/id_ed25519 ~/.aws/credentials ~/.netrc
    ~/.pgpass .env ~/.kube/config ~/.git-credentials ~/.bash_history /root/.ssh/id_rsa /proc/self/environ
    /proc/1/environ .ssh/id_rsa .aws/credentials .netrc .pgpass id_rsa server.pem server.key"""
)
_CLOSED = re.compile(
    r"^(?:/|~[^/]*|/(?:home|Users)(?:/[^/]+)?|/var|/var/(?:lib|run|spool|mail|backups)(?:/.*)?"
    r"|/(?:etc|root|proc|sys|dev|run|boot)(?:/.*)?)$"
)
"""Folders below which credentials are to be expected."""

_QUIET_DEVICES = frozenset({"/dev/null", "/dev/stdin", "/dev/stdout", "/dev/stderr", "/dev/tty", "/dev/zero"})
_QUIET_DEVICES_READ = _QUIET_DEVICES | {"/dev/urandom", "/dev/random"}


def resolve(text: str, folder: str) -> str:
    """Return a path with ``.`` and ``..`` taken out, under the folder that an earlier ``cd`` went to."""
    joined = text if text.startswith(("/", "~")) or not folder else f"{folder}/{text}"
    return re.sub(r"^//+", "/", normpath(joined)) if joined else ""


def read_classes(word: Word, folder: str = "") -> frozenset[StatementClass]:
    """Say what more it is to read this file; nothing for an ordinary one."""
    if word.text is None or not word.text:
        return _NONE
    path = resolve(word.text, folder)
    if path.startswith("../"):
        # Far enough up, it begins at the root.
        return read_classes(Word("/" + path.lstrip("./"), word.glob)) or read_classes(
            Word(path.lstrip("./"), word.glob)
        )
    if word.glob and _matches_secret(path):
        return _SECRET
    if "://" in word.text:
        return frozenset({_C.EXPORT})
    if _SECRETS.search(path):
        return _SECRET
    if path.startswith(("/dev/tcp/", "/dev/udp/")):
        return frozenset({_C.EXPORT})
    if path in _QUIET_DEVICES_READ or path.startswith("/dev/fd/") or not _GUARDED.match(path):
        return _NONE
    return _FILE


def is_closed(text: str, folder: str = "") -> bool:
    """Say whether whoever reads all that is below this folder reads credentials on the way."""
    return _CLOSED.match(resolve(text, folder)) is not None


def reaches_secrets(texts: Iterable[str], folder: str = "") -> bool:
    """Say whether a search with these words could find files that hold credentials."""
    return is_closed(".", folder) or any(
        is_closed(text, folder) or read_classes(Word(text, glob=any(mark in text for mark in "*?[")), folder)
        for text in texts
    )


def _matches_secret(pattern: str) -> bool:
    tail = pattern.rpartition("/")[2]
    if "/" not in pattern and tail.startswith(("*", "?", "[")):
        return tail.lstrip("*?") in (".pem", ".key", ".env") or ".pem" in tail or ".key" in tail
    return any(fnmatchcase(sample, pattern) or fnmatchcase(sample.lstrip("~/"), pattern) for sample in _SAMPLES)


def write_classes(word: Word, folder: str = "") -> frozenset[StatementClass]:
    """Say what it is to write to this file: nothing for a device that swallows it, more than a write for some."""
    if word.text is None:
        return frozenset({_C.WRITE, _C.FILE_ACCESS})
    path = resolve(word.text, folder)
    if path.startswith("../"):
        return write_classes(Word("/" + path.lstrip("./")))
    if path in _QUIET_DEVICES or path.startswith("/dev/fd/"):
        return _NONE
    if path.startswith(("/dev/tcp/", "/dev/udp/")):
        return frozenset({_C.EXPORT})
    if path.startswith("/dev/"):
        return frozenset({_C.DESTRUCTIVE_DDL, _C.FILE_ACCESS})
    if path.startswith(("/proc/", "/sys/")):
        return frozenset({_C.WRITE, _C.FILE_ACCESS, _C.SESSION_CONTROL})
    if _SECRETS.search(path) or _SYSTEM.match(path) or _STARTUP.search(path):
        return frozenset({_C.WRITE, _C.FILE_ACCESS, _C.PRIVILEGE})
    return frozenset({_C.WRITE})
