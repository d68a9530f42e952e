"""From a shell script to a verdict."""

from __future__ import annotations

import re

import tree_sitter_bash
from tree_sitter import Language, Parser

from countersign.statements.shell.clients import ClassifySql
from countersign.statements.shell.command import Command
from countersign.statements.shell.dispatch import judge_command
from countersign.statements.shell.errors import UnreadError
from countersign.statements.shell.foreign import check_names, spell
from countersign.statements.shell.gaps import check_gaps
from countersign.statements.shell.tree import Scope, judge
from countersign.statements.shell.wrappers import Budget, Runner
from countersign.statements.verdict import Verdict, unparsable

SIZE_MAX = 8 * 1024
"""Characters; a longer text is not looked at."""

_DEPTH_MAX = 6
_NODES_MAX = 2500
_PARSER = Parser(Language(tree_sitter_bash.language()))
_UNSEEN = re.compile(
    r"[\0-\x08\x0b-\x1f\x7f\x85\xa0\u1680\u2000-\u200f\u2028-\u202f\u205f-\u2064\u3000\ufeff\ud800-\udfff]"
)
"""Control characters, blanks that the shell takes for letters, and what cannot be seen."""


_JOINED = re.compile(r"[^ \t]\\\n")
"""The shell joins such lines into one word, a parser might not."""


def classify_shell(text: str, sql: ClassifySql | None = None) -> Verdict:
    """Say what a script for a POSIX shell or Bash does.

    ``sql`` judges what is handed to database clients (``psql -c``); without it such a call is ``code_execution``.

    Never raises. Unparsable: syntax errors, constructs that are not read, control characters and blanks that look like
    others, no command, more than 8 KiB. ``row_bound`` is always ``None``: what a command prints has no rows.
    """
    return _script(text, sql, 0)


def _script(text: str, sql: ClassifySql | None, depth: int) -> Verdict:
    if len(text) > SIZE_MAX or depth > _DEPTH_MAX:
        return unparsable("too long, or nested too deeply")
    if "\\\n" in text and _JOINED.search(text):
        return unparsable("a line that goes on in the middle of a word")
    if _UNSEEN.search(text):
        return unparsable("a character that does not show what it is")

    def script(inner: str, below: int) -> Verdict:
        return _script(inner, sql, max(below, depth + 1))

    def command(inner: Command) -> Verdict:
        return judge_command(inner, runner)

    runner = Runner(command, script, sql, Budget())
    try:
        parsed = spell(text).encode()
        root = _PARSER.parse(parsed).root_node
        if root.has_error or not any(child.is_named and child.type != "comment" for child in root.children):
            return unparsable("not the syntax of a shell, or no command")
        if root.descendant_count > _NODES_MAX:
            return unparsable("too many parts")
        if "\\" in text or "#" in text:
            check_gaps(root, parsed)
        if not text.isascii():
            check_names(root)
        return judge(root, Scope(runner, depth))
    except UnreadError as error:
        return unparsable(str(error))
    except Exception:
        return unparsable("the classifier failed")
