"""Literals that could never match or would throw on every call: found when the condition is loaded, not on a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from ipaddress import ip_network

import re2

from countersign.model.call import NameKind
from countersign.model.principal import PrincipalKind
from countersign.policy.conditions.functions import FunctionFailed, classify
from countersign.policy.conditions.syntax import Expr, Syntax, children, constant
from countersign.statements import StatementClass
from countersign.statements.classify import SQL_DIALECTS

_Words = Sequence[str]
_ENUMERATIONS: Mapping[tuple[str, str], tuple[str, _Words]] = {
    ("Statement", "classes"): ("class of statements", tuple(StatementClass)),
    ("Principal", "kind"): ("kind of principal", tuple(PrincipalKind)),
    ("Call", "kind"): ("kind of name", tuple(NameKind)),
}
_COMPARISONS = frozenset({"_==_", "_!=_", "@in"})


def refuse_bad_literals(syntax: Syntax) -> None:
    """Raise :class:`BadCondition` at the first literal that is not what its place needs."""
    _Walk(syntax).visit(syntax.root, {})


class _Walk:
    """Goes through the tree and knows which names of macros stand for words of a fixed list."""

    def __init__(self, syntax: Syntax) -> None:
        self._syntax = syntax

    def visit(self, node: Expr, scope: Mapping[str, tuple[str, _Words]]) -> None:
        kind = node.WhichOneof("expr_kind")
        if kind == "call_expr":
            self._check_call(node, scope)
        elif kind == "select_expr" and node.select_expr.test_only:
            self._check_has(node)
        elif kind == "comprehension_expr":
            loop = node.comprehension_expr
            words = self._words(loop.iter_range, scope)
            if words is not None:
                scope = {**scope, loop.iter_var: words}
        for child in children(node):
            self.visit(child, scope)

    def _check_call(self, node: Expr, scope: Mapping[str, tuple[str, _Words]]) -> None:
        call = node.call_expr
        operands = [*([call.target] if call.HasField("target") else []), *call.args]
        if call.function in _COMPARISONS:
            for one, other in (operands, operands[::-1]):
                words = self._words(one, scope)
                if words is not None:
                    self._check_words(other, *words)
        literal = constant(operands[-1]) if operands else None
        if literal is None:
            return
        if call.function == "matches":
            self._check_regex(operands[-1], literal)
        elif call.function == "sql":
            self._check_dialect(operands[-1], literal)
        elif call.function == "in_network":
            self._check_network(operands[-1], literal)

    def _words(self, node: Expr, scope: Mapping[str, tuple[str, _Words]]) -> tuple[str, _Words] | None:
        """What a node's value, or each of its elements, is one of."""
        kind = node.WhichOneof("expr_kind")
        if kind == "ident_expr":
            return scope.get(node.ident_expr.name)
        if kind == "select_expr":
            return _ENUMERATIONS.get((self._syntax.message_type(node.select_expr.operand), node.select_expr.field))
        if kind == "call_expr" and node.call_expr.function == "_[_]":
            return self._words(node.call_expr.args[0], scope)
        return None

    def _check_words(self, node: Expr, what: str, words: _Words) -> None:
        for element in node.list_expr.elements if node.WhichOneof("expr_kind") == "list_expr" else [node]:
            literal = constant(element)
            if literal is not None and literal not in words:
                raise self._syntax.refusal(element, f'there is no {what} "{literal}"', _one_of(literal, words))

    def _check_regex(self, node: Expr, literal: str) -> None:
        options = re2.Options()
        options.log_errors = False
        try:
            re2.compile(literal, options)
        except re2.error as error:
            why = error.args[0] if error.args else b""
            text = why.decode(errors="replace") if isinstance(why, bytes) else str(why)
            refusal = self._syntax.refusal(node, f"it is no regular expression: {text}", "write it as RE2 reads it")
        else:
            return
        raise refusal

    def _check_dialect(self, node: Expr, literal: str) -> None:
        try:
            classify("sql", "", literal)
        except FunctionFailed:
            refusal = self._syntax.refusal(node, f'there is no dialect "{literal}"', _one_of(literal, SQL_DIALECTS))
        else:
            return
        raise refusal

    def _check_network(self, node: Expr, literal: str) -> None:
        try:
            ip_network(literal)
        except ValueError:
            refusal = self._syntax.refusal(node, f'"{literal}" is no network', _network_remedy(literal))
        else:
            return
        raise refusal

    def _check_has(self, node: Expr) -> None:
        structure = self._syntax.message_type(node.select_expr.operand)
        if structure:
            what = f"has() is false for {node.select_expr.field} when it is empty or 0, though it is always there"
            raise self._syntax.refusal(node, what, "compare its value; has() is for args")


def _one_of(word: str, words: _Words) -> str:
    close = get_close_matches(word, words, n=1)
    return f'did you mean "{close[0]}"?' if close else f"use one of {', '.join(words)}"


def _network_remedy(literal: str) -> str:
    try:
        return f'did you mean "{ip_network(literal, strict=False)}"?'
    except ValueError:
        return 'write it as "10.0.0.0/8" or "2001:db8::/32"'
