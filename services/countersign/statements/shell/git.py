"""git: what each subcommand does, and the options that run programs or write.

Source: git-scm.com/docs (git 2.51). A subcommand that stands in no table could be an alias, which runs anything.
"""

from __future__ import annotations

import re

from countersign.statements.names import names
from countersign.statements.shell.command import READS, RUNS, UNTOLD, Command, verdict
from countersign.statements.shell.paths import read_classes
from countersign.statements.shell.words import Word
from countersign.statements.verdict import StatementClass, Verdict

_C = StatementClass
_GLOBAL_PLAIN = names(
    "--no-pager -P --literal-pathspecs --no-optional-locks --bare --no-replace-objects --icase-pathspecs"
)
_READ = names(
    """log show diff status blame annotate shortlog ls-files ls-tree rev-parse rev-list describe cat-file for-each-ref
    merge-base name-rev whatchanged count-objects check-ignore check-attr diff-tree diff-index diff-files show-ref
    show-branch version help var cherry range-diff grep verify-commit verify-tag fsck"""
)
_LISTS = {
    "branch": names("-a -r -v -vv -l --list --all --remotes --show-current --contains --merged --no-merged --verbose"),
    "tag": names("-l -n --list --contains --merged --points-at --sort"),
    "remote": names("-v --verbose show get-url"),
    "stash": names("list show"),
    "reflog": names("show exists"),
    "worktree": names("list"),
    "config": names("--get --get-all --list -l get list --get-regexp --show-origin --global --local --system"),
    "bisect": names("log view"),
    "submodule": names("status"),
    "notes": names("list show"),
    "sparse-checkout": names("list"),
    "bundle": names("verify list-heads"),
    "lfs": names("ls-files status"),
}
"""Subcommands that list or change, by their first word: which first words list."""

_BARE_LISTS = names("branch tag remote reflog submodule notes")
"""Those that list when nothing follows."""

_WRITE = names(
    """add commit checkout switch merge rebase cherry-pick revert pull fetch clone init mv rm restore apply am branch
    tag remote stash worktree config notes push gc prune
    repack reset clean update-index update-ref symbolic-ref read-tree
    write-tree commit-tree hash-object mktag replace sparse-checkout archive format-patch bundle bisect rerere reflog
    maintenance pack-refs lfs"""
)
_MASS = {
    "push": re.compile(r"^(?:--force\S*|--forc|-[a-z]*f[a-z]*|--mirror|--prune|--delete|-d|--all|\+.+|:.+)$"),
    "reset": re.compile(r"^--hard|^--merge|^--keep"),
    "clean": re.compile(r"^(?:-[a-z]*f[a-z]*|--force)$"),
    "checkout": re.compile(r"^(?:\.|-f|--force|--)$"),
    "restore": re.compile(r"^(?:\.|:/)$"),
    "stash": re.compile(r"^(?:clear|drop)$"),
    "reflog": re.compile(r"^(?:expire|delete)$"),
    "rm": re.compile(r"^-[a-z]*r[a-z]*$"),
    "gc": re.compile(r"^--prune"),
}
_CODE_SETTINGS = re.compile(
    r"alias\.|pager|editor|sshcommand|hookspath|fsmonitor|\.cmd|\.command|helper|filter|textconv|external|askpass|proxy"
    r"|gpg.*program|uploadpack|include|insteadof|core\.worktree|driver",
    re.IGNORECASE,
)
_UNSAFE = (
    "--ext-diff",
    "--exec",
    "--upload-pack",
    "--receive-pack",
    "--open-files-in-pager",
    "--textconv",
    "--output",
    "--no-index",
    "--contents",
    "--lost-found",
    "--web",
    "--filters",
)
"""Options that run programs, write files, or look outside the repository."""


def _is_unsafe(text: str) -> bool:
    key = text.partition("=")[0]
    return text.startswith("-O") or (len(key) > 2 and any(option.startswith(key) for option in _UNSAFE))


def judge_git(command: Command) -> Verdict:
    """Say what one git command does."""
    texts = command.texts
    if texts is None:
        return UNTOLD
    index = 0
    while index < len(texts) and texts[index].startswith("-"):
        if texts[index] == "-C":
            index += 1
        elif texts[index] in ("--version", "--help"):
            return READS
        elif texts[index] not in _GLOBAL_PLAIN:
            return RUNS
        index += 1
    if index >= len(texts):
        return READS
    verb, rest = texts[index], texts[index + 1 :]
    if verb in _READ:
        unsafe = any(_is_unsafe(text) for text in _before_paths(rest))
        return RUNS if unsafe else _secret_paths(rest)
    if verb in _LISTS and _lists(verb, rest):
        return READS
    if verb == "config" and any(_CODE_SETTINGS.search(text) for text in rest):
        return RUNS
    if verb == "ls-remote":
        return verdict("it asks another server", _C.EXPORT)
    if verb in _WRITE:
        return _writes(verb, rest)
    return RUNS


def _before_paths(rest: list[str]) -> list[str]:
    return rest[: rest.index("--")] if "--" in rest else rest


def _secret_paths(rest: list[str]) -> Verdict:
    classes: set[StatementClass] = set()
    for text in rest:
        if not text.startswith("-"):
            classes |= read_classes(Word(text.rpartition(":")[2]))
    return verdict("it shows a file that holds credentials", *classes) if classes else READS


_ASKS_FOR_LIST = names("-l --list --contains --merged --no-merged --points-at")
"""With one of these, words are patterns and commits, and no names of what is made."""

_SHAPES = ("--sort=", "--format=")


def _lists(verb: str, rest: list[str]) -> bool:
    if not rest:
        return verb in _BARE_LISTS
    listing = _LISTS[verb]
    if verb in ("branch", "tag"):
        asks = bool(_ASKS_FOR_LIST & set(rest))
        return all(text in listing or text.startswith(_SHAPES) or (asks and text[:1] != "-") for text in rest)
    if verb == "config":
        return rest[0] in listing and any(text in _READING_CONFIG for text in rest) and len(rest) <= 3
    return rest[0] in listing


_READING_CONFIG = names("--get --get-all --list -l get list --get-regexp")


_RUNNING = ("--exec", "--upload-pack", "--receive-pack", "-x", "--template", "-c", "--config")


def _writes(verb: str, rest: list[str]) -> Verdict:
    pattern = _MASS.get(verb)
    runs = any(text.startswith(_RUNNING) for text in rest)
    if runs and verb not in ("clean", "commit", "switch", "restore"):
        return RUNS
    if any(text.startswith("ext::") for text in rest) or (verb == "bisect" and rest[:1] == ["run"]):
        return RUNS
    if pattern is not None and any(pattern.match(text) for text in rest):
        return verdict("it throws away what was stored", _C.MASS_WRITE)
    return verdict("it changes the repository", _C.WRITE)
