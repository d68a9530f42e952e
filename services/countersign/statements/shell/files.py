"""Commands on files whose words decide: removing, moving, copying blocks, searching, editing streams, archives."""

from __future__ import annotations

import re

from countersign.statements.names import names
from countersign.statements.shell.command import READS, RUNS, UNTOLD, Command, options, verdict
from countersign.statements.shell.paths import read_classes, write_classes
from countersign.statements.shell.words import Word
from countersign.statements.verdict import StatementClass, Verdict

_C = StatementClass
_DESTROYS = verdict("it removes whole folders", _C.DESTRUCTIVE_DDL, _C.MASS_WRITE)
_REMOVES_MANY = verdict("it removes as many files as match", _C.MASS_WRITE)
_REMOVES = verdict("it removes the files that are named", _C.WRITE)
_SYSTEM_FOLDERS = re.compile(r"^/(?:(?:etc|usr|var|bin|sbin|lib\w*|boot|dev|home|root|opt|srv)?/?\*?$|etc/|boot/|dev/)")


def judge_rm(command: Command) -> Verdict:
    """``rm`` and ``unlink``: one file, many, or folders."""
    given = options([word.text or "" for word in command.words])
    if {"-r", "-R", "--recursive", "--no-preserve-root"} & given.given or _abbreviates(given.given, "--recursive"):
        return _DESTROYS
    if any(word.glob or word.text is None for word in command.words) or command.source is not None:
        return _REMOVES_MANY
    if any(_SYSTEM_FOLDERS.match(text) for text in given.operands):
        return verdict("it removes what the system needs", _C.DESTRUCTIVE_DDL, _C.WRITE)
    return _REMOVES


def _abbreviates(given: frozenset[str], option: str) -> bool:
    return any(len(each) > 2 and option.startswith(each) for each in given)


def judge_mv(command: Command) -> Verdict:
    """``mv``, ``cp`` and their like: a write, graver where it lands in a place that steers the system."""
    classes = {_C.WRITE}
    if any(word.glob or word.text is None for word in command.words) and command.name == "mv":
        classes.add(_C.MASS_WRITE)
    for word in command.words[:-1]:
        classes |= read_classes(word, command.folder)
    if command.words:
        classes |= write_classes(command.words[-1], command.folder)
    return verdict("it writes files", *(classes - {_C.WRITE} if _C.MASS_WRITE in classes else classes))


def judge_chmod(command: Command) -> Verdict:
    """``chmod``: who may do what with a file."""
    given = options([word.text or "" for word in command.words]).given
    wide = bool({"-R", "--recursive"} & given)
    return verdict("it decides who may do what", _C.PRIVILEGE, *([_C.MASS_WRITE] if wide else []))


def judge_tee(command: Command) -> Verdict:
    """``tee``: a write to each operand."""
    classes: set[StatementClass] = set()
    for word in command.words:
        if word.text is None or not word.text.startswith("-"):
            classes |= write_classes(word, command.folder)
    return verdict("it writes files", *classes) if classes else READS


def judge_dd(command: Command) -> Verdict:
    """``dd``: reads ``if=``, writes ``of=``."""
    texts = command.texts
    if texts is None:
        return verdict("it copies blocks to what only a run tells", _C.DESTRUCTIVE_DDL, _C.FILE_ACCESS)
    classes: set[StatementClass] = set()
    for text in texts:
        if text.startswith("of="):
            classes |= write_classes(Word(text[3:]), command.folder)
        if text.startswith("if="):
            classes |= read_classes(Word(text[3:]), command.folder)
    if _C.DESTRUCTIVE_DDL in classes:
        return verdict("it overwrites a device", _C.DESTRUCTIVE_DDL)
    return verdict("it copies blocks", *classes) if classes else READS


_FIND_PLAIN = names(
    """-print -print0 -ls -prune -o -or -a -and -not ! ( ) , -true -false -empty -daystart -depth -mount -xdev
    -noleaf -follow -nouser -nogroup -readable -writable -executable -quit -warn -nowarn -P -L -H"""
)
_FIND_VALUED = names(
    """-name -iname -path -ipath -wholename -iwholename -regex -iregex -regextype -type -xtype -size -mtime -atime
    -ctime -mmin -amin -cmin -newer -anewer -cnewer -newermt -maxdepth -mindepth -user -group -uid -gid -perm -links
    -inum -samefile -lname -ilname -fstype -used -printf -O0 -D"""
)
_EXECS_MAX = 8
_FIND_RUNS = frozenset({"-exec", "-execdir", "-ok", "-okdir"})


