"""Commands that only read, and with which options they do.

Source: the manuals of GNU coreutils, findutils, procps-ng, util-linux and iproute2, and of each other program named
here. Where every option was found to be harmless, ``OPEN`` says so; else an option that does not stand in the table is
taken for one that runs or writes something.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from countersign.statements.names import names
from countersign.statements.shell.command import READS, RUNS, UNTOLD, Command, options, verdict
from countersign.statements.shell.paths import is_closed, read_classes
from countersign.statements.verdict import StatementClass, Verdict

_C = StatementClass


@dataclass(frozen=True, slots=True)
class Reader:
    """A reading command: letters of its short options (``+`` behind one that takes a value), and its long options."""

    shorts: str | None = None
    """``None``: any."""
    longs: frozenset[str] = frozenset()
    operands_max: int | None = None
    """More operands than this would be written to, or set something."""
    skipped: int = 0
    """So many operands are no files (a pattern, a program)."""

    @property
    def valued(self) -> str:
        """The letters of the short options that take a value."""
        return _valued(self.shorts or "")

    def permits(self, given: frozenset[str]) -> bool:
        """Say whether each option stands in the table; long ones in full, for a shortened one could be another."""
        shorts = self.shorts or ""
        return all(option in self.longs if option.startswith("--") else option[1] in shorts for option in given)


@cache
def _valued(shorts: str) -> str:
    return "".join(shorts[index - 1] for index, letter in enumerate(shorts) if letter == "+")


OPEN = Reader()

_OPEN_FILES = names(
    """ls dir vdir cat head wc du stat tac nl cut paste join comm cmp fold fmt expand unexpand od hexdump strings cksum
    sum md5sum sha1sum sha224sum sha256sum sha384sum sha512sum b2sum base64 base32 readlink realpath basename dirname
    zcat bzcat xzcat zstdcat column rev tail namei lsattr getfacl getcap diff colordiff exa eza"""
)
_OPEN_SYSTEM = names(
    """pwd ps df uname whoami id groups users who w uptime free nproc arch lscpu lsblk lsusb lspci lsmod lsipc lsns
    vmstat iostat mpstat pidof pgrep pstree tty logname getconf locale hostid printf echo true false test [ : seq expr
    numfmt factor which whereis type cal tput nproc last lastlog findmnt blkid netstat pmap getent help
    whatis apropos lsof less more lslogins"""
)

READERS: dict[str, Reader] = {
    **dict.fromkeys(_OPEN_FILES | _OPEN_SYSTEM, OPEN),
    **dict.fromkeys(
        ("grep", "egrep", "fgrep", "zgrep"),
        Reader(
            "EFGPivwxcLloqshnHbzZaIrRUTy0123456789A+B+C+m+e+d+D+f+",
            names(
                """--extended-regexp --fixed-strings --basic-regexp --perl-regexp --ignore-case --invert-match
                --word-regexp --line-regexp --count --color --colour --files-with-matches --files-without-match
                --only-matching --quiet --silent --no-messages --line-number --with-filename --no-filename --byte-offset
                --null --text --binary-files --recursive --dereference-recursive --include --exclude --exclude-dir
                --after-context --before-context --context --max-count --regexp --line-buffered --help --version
                --exclude-from"""
            ),
            skipped=1,
        ),
    ),
    "rg": Reader(
        "ivwxclonNHIsSuUFPLaA+B+C+m+e+g+t+T+M+j+d+0p",
        names(
            """--ignore-case --smart-case --case-sensitive --invert-match --word-regexp --line-regexp --count
            --count-matches --files-with-matches --files-without-match --only-matching --line-number --no-line-number
            --with-filename --no-filename --hidden --no-ignore --glob --iglob --type --type-not --type-list --files
            --max-count --max-depth --max-columns --context --after-context --before-context --regexp --fixed-strings
            --pcre2 --multiline --json --stats --color --no-heading --heading --sort --follow --text --version --help"""
        ),
        skipped=1,
    ),
    "fd": Reader(
        "HIsigaLlp0Fhc+e+t+d+E+S+",
        names("--hidden --no-ignore --extension --type --max-depth --exclude --glob --size --color --absolute-path"),
        skipped=1,
    ),
    "bat": Reader("npAl+r+H+", names("--number --plain --style --language --line-range --color --highlight-line")),
    "zipinfo": Reader("12smlvhtTz"),
    "sort": Reader(
        "bdfgihMnRrVcCmsuzk+t+S+",
        names(
            """--ignore-leading-blanks --dictionary-order --ignore-case --general-numeric-sort --human-numeric-sort
            --month-sort --numeric-sort --random-sort --reverse --version-sort --check --key --field-separator --merge
            --stable --unique --zero-terminated --buffer-size --parallel --help --version"""
        ),
    ),
    "uniq": Reader(
        "cdDiuzf+s+w+", names("--count --repeated --ignore-case --unique --skip-fields --help"), operands_max=1
    ),
    "tr": Reader("cCdst", names("--complement --delete --squeeze-repeats --truncate-set1")),
    "shuf": Reader("eizrn+i+", names("--echo --input-range --head-count --repeat --zero-terminated")),
    "xxd": Reader("abeiupEc+g+l+s+o+", operands_max=1),
    "tree": Reader(
        "adfliqNQpsuhgDFCLrtcUvJXP+I+L+", names("--noreport --dirsfirst --du --prune --gitignore --charset")
    ),
    "jq": Reader(
        "cnrejsSCMaRh",
        names(
            """--compact-output --raw-output --raw-input --slurp --null-input --exit-status --sort-keys --color-output
            --monochrome-output --ascii-output --tab --indent --arg --argjson --join-output"""
        ),
        skipped=1,
    ),
    "yq": Reader("rejMPN", names("--output-format --input-format --no-colors --raw-output"), skipped=1),
    "date": Reader("uRd+I+r+f+", names("--utc --rfc-3339 --iso-8601 --date --rfc-email --reference --universal"), 1),
    "hostname": Reader("fsidIA", names("--fqdn --short --ip-address --all-ip-addresses --domain"), operands_max=0),
    "dmesg": Reader("HTtkxLrul+f+", names("--human --ctime --level --facility --kernel --decode"), operands_max=0),
    "ss": Reader("natuplsemorix46xwHO", names("--tcp --udp --listening --numeric --processes --all --summary")),
    "journalctl": Reader(
        "axrkqebo+n+u+p+S+U+t+",
        names(
            "--no-pager --unit --since --until --lines --priority --output --boot --reverse --grep --list-boots --user"
        ),
    ),
    "top": Reader("bcHin+d+p+u+o+w+", operands_max=0),
    "mount": Reader("lt+", operands_max=0),
    "env": Reader("0", names("--null"), operands_max=0),
    "printenv": OPEN,
    "man": Reader("fk"),
    "file": Reader("biLhkNrsz0", names("--mime --mime-type --mime-encoding --brief --dereference")),
    "cloc": Reader("", names("--json --csv --quiet --by-file")),
    "loginctl": Reader("", names("--no-pager")),
}
"""Reading commands by name."""

NAMERS = frozenset({"find", "ls", "grep", "rg", "git", "fd", "locate", "seq"})
"""Commands whose output, piped into xargs, is taken for file names."""

PASSING = names("sort uniq head tail grep egrep fgrep")
"""Commands that pass on lines that they are given, as they are."""

_SAYS = frozenset({"echo", "printf", "true", "false", ":", "test", "[", "seq", "expr", "basename", "dirname"})
"""They open none of what they are given."""


def judge_reader(command: Command) -> Verdict:
    """Say what a command of the table does with these words."""
    reader = READERS[command.name]
    texts = command.texts
    if command.name in _SAYS:
        return _said(command)
    if texts is None:
        return UNTOLD
    given = options(texts, reader.valued)
    if reader.shorts is not None and not reader.permits(given.given):
        return _OTHERWISE.get(command.name, RUNS) if _writes(texts) else RUNS
    if command.name in ("less", "more") and any(text.startswith(("+", "-")) for text in texts):
        return RUNS
    operands = given.operands
    if reader.operands_max is not None and len(operands) > reader.operands_max:
        return verdict("it writes or sets its last operand", _C.WRITE)
    if command.name == "date" and any(not text.startswith("+") for text in operands):
        return verdict("it sets the clock", _C.SESSION_CONTROL)
    if command.name == "printenv" and operands and all(quiet(name) for name in operands):
        return READS
    if command.name in ("env", "printenv", "lslogins", "lastlog") or _getent_secret(command.name, texts):
        return verdict("it shows credentials or what others do", _C.PRIVILEGE, _C.READ)
    if command.name in ("jq", "yq") and any("load" in text for text in texts):
        return RUNS
    if command.name == "jq" and any("import" in text or "include" in text for text in texts):
        return RUNS
    if command.name in ("jq", "yq") and any(
        "env" in text or "ENV" in text or "input_filename" in text for text in texts
    ):
        return verdict("it shows the environment", _C.PRIVILEGE, _C.READ)
    return _of_files(command, reader, operands, texts)


_OTHERWISE = {
    "sort": verdict("it writes a file", _C.WRITE),
    "date": verdict("it sets the clock", _C.SESSION_CONTROL),
}


def _writes(texts: list[str]) -> bool:
    return any(text.startswith(("-o", "--output=", "-s", "--set=")) for text in texts)


def _getent_secret(name: str, texts: list[str]) -> bool:
    return name == "getent" and any(text in ("shadow", "gshadow") for text in texts)


_RECURSIVE = re.compile(r"-[a-zA-Z]*[rR]|--(?:dereference-)?recursive")
_SEARCHERS = names("grep egrep fgrep zgrep rg")


def _of_files(command: Command, reader: Reader, operands: tuple[str, ...], texts: list[str]) -> Verdict:
    classes: set[StatementClass] = set()
    patterned = reader.skipped and any(re.match(r"-[a-zA-Z]*[ef]|--regexp|--file", text) for text in texts)
    skipped = [] if patterned else list(operands[: reader.skipped])
    if command.name in _SEARCHERS and (command.name == "rg" or any(_RECURSIVE.match(text) for text in texts)):
        folders = operands[len(skipped) :] or (".",)
        if any(is_closed(folder, command.folder) for folder in folders):
            classes.add(_C.FILE_ACCESS)
    for word in command.words:
        text = word.text or ""
        if text in skipped:
            skipped.remove(text)
            continue
        classes |= read_classes(word, command.folder)
        if text.startswith("-") and "=" in text:
            classes |= read_classes(type(word)(text.partition("=")[2]), command.folder)
        elif text.startswith("-") and not text.startswith("--"):
            classes |= read_classes(type(word)(text[2:]), command.folder)
    if not classes:
        return READS
    return verdict("it reads files that hold credentials or steer the system", *classes)


SHOWS_VARIABLE = verdict("it shows a variable that could hold a credential", _C.PRIVILEGE, _C.READ)
_TESTS = frozenset({"test", "["})
"""They evaluate the subscript of an array's name."""


def _said(command: Command) -> Verdict:
    if any("$(" in (word.text or "") or "`" in (word.text or "") for word in command.words) and command.name in _TESTS:
        return RUNS
    if command.name == "printf" and command.words and (command.words[0].text or "-").startswith("-v"):
        return verdict("it sets a variable", _C.SESSION_CONTROL)
    for word in command.words:
        if word.text is None and word.variable is not None and not quiet(word.variable):
            return SHOWS_VARIABLE
    return READS


def quiet(variable: str) -> bool:
    """Say whether a variable's value is no secret."""
    return variable in _QUIET or variable in ("?", "#", "$", "!", "-", "0")


_QUIET = names(
    "HOME PWD OLDPWD USER LOGNAME HOSTNAME SHELL LANG TERM TZ UID EUID PATH RANDOM SECONDS LINENO COLUMNS PPID"
)


def names_files(source: str | None) -> bool:
    """Say whether a command's output is a list of files, so that xargs may hand them to a reader."""
    return source in NAMERS
