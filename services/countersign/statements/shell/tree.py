"""From the syntax tree of a script to a verdict: which commands it holds, how they are joined, where output goes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tree_sitter import Node

from countersign.statements.combine import combine
from countersign.statements.names import names
from countersign.statements.shell.command import FETCHES, READS, RUNS, UNTOLD, Command, verdict
from countersign.statements.shell.dispatch import judge_command
from countersign.statements.shell.errors import UnreadError
from countersign.statements.shell.paths import reaches_secrets, resolve
from countersign.statements.shell.readers import NAMERS, PASSING, SHOWS_VARIABLE, quiet
from countersign.statements.shell.redirects import file_redirect, here, substitutions
from countersign.statements.shell.words import Word, source, variables, words
from countersign.statements.shell.wrappers import Runner, harmless_variable
from countersign.statements.verdict import READING, StatementClass, Verdict

_C = StatementClass
MOVES = verdict("it changes the folder", _C.READ)
"""Its identity marks it: what runs behind it is what counts."""

_SETS = verdict("it changes how this shell runs", _C.SESSION_CONTROL)
_PLAIN_TEST = re.compile(
    r"""\[\[?\s+(?:!\s+)?(?:-[fdeLhrwxszn]\s+)?(?:"[\w./~-]*"|'[\w./~-]*'|"?\$\w+"?|[\w./~-]+)"""
    r"""(?:\s+(?:==?|!=)\s+(?:"[\w./~-]*"|'[\w./~-]*'|"?\$\w+"?|[\w./~-]+))?\s+\]\]?"""
)
_SEQUENCES = names(
    """program list subshell do_group if_statement elif_clause else_clause negated_command case_item
    compound_statement"""
)
_LOOP_VALUES_MAX = 16
_WHOLE = re.compile(r"[\w./:@%+,=~*?\[\]-]+")
"""A value that stays one word where its variable is not quoted; whether it is a pattern is seen where it is used."""

_PLAIN_NAME = re.compile(
    r"(?!\w*_proxy$|npm_|(?:f|cd|man|mail|module_)?path$|(?:prompt|argv|status|histchars|watch|term|user|home|shell)$)"
    r"[a-z][a-z0-9_]*"
)
"""No program and no shell, the Z shell and its like included, goes by a variable of such a name."""

_READS_LINES = re.compile(r"while (?:IFS=\S* )?read (?:-r )?((?:[a-z_]\w*\s*)+);")


@dataclass(slots=True)
class Scope:
    """What is known where a command stands."""

    runner: Runner
    depth: int = 0
    known: Mapping[str, str | None] = field(default_factory=dict)
    """The script's own variables: what a loop gives them, ``None`` for what is read."""
    folder: str = ""
    source: str | None = None


def judge(node: Node, scope: Scope) -> Verdict:
    """Say what a part of a script does. Raises :class:`UnreadError` for a construct that is not read."""
    kind = node.type
    if kind == "command":
        return _command(node, scope, ())
    if kind == "pipeline":
        return _pipeline(node, scope)
    if kind == "redirected_statement":
        return _redirected(node, scope)
    if kind in _SEQUENCES:
        return _sequence(node, scope)
    if kind == "test_command":
        return READS if _PLAIN_TEST.fullmatch(source(node)) else RUNS
    if kind in ("declaration_command", "unset_command", "variable_assignment", "variable_assignments"):
        return _assignment(node, scope)
    if kind == "for_statement":
        return _for(node, scope)
    if kind == "while_statement":
        return _while(node, scope)
    if kind == "case_statement":
        return _case(node, scope)
    if kind == "function_definition":
        return RUNS
    raise UnreadError("a construct that is not read")


def _sequence(node: Node, scope: Scope) -> Verdict:
    if node.type == "compound_statement" and node.children[0].type == "((":
        return RUNS
    inner = scope if node.type != "subshell" else replace(scope)
    parts: list[Verdict] = []
    for child in node.children:
        if child.type == ";;" and node.type != "case_item":
            raise UnreadError("a case's end outside a case")
        if child.is_named and child.type != "comment" and not _is_pattern(node, child):
            parts.append(judge(child, inner))
    defines = any(child.type == "function_definition" for child in node.children)
    kept = [part for part in parts if part is not MOVES and not (defines and part.only_reads)]
    return combine(kept) if kept else READS


def _is_pattern(node: Node, child: Node) -> bool:
    if "$" in source(child) or "`" in source(child):
        return False
    return node.type == "case_item" and child.type in ("word", "extglob_pattern", "string", "raw_string", "number")


