"""What a condition plainly demands of the call and its caller, set against what its rule selects."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from countersign.config import selectors
from countersign.config.wording import nearest
from countersign.model.call import NameKind
from countersign.model.glob import GlobSet
from countersign.model.methods import NAMED_METHODS
from countersign.model.rule import Selector
from countersign.policy.conditions.environment import environment
from countersign.policy.conditions.syntax import Expr, Syntax, constant, walk

_EQUALITIES = frozenset({"_==_", "_!=_", "@in"})


def refuse_contradictions(text: str, selector: Selector, targets: Collection[str]) -> None:
    """Refuse a condition that compiles, but never holds for what its rule selects, or names what does not exist.

    Only what is plain to see is found: comparisons of single fields with literals, and for contradictions only those
    that are joined by ``&&``. Raises :class:`BadCondition` with the place in ``text``.
    """
    syntax = Syntax.of(environment().cel.compile(text).serialize())
    for node in walk(syntax.root):
        for name, word, literal in _compared(node):
            _refuse_unknown(syntax, literal, name, word, targets)
    demanded: dict[str, frozenset[str]] = {}
    for part in _conjuncts(syntax.root):
        compared = [] if part.call_expr.function == "_!=_" else list(_compared(part))
        if not compared:
            continue
        name, words = compared[0][0], frozenset(word for _, word, _ in compared)
        demanded[name] = demanded.get(name, words) & words
        if not demanded[name]:
            what = f"two demands on {name} exclude each other"
            raise syntax.refusal(part, what, "join them by ||, or keep one")
        if not any(_may_be(name, word, selector) for word in demanded[name]):
            what = f"the rule selects no call whose {name} is {_listed(demanded[name])}"
            raise syntax.refusal(compared[0][2], what, "mend the condition, or what the rule selects")


def _may_be(name: str, word: str, selector: Selector) -> bool:
    """Whether a field may be this word in some call that the rule selects."""
    named = {NameKind.TOOL: selector.tools, NameKind.PROMPT: selector.prompts, NameKind.RESOURCE: selector.resources}
    globs = {kind: names for kind, names in named.items() if names is not None}
    match name:
        case "principal.kind":
            return selector.kinds is None or word in tuple(selector.kinds)
        case "principal.subject":
            return _matches(selector.principals, word)
        case "target.name":
            return _matches(selector.targets, word)
        case "call.name":
            return not globs or any(_matches(names, word) for names in globs.values())
        case "call.kind":
            return not globs or word in tuple(globs)
        case "call.method":
            has_name = bool(globs.keys() & NAMED_METHODS.get(word, frozenset()))
            return (not globs or has_name) and _matches(selector.methods, word)
    return True


def _matches(globs: tuple[str, ...] | None, word: str) -> bool:
    return globs is None or GlobSet(globs).matches(word)


def _refuse_unknown(syntax: Syntax, literal: Expr, name: str, word: str, targets: Collection[str]) -> None:
    if name == "target.name" and word not in targets:
        raise syntax.refusal(literal, f'there is no target "{word}"', _meant(nearest(word, targets), targets))
    if name == "call.method" and (method := selectors.meant_method(word)):
        raise syntax.refusal(literal, f'there is no method "{word}"', _meant(method, ()))


def _meant(word: str | None, known: Collection[str]) -> str:
    return f'did you mean "{word}"?' if word else f"use one of {', '.join(sorted(known)[:10])}"


def _conjuncts(node: Expr) -> Iterator[Expr]:
    if node.WhichOneof("expr_kind") == "call_expr" and node.call_expr.function == "_&&_":
        for part in node.call_expr.args:
            yield from _conjuncts(part)
    else:
        yield node


def _compared(node: Expr) -> Iterator[tuple[str, str, Expr]]:
    """The field that a comparison is about, and each literal that it is compared with."""
    if node.WhichOneof("expr_kind") != "call_expr" or node.call_expr.function not in _EQUALITIES:
        return
    operands = list(node.call_expr.args)
    # `field in [...]` says what a field is; `literal in field` only what a list holds beside others.
    orders = [operands] if node.call_expr.function == "@in" else [operands, operands[::-1]]
    for one, other in orders:
        name = _field(one)
        if not name:
            continue
        literals = list(other.list_expr.elements) if other.WhichOneof("expr_kind") == "list_expr" else [other]
        words = [(literal, word) for literal in literals if (word := constant(literal)) is not None]
        if len(words) == len(literals):
            yield from ((name, word, literal) for literal, word in words)
        return


def _field(node: Expr) -> str:
    if node.WhichOneof("expr_kind") != "select_expr" or node.select_expr.test_only:
        return ""
    operand = node.select_expr.operand
    return f"{operand.ident_expr.name}.{node.select_expr.field}" if operand.HasField("ident_expr") else ""


def _listed(words: Collection[str]) -> str:
    return " or ".join(f'"{word}"' for word in sorted(words))
