"""PostgreSQL, by its own parser."""

from __future__ import annotations

from countersign.statements.combine import combine
from countersign.statements.postgres.judge import judge
from countersign.statements.postgres.parsing import NotUnderstood, parse
from countersign.statements.verdict import Verdict, unparsable

__all__ = ["classify_postgres"]


def classify_postgres(text: str) -> Verdict:
    """Say what a text of one or more statements does, as PostgreSQL 18 reads it. Never raises.

    A text that is not understood in full is ``unparsable``, with the classes of those statements that were.
    """
    verdicts: list[Verdict] = []
    try:
        # One by one: what was understood before the rest was not still counts.
        verdicts.extend(judge(statement).verdict() for statement in parse(text))
    except NotUnderstood as refused:
        return unparsable(str(refused), combine(verdicts).classes if verdicts else ())
    except RecursionError:
        return unparsable("nested too deep", combine(verdicts).classes if verdicts else ())
    except Exception as failed:
        return unparsable(f"not understood ({type(failed).__name__})")
    return combine(verdicts)