def _pipeline(node: Node, scope: Scope) -> Verdict:
    stages = [child for child in node.children if child.is_named and child.type != "comment"]
    judged: list[Verdict] = []
    before = scope.source
    for stage in stages:
        judged.append(judge(stage, Scope(scope.runner, scope.depth, scope.known, scope.folder, before)))
        before = _source(before, stage, scope)
    return flow(judged)


def flow(judged: Sequence[Verdict]) -> Verdict:
    """Combine commands whose output goes into each other: what is read leaves only where the last one gives it out."""
    grave = [each for each in judged if not each.only_reads]
    if not grave:
        return READS
    if any(_C.CODE_EXECUTION in each.classes for each in grave[1:] or grave):
        grave = [each for each in grave if each is not FETCHES] or grave
    whole = combine(grave)
    if not judged[-1].classes & READING:
        return replace(whole, classes=(whole.classes - READING) or whole.classes)
    return whole


def _source(before: str | None, stage: Node, scope: Scope) -> str:
    """Return the command whose output goes on, ``?`` when it could name files that hold credentials."""
    named = _name_of(stage)
    passing = NAMERS if before is None else PASSING
    if before == "?" or named not in passing or _reaches(stage, scope):
        return "?"
    return before or named


def _reaches(stage: Node, scope: Scope) -> bool:
    """Say whether what this stage names could be credentials."""
    texts = re.split(r"[\s'\"=]+", source(stage))
    return reaches_secrets((text for text in texts if text and not text.startswith("-")), scope.folder)


def _name_of(stage: Node) -> str:
    named = stage.child_by_field_name("name")
    return source(named) if named is not None else "?"


def _redirected(node: Node, scope: Scope) -> Verdict:
    redirects = [child for child in node.children if child.type.endswith("_redirect")]
    bodies = [child for child in node.children if child.is_named and child not in redirects and child.type != "comment"]
    if len(bodies) > 1:
        raise UnreadError("a construct that is not read")
    if not bodies:
        parts, _ = _redirects(redirects, scope)
        return combine(parts) if parts else READS
    body = bodies[0]
    if body.type == "command":
        return _command(body, scope, redirects)
    parts, quiet = _redirects(redirects, scope)
    return _with_redirects(judge(body, scope), parts, quiet)


def _with_redirects(judged: Verdict, parts: list[Verdict], quiet: bool) -> Verdict:
    if not parts:
        return judged
    if judged.only_reads and (quiet or any(_C.FILE_ACCESS in part.classes for part in parts)):
        return combine(parts)
    return combine([judged, *parts])


def _redirects(nodes: Sequence[Node], scope: Scope) -> tuple[list[Verdict], bool]:
    """Return what the redirections do, and whether one of them takes the output away from whoever asked."""
    parts: list[Verdict] = []
    quiet = False
    for node in nodes:
        inner: list[Node] = []
        if node.type == "file_redirect":
            classes, away = file_redirect(node, scope.known, scope.folder, inner)
            quiet = quiet or away
            if classes:
                parts.append(verdict("it redirects to or from a file", *classes))
        else:
            if here(node, scope.known, inner):
                parts.append(SHOWS_VARIABLE)
        parts.extend(each for each in _inner(inner, scope) if not each.only_reads)
    return parts, quiet


def _inner(nodes: Sequence[Node], scope: Scope) -> list[Verdict]:
    """Judge what stands in substitutions."""
    judged: list[Verdict] = []
    for node in nodes:
        for child in node.named_children:
            if child.type == "file_redirect":
                parts, _ = _redirects([child], scope)
                judged.extend(parts)
            elif child.type != "comment":
                judged.append(judge(child, replace(scope, source=None)))
    return judged


def _command(node: Node, scope: Scope, redirects: Sequence[Node]) -> Verdict:
    scope.runner.budget.spend()
    inner: list[Node] = []
    found: list[Word] = []
    own: list[Node] = list(redirects)
    settings: list[str] = []
    end = -1
    for child in node.children:
        if child.start_byte == end and not child.type.endswith("_redirect"):
            raise UnreadError("words that touch each other")
        end = child.end_byte
        if child.type == "variable_assignment":
            settings.append(source(child))
            substitutions(child, inner)
        elif child.type.endswith("_redirect"):
            own.append(child)
        elif child.type in ("$", "=", "==", "=~", "!=", "(", ")"):
            raise UnreadError("a word that is not read")
        elif child.is_named and child.type != "comment":
            found.extend(words(child, scope.known, inner))
    parts, quiet = _redirects(own, scope)
    if not found or found[0].text is None or found[0].glob or not found[0].text.isascii():
        judged = UNTOLD
    elif not all(harmless_variable(each) for each in settings) and not (
        found[0].text == "read" and all(each.startswith("IFS=") for each in settings)
    ):
        judged = flow([_named(found, scope), RUNS])
    else:
        judged = _named(found, scope)
    held = [each for each in _inner(inner, scope) if not each.only_reads]
    if _C.CODE_EXECUTION in judged.classes:
        held = [each for each in held if each is not FETCHES]
    whole = combine(held if held and judged.only_reads else [judged, *held])
    return _with_redirects(whole, parts, quiet)