def judge_find(command: Command) -> tuple[Verdict, list[tuple[Word, ...]]]:
    """``find``: its own classes, and the commands that it would run for each file (``{}`` left in them)."""
    texts = command.texts
    if texts is None:
        return UNTOLD, []
    classes: set[StatementClass] = set()
    runs: list[tuple[Word, ...]] = []
    index = 0
    while index < len(texts):
        text = texts[index]
        if text in _FIND_RUNS:
            end = next((at for at in range(index, len(texts)) if texts[at] in (";", "+")), None)
            if end is None:
                return RUNS, []
            runs.append(command.words[index + 1 : end])
            if len(runs) > _EXECS_MAX:
                return RUNS, []
            index = end + 1
            continue
        if text in ("-fprint", "-fprint0", "-fls", "-fprintf"):
            classes.add(_C.WRITE)
            index += 3 if text == "-fprintf" else 2
            continue
        if text == "-delete":
            classes |= {_C.DESTRUCTIVE_DDL, _C.MASS_WRITE}
        elif text in _FIND_VALUED:
            index += 1
        elif text.startswith("-") and text not in _FIND_PLAIN:
            return RUNS, []
        elif text not in _FIND_PLAIN:
            classes |= read_classes(command.words[index], command.folder)
        index += 1
    own = verdict("it removes, writes or looks at guarded files", *classes) if classes else READS
    return own, runs


_SED_OPTIONS = names("-n -e -E -r -s -u -z -i --quiet --silent --regexp-extended --posix")
_AT = r"(?:\d+|\$|/[^/\\\n]*/)"
_SED_PRINTS = re.compile(rf"(?:{_AT}(?:,{_AT})?!?)?[pdqQ=](?: *; *(?:{_AT}(?:,{_AT})?!?)?[pdqQ=])* *;?")
_PART = r"(?:(?!\1)[^\\\n]|\\[^\n])*"
_SED_REPLACES = re.compile(rf"s([/|#,:@]){_PART}\1{_PART}\1[gpiI\d]*;?")


def judge_sed(command: Command) -> Verdict:
    """``sed``: reads, unless ``-i`` or a script that is more than printing, deleting and replacing."""
    texts = command.texts
    if texts is None:
        return UNTOLD
    given = options(texts, "el")
    if not given.given <= _SED_OPTIONS:
        if any(option.startswith(("--in-place", "-i")) for option in given.given):
            return verdict("it rewrites files", _C.WRITE)
        return RUNS
    scripts = [texts[at + 1] for at, text in enumerate(texts[:-1]) if re.fullmatch(r"-[nErsuz]*e", text)]
    if not scripts:
        scripts, files = list(given.operands[:1]), given.operands[1:]
    else:
        files = given.operands
    if not scripts or not all(_SED_PRINTS.fullmatch(each) or _SED_REPLACES.fullmatch(each) for each in scripts):
        return RUNS
    if "-i" in given.given:
        return verdict("it rewrites files", _C.WRITE)
    return _reading(command, files)


_PROGRAM_MAX = 1000
_AWK_RUNS = re.compile(r"system|getline|[^|]\|(?!\|)|ENVIRON|PROCINFO|ARGV|@|print[^\0]*>", re.IGNORECASE)
"""Runs a program, reads or writes other files; behind the first ``print``, ``>`` writes."""


def judge_awk(command: Command) -> Verdict:
    """``awk``: reads, when its program calls nothing and redirects nothing."""
    texts = command.texts
    if texts is None:
        return UNTOLD
    given = options(texts, "Fv")
    if not given.given <= {"-F", "-v"} or not given.operands or len(given.operands[0]) > _PROGRAM_MAX:
        return RUNS
    if _AWK_RUNS.search(given.operands[0].replace("||", "")):
        return RUNS
    return _reading(command, given.operands[1:])


def _reading(command: Command, files: tuple[str, ...]) -> Verdict:
    classes: set[StatementClass] = set()
    for word in command.words:
        if word.text in files:
            classes |= read_classes(word, command.folder)
    return verdict("it reads guarded files", *classes) if classes else READS


def judge_tar(command: Command) -> Verdict:
    """``tar``: lists, else writes; ``--to-command``, ``--checkpoint-action``, ``-I`` and their like run programs."""
    texts = command.texts
    if texts is None:
        return UNTOLD
    if texts and not texts[0].startswith("-"):
        texts = ["-" + texts[0], *texts[1:]]
    given = options(texts, "fCTX").given
    plain = names(
        "-t -x -c -z -j -J -v -f -C -p -k -O -T -X --list --extract --create --gzip --file --directory --verbose"
    )
    if not given <= plain | names("--exclude --strip-components --wildcards --get --zstd --xz --bzip2"):
        return RUNS
    classes: set[StatementClass] = set()
    for word in command.words:
        classes |= read_classes(word, command.folder)
    to_output = "-f" in given and "-" in texts and not {"-x", "--extract", "--get"} & given
    if {"-t", "--list"} & given or to_output:
        return verdict("it reads guarded files", *classes) if classes else READS
    return verdict("it writes files", _C.WRITE, *classes)


_ZIP_SHOWS = names("-l -v -Z -p -c")
_SHOWS = names("-c --stdout --to-stdout -l --list -t --test")
_HOW = names("-d -k -q -v -f --decompress --keep --quiet --verbose")


def judge_packer(command: Command) -> Verdict:
    """``gzip``, ``xz``, ``unzip`` and their like: read when they list or write to the standard output."""
    texts = command.texts
    if texts is None:
        return UNTOLD
    given = options(texts)
    shows = _ZIP_SHOWS if command.name == "unzip" else _SHOWS
    if not shows & given.given or not given.given <= shows | _HOW:
        return verdict("it writes files", _C.WRITE)
    return _reading(command, given.operands)
