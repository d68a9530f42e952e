"""A checked condition as CEL's checker hands it out (``cel.expr.CheckedExpr``), and where everything in it stands."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from cel.expr import checked_pb2
from google.protobuf.any_pb2 import Any as AnyMessage

from countersign.policy.conditions.vocabulary import VOCABULARY
from countersign.policy.errors import BadCondition

Expr: TypeAlias = Any
"""A ``cel.expr.Expr``; its package comes without types."""

_VARIABLES = frozenset(variable.name for variable in VOCABULARY.variables)


@dataclass(frozen=True, slots=True)
class Syntax:
    """The tree of a condition: the variables of the vocabulary that it ``reads``, and its paths into ``args``.

    ``statements`` are the paths of arguments that it takes for statements, each with its language ("shell", or SQL's
    dialect).
    """

    root: Expr
    reads: frozenset[str]
    arguments: frozenset[tuple[str, ...]]
    statements: frozenset[tuple[tuple[str, ...], str]]
    _checked: Any

    @classmethod
    def of(cls, serialized: bytes) -> Syntax:
        """Read what ``Expression.serialize`` wrote."""
        packed = AnyMessage.FromString(serialized)
        checked = checked_pb2.CheckedExpr.FromString(packed.value)
        names = {node.ident_expr.name for node in walk(checked.expr) if node.WhichOneof("expr_kind") == "ident_expr"}
        paths = {path for node in walk(checked.expr) if (path := _path_into_args(node))}
        statements = frozenset(_statements(checked.expr, {}))
        return cls(checked.expr, frozenset(names & _VARIABLES), frozenset(paths), statements, checked)

    def message_type(self, node: Expr) -> str:
        """The structure that a node is of, by the vocabulary's name; ``""`` if it is of none."""
        full_name: str = self._checked.type_map[node.id].message_type if node.id in self._checked.type_map else ""
        return full_name.rpartition(".")[2]

    def conjunctions(self) -> list[int]:
        """Where the outermost ``&&`` stand, in code points from the start, in order."""
        positions, nodes = list[int](), [self.root]
        while nodes:
            node = nodes.pop()
            if node.WhichOneof("expr_kind") == "call_expr" and node.call_expr.function == "_&&_":
                positions.append(self._checked.source_info.positions[node.id])
                nodes.extend(node.call_expr.args)
        return sorted(positions)

    def place(self, node: Expr) -> tuple[int, int]:
        """Line and column, counted from 1, of where a node stands (CEL's own idea: of a call, its operator)."""
        info = self._checked.source_info
        offset = info.positions.get(node.id, 0)
        line = bisect_right(info.line_offsets, offset)
        return line + 1, offset - (info.line_offsets[line - 1] if line else 0) + 1

    def refusal(self, node: Expr, what: str, remedy: str) -> BadCondition:
        """Make the refusal of a node."""
        line, column = self.place(node)
        return BadCondition(line, column, what, remedy)


def walk(node: Expr) -> Iterator[Expr]:
    """Yield a node and all below it."""
    yield node
    for child in children(node):
        yield from walk(child)


def children(node: Expr) -> Iterator[Expr]:
    """Yield the nodes directly below a node, in the order of the text as far as macros keep it."""
    match node.WhichOneof("expr_kind"):
        case "select_expr":
            yield node.select_expr.operand
        case "call_expr":
            if node.call_expr.HasField("target"):
                yield node.call_expr.target
            yield from node.call_expr.args
        case "list_expr":
            yield from node.list_expr.elements
        case "struct_expr":
            for entry in node.struct_expr.entries:
                if entry.HasField("map_key"):
                    yield entry.map_key
                yield entry.value
        case "comprehension_expr":
            loop = node.comprehension_expr
            yield from (loop.iter_range, loop.accu_init, loop.loop_condition, loop.loop_step, loop.result)


_Elements: TypeAlias = Mapping[str, tuple[str, ...]]
"""The names that macros (``args.statements.all(each, ...)``) give to the elements of arguments, by their paths."""


def _statements(node: Expr, elements: _Elements) -> Iterator[tuple[tuple[str, ...], str]]:
    """The arguments that ``sql()`` and ``shell()`` are called with, themselves or in a list, each with its language."""
    kind = node.WhichOneof("expr_kind")
    if kind == "call_expr" and node.call_expr.function in ("sql", "shell"):
        operands = node.call_expr.args
        language = "shell" if node.call_expr.function == "shell" else constant(operands[-1])
        path = elements.get(operands[0].ident_expr.name) or _path_into_args(operands[0])
        if path and language:
            yield path, language
    elif kind == "comprehension_expr" and (path := _path_into_args(node.comprehension_expr.iter_range)):
        elements = {**elements, node.comprehension_expr.iter_var: path}
    for child in children(node):
        yield from _statements(child, elements)


def _path_into_args(node: Expr) -> tuple[str, ...] | None:
    """The keys by which a node leads into ``args``: none of ``args`` itself; ``None`` if it does not."""
    match node.WhichOneof("expr_kind"):
        case "ident_expr":
            return () if node.ident_expr.name == "args" else None
        case "select_expr":
            holder, key = node.select_expr.operand, node.select_expr.field
        case "call_expr" if node.call_expr.function == "_[_]":
            holder, key = node.call_expr.args[0], constant(node.call_expr.args[1])
        case "call_expr" if node.call_expr.function == "@in":
            holder, key = node.call_expr.args[1], constant(node.call_expr.args[0])
        case _:
            return None
    path = _path_into_args(holder)
    return None if path is None or key is None else (*path, key)


def constant(node: Expr) -> str | None:
    """The text of a string literal; ``None`` for any other node."""
    if node.WhichOneof("expr_kind") == "const_expr" and node.const_expr.WhichOneof("constant_kind") == "string_value":
        text: str = node.const_expr.string_value
        return text
    return None
