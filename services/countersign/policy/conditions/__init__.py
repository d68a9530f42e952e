"""``when``: conditions in CEL, compiled and type-checked when the rules are loaded, evaluated when a call is judged."""

from countersign.policy.conditions.condition import Condition, compile_condition, relations_named
from countersign.policy.conditions.variables import Variables
from countersign.policy.conditions.vocabulary import VOCABULARY, Field, Function, Structure, Variable, Vocabulary

__all__ = [
    "VOCABULARY",
    "Condition",
    "Field",
    "Function",
    "Structure",
    "Variable",
    "Variables",
    "Vocabulary",
    "compile_condition",
    "relations_named",
]
