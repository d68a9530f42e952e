"""Commands that run other commands: as someone else, elsewhere, for every word, or from a text.

Source: the manuals of sudo, coreutils, findutils and bash.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from countersign.statements.combine import combine
from countersign.statements.names import names
from countersign.statements.shell.clients import CLIENTS, ClassifySql, judge_client
from countersign.statements.shell.command import READS, RUNS, UNTOLD, Command, verdict
from countersign.statements.shell.errors import UnreadError
from countersign.statements.shell.files import judge_find
from countersign.statements.shell.paths import is_closed, reaches_secrets
from countersign.statements.shell.readers import READERS, judge_reader, names_files
from countersign.statements.shell.words import Word
from countersign.statements.verdict import READING, StatementClass, Verdict

_C = StatementClass
_DEPTH_MAX = 8


class Budget:
    """How many commands are judged of one text, those counted often that loops or wrappers repeat."""

    COMMANDS_MAX = 300

    def __init__(self) -> None:
        self._left = self.COMMANDS_MAX

    def spend(self) -> None:
        """Count one command. Raises :class:`UnreadError` when it is one too many."""
        self._left -= 1
        if self._left < 0:
            raise UnreadError("too many commands")


@dataclass(frozen=True, slots=True)
class Runner:
    """How a command that holds another has that one judged."""

    command: Callable[[Command], Verdict]
    script: Callable[[str, int], Verdict]
    sql: ClassifySql | None
    budget: Budget


_ELEVATED = verdict("it runs as someone else", _C.PRIVILEGE)
_ASSIGNMENT = re.compile(r"^[A-Za-z_]\w*=")
_OWN_OPTIONS: dict[str, tuple[str, frozenset[str]]] = {
    "sudo": ("ugpCThRD", names("--user --group --host --prompt --chdir")),
    "doas": ("uC", frozenset()),
    "nice": ("n", names("--adjustment")),
    "timeout": ("ks", names("--kill-after --signal")),
    "stdbuf": ("ioe", names("--input --output --error")),
    "xargs": ("IindLPsaE", names("--max-args --max-procs --delimiter --replace --max-lines --arg-file")),
    "env": ("uCS", names("--unset --chdir --split-string")),
    "time": ("fo", names("--format --output")),
    "watch": ("n", names("--interval")),
}
_WRAPPERS = names("sudo doas nohup time nice timeout stdbuf setsid command xargs env chroot unshare nsenter watch")
_SHELLS = names("bash sh zsh dash ksh ash rbash su")
WRAPPERS = _WRAPPERS | _SHELLS | CLIENTS | {"find"}


def judge_wrapper(command: Command, runner: Runner) -> Verdict:
    """Say what a command of :data:`WRAPPERS` does, with what it runs."""
    if command.depth > _DEPTH_MAX:
        return RUNS
    if command.name == "find":
        return _find(command, runner)
    if command.name in _SHELLS:
        return _shell(command, runner)
    if command.name in CLIENTS:
        return judge_client(command, runner.sql)
    return _wrapped(command, runner)


def _wrapped(command: Command, runner: Runner) -> Verdict:
    name = command.name
    rest = _behind_options(command)
    if rest is None:
        return RUNS
    if (name == "time" and any(word.text not in ("-p", "--") for word in _options_of(command, rest))) or _renames(
        command
    ):
        return RUNS
    if name in ("timeout", "chroot"):
        rest = rest[1:]
    if name in ("env", "sudo"):
        while rest and rest[0].text is not None and _ASSIGNMENT.match(rest[0].text):
            if not rest[0].text.startswith(_HARMLESS_VARIABLES):
                return RUNS
            rest = rest[1:]
    if name == "command" and {word.text for word in command.words[:1]} & {"-v", "-V"}:
        return READS
    inner = command.inner(rest)
    elevates = name in ("sudo", "doas", "chroot", "unshare", "nsenter")
    if inner is None:
        if name == "env" and not rest:
            return judge_reader(command)
        return _ELEVATED if elevates and not rest else UNTOLD
    if name == "xargs":
        words = tuple(Word(None) if word.text == "{}" else word for word in rest[1:])
        if "{}" in inner.name or any("{}" in (word.text or "") for word in words):
            return UNTOLD
        return _for_each(inner, (*words, Word(None)), runner)
    if name == "watch":
        return combine([runner.command(inner), verdict("it runs again and again", _C.SESSION_CONTROL)])
    judged = runner.command(inner)
    return combine([_ELEVATED, judged]) if elevates else judged


def _options_of(command: Command, rest: tuple[Word, ...]) -> tuple[Word, ...]:
    return command.words[: len(command.words) - len(rest)]


def _renames(command: Command) -> bool:
    """Say whether xargs is told another mark than ``{}`` for its input, which could stand for a command's name."""
    if command.name != "xargs":
        return False
    texts = [word.text or "" for word in command.words]
    marks = [text[2:] or after for text, after in zip(texts, [*texts[1:], ""], strict=True) if text.startswith("-I")]
    marks += [text.partition("=")[2] for text in texts if text.startswith("--replace=")]
    return any(mark != "{}" for mark in marks) or any(re.match(r"-i.|--rep(?!lace)", text) for text in texts)