def _named(found: list[Word], scope: Scope) -> Verdict:
    name = found[0].text or ""
    if name == "cd":
        return _change_folder(found[1:], scope)
    return judge_command(Command(name, tuple(found[1:]), scope.folder, scope.source, scope.depth), scope.runner)


def _change_folder(targets: Sequence[Word], scope: Scope) -> Verdict:
    texts = [word.text for word in targets if word.text not in ("-P", "-L", "--")]
    target = texts[0] if texts else "~"
    if len(texts) > 1 or target is None or target == "-" or any(word.glob for word in targets):
        return _SETS
    scope.folder = resolve(target or ".", scope.folder)
    return MOVES


def _assignment(node: Node, scope: Scope) -> Verdict:
    inner: list[Node] = []
    substitutions(node, inner)
    held = [each for each in _inner(inner, scope) if not each.only_reads]
    if node.type in ("variable_assignment", "variable_assignments") and _own(node, scope):
        return combine(held) if held else MOVES
    if inner or "[" in source(node):
        held.append(UNTOLD)
    return combine([_SETS, *held])


def _own(node: Node, scope: Scope) -> bool:
    """Take variables that mean nothing to any program, and get no credential, for the script's own."""
    parts = [node] if node.type == "variable_assignment" else node.named_children
    for part in parts:
        name = part.child_by_field_name("name")
        value = part.child_by_field_name("value")
        if part.type != "variable_assignment" or name is None or (value is not None and value.type == "array"):
            return False
        if not _PLAIN_NAME.fullmatch(source(name)):
            return False
        if not all(each == source(name) or each in scope.known or quiet(each) for each in variables(part)):
            return False
    for part in parts:
        scope.known = {**scope.known, source(part.child_by_field_name("name") or part): None}
    return True


def _for(node: Node, scope: Scope) -> Verdict:
    variable = node.child_by_field_name("variable")
    body = node.child_by_field_name("body")
    if variable is None or body is None:
        raise UnreadError("a loop that is not read")
    inner: list[Node] = []
    values: list[Word] = []
    for child in node.children_by_field_name("value"):
        values.extend(words(child, scope.known, inner))
    held = _inner(inner, scope)
    name = source(variable)
    told = [word.text for word in values if word.text is not None and _WHOLE.fullmatch(word.text)]
    if inner or len(values) > _LOOP_VALUES_MAX or len(told) != len(values) or _sets(body, name):
        others = {each: text for each, text in scope.known.items() if each != name}
        return combine([judge(body, replace(scope, known=others)), *held])
    judged = [judge(body, replace(scope, known={**scope.known, name: text})) for text in told]
    return combine(judged) if judged else judge(body, scope)


def _sets(node: Node, name: str) -> bool:
    """Say whether a part of a script gives the variable another value."""
    pending = [node]
    while pending:
        each = pending.pop()
        named = each.child_by_field_name("variable" if each.type == "for_statement" else "name")
        if each.type == "command" and named is not None and source(named) == "read":
            if re.search(rf"\b{name}\b", source(each)):
                return True
        elif each.type in ("variable_assignment", "for_statement") and named is not None and source(named) == name:
            return True
        pending.extend(each.named_children)
    return False


def _while(node: Node, scope: Scope) -> Verdict:
    read = _READS_LINES.match(source(node))
    if read is not None:
        # What they hold came in by a pipe or a redirection, which is judged there.
        scope = replace(scope, known={**scope.known, **dict.fromkeys(read[1].split())})
    parts = [judge(child, scope) for child in node.children if child.is_named and child.type != "comment"]
    whole = combine(parts)
    if source(node).split()[1].rstrip(";") in ("true", ":", "false", "[", "[[", "((1))"):
        return replace(whole, classes=(whole.classes - READING) | {_C.SESSION_CONTROL}, reason="it could run for ever")
    return whole


def _case(node: Node, scope: Scope) -> Verdict:
    inner: list[Node] = []
    parts: list[Verdict] = []
    for child in node.named_children:
        if child.type == "case_item":
            parts.append(judge(child, replace(scope)))
        elif child.type != "comment":
            words(child, scope.known, inner)
    return combine([*parts, *_inner(inner, scope)]) if parts else RUNS
