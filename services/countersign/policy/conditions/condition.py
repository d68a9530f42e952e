"""A condition, compiled: refused when it could not be enforced, then asked many times."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from cel_expr_python import cel

from countersign.policy.conditions import mistakes
from countersign.policy.conditions.environment import environment
from countersign.policy.conditions.literals import refuse_bad_literals
from countersign.policy.conditions.syntax import Syntax
from countersign.policy.conditions.variables import Variables
from countersign.policy.errors import BadCondition, CannotJudge

TEXT_LIMIT = 4_096
"""Code points that a condition may have. CEL itself bounds its nesting, and the steps of one evaluation."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that compiled; safe to share between threads.

    ``always`` is what it says of every call, if that is the same; ``reads`` are the variables that it reads, and
    ``arguments`` the paths of those arguments that it names. ``statements`` are the paths of those that it takes for
    statements, each with its language.
    """

    text: str
    always: bool | None
    reads: frozenset[str]
    arguments: frozenset[tuple[str, ...]]
    statements: frozenset[tuple[tuple[str, ...], str]]
    _expression: cel.Expression

    def holds(self, variables: Variables) -> bool:
        """Evaluate it. Raises :class:`CannotJudge`, and nothing else, when it throws."""
        activation = variables.activation(with_args="args" in self.reads, arguments=self.arguments)
        try:
            value = self._expression.eval(activation).value()
        except Exception as error:  # CEL raises RuntimeError; whatever else it raises must deny, too
            value = error
        if value is True or value is False:
            return bool(value)
        raise CannotJudge(*mistakes.while_evaluating(str(value)))

    def false_part(self, variables: Variables) -> str:
        """Of a condition that is false: the first part between ``&&`` that is, as it is written; else all of it."""
        for part in _conjuncts(self.text, self._expression):
            try:
                if not compile_condition(part).holds(variables):
                    return part
            except (BadCondition, CannotJudge):
                continue
        return self.text.strip()


@lru_cache(maxsize=1_024)
def compile_condition(text: str) -> Condition:
    """Compile a condition and check its types and literals.

    Raises:
        BadCondition: with the place in ``text``, when it is no condition that could be enforced as it is written.
    """
    if len(text) > TEXT_LIMIT:
        raise BadCondition(1, 1, f"it is longer than {TEXT_LIMIT} characters", "split it into several rules")
    try:
        expression = environment().cel.compile(text)
    except Exception as error:  # CEL raises RuntimeError; whatever else it raises is a refusal, too
        refusal = mistakes.of_compiling(text, str(error))
    else:
        return _checked(text, expression)
    raise refusal


def relations_named(text: str, language: str) -> tuple[str, ...]:
    """Return the relations that a statement names, in order; ``language`` is as in ``Condition.statements``.

    Nothing is parsed again that a condition asked about lately. What is not understood names none.
    """
    return environment().functions.relations(text, language)


def _checked(text: str, expression: cel.Expression) -> Condition:
    syntax = Syntax.of(expression.serialize())
    kind = expression.return_type()
    if kind != cel.Type.BOOL:
        raise mistakes.of_type(text, kind.name())
    refuse_bad_literals(syntax)
    value = _without_variables(expression)
    if not isinstance(value, bool):
        if not syntax.reads:
            what, _ = mistakes.while_evaluating(str(value))
            raise BadCondition(1, 1, f"it throws, whatever the call: {what}", "correct it")
        value = None
    return Condition(text, value, syntax.reads, syntax.arguments, syntax.statements, expression)


def _conjuncts(text: str, expression: cel.Expression) -> list[str]:
    """The parts between its outermost ``&&``; what stands in brackets does not compile in parts, and is left out."""
    ends = [*Syntax.of(expression.serialize()).conjunctions(), len(text)]
    starts = [0, *(end + len("&&") for end in ends)]
    return [text[start:end].strip() for start, end in zip(starts, ends, strict=False)]


def _without_variables(expression: cel.Expression) -> object:
    """What it says when nothing can be read: what is still true or false, is so for every call."""
    try:
        return expression.eval(environment().cel.Activation({})).value()
    except Exception as error:
        return error