_HARMLESS_VARIABLES = (
    *("LANG=", "LC_", "TZ=", "COLUMNS=", "NO_COLOR=", "TERM=", "CI=", "DEBIAN_FRONTEND="),
    *("PGHOST=", "PGPORT=", "PGUSER=", "PGPASSWORD=", "PGDATABASE=", "MYSQL_PWD=", "SQLCMDPASSWORD="),
)


def harmless_variable(assignment: str) -> bool:
    """Say whether a variable set for one command changes only how its output looks, or which database it asks."""
    return assignment.startswith(_HARMLESS_VARIABLES)


def _behind_options(command: Command) -> tuple[Word, ...] | None:
    valued, valued_long = _OWN_OPTIONS.get(command.name, ("", frozenset[str]()))
    words = command.words
    index = 0
    while index < len(words):
        text = words[index].text
        if text is None or not text.startswith("-") or text == "-":
            break
        index += 1
        if text == "--":
            break
        if text in ("-S", "-a", "-e", "-i", "-s", "--split-string", "--arg-file") and command.name in ("env", "sudo"):
            return None
        if command.name == "xargs" and text.startswith(("-a", "--arg")):
            return None
        if text in valued_long or (len(text) == 2 and text[1] in valued and command.name + text != "xargs-i"):
            index += 1
    return words[index:]


def _for_each(inner: Command, words: tuple[Word, ...], runner: Runner) -> Verdict:
    """Judge a command that gets file names at the place of its last word, or of ``{}``."""
    if inner.name in READERS and names_files(inner.source) and not is_closed(".", inner.folder):
        stand_in = tuple(Word("./each") if word.text is None else word for word in words)
        return judge_reader(Command(inner.name, stand_in, inner.folder))
    if inner.name in ("rm", "unlink", "shred", "mv", "chmod", "chown"):
        return runner.command(Command(inner.name, words, inner.folder, inner.source or "xargs", inner.depth))
    judged = runner.command(Command(inner.name, words, inner.folder, inner.source, inner.depth))
    return judged if not judged.only_reads else UNTOLD


def _find(command: Command, runner: Runner) -> Verdict:
    own, runs = judge_find(command)
    judged = [own]
    for words in runs:
        inner = Command("find", words, command.folder, "find", command.depth).inner(words)
        if inner is None:
            return UNTOLD
        held = tuple(Word(None) if word.text == "{}" else word for word in inner.words)
        if any("{}" in (word.text or "") for word in held):
            return UNTOLD
        texts = [word.text or "" for word in command.words]
        searched = [text for text in texts if not text.startswith("-") and text not in [word.text for word in words]]
        if inner.name in READERS and reaches_secrets(searched, command.folder):
            judged.append(verdict("it reads what a search finds where credentials are", _C.FILE_ACCESS))
        judged.append(_for_each(inner, held, runner))
    grave = [each for each in judged if not each.only_reads]
    return combine(grave) if grave else READS


def _shell(command: Command, runner: Runner) -> Verdict:
    elevated = [_ELEVATED] if command.name == "su" else []
    for index, word in enumerate(command.words[:-1]):
        if word.text is not None and re.fullmatch(r"-[a-z]*c", word.text):
            text = command.words[index + 1].text
            if text is None:
                return combine([RUNS, *elevated])
            judged = runner.script(text, command.depth + 1)
            return _without_reading([RUNS, judged, *elevated])
    if [word.text for word in command.words] in (["--version"], ["--help"]):
        return READS
    return combine([RUNS, *elevated])


def _without_reading(verdicts: list[Verdict]) -> Verdict:
    """Combine; what only reads adds nothing to what runs code, and what is not understood is code that runs."""
    kept = [each for each in verdicts if not each.only_reads]
    whole = combine(kept)
    classes = whole.classes - READING - {_C.UNPARSABLE}
    return Verdict(classes, whole.reads, whole.writes, None, RUNS.reason)
