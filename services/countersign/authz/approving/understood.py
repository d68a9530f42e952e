"""The statements in a call's arguments, as approvers read them: masked and laid out, and what they do. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, TypeAlias

from countersign.authz.approving.written import shortened
from countersign.authz.stated import Path, side_by_side, texts_at
from countersign.config import Target
from countersign.jsontext import JsonValue
from countersign.model.approval import StatementSummary
from countersign.model.call import Call, NameKind
from countersign.model.decision import Decision
from countersign.model.rule import Rule
from countersign.model.visible import visible
from countersign.pins.hidden import looks_like_another
from countersign.policy import compile_condition
from countersign.statements import READING, StatementClass, Verdict, classify, unparsable

Mask: TypeAlias = Callable[[str], str]

MOST_STATEMENTS: Final = 10
MOST_BYTES: Final = 8 * 1024
"""Of each statement's text."""

_MOST_RELATIONS: Final = 50
# Of a longer one only the beginning is shown, whose looks are not worth the time.
_LONGEST_LAID_OUT: Final = 2 * MOST_BYTES
_UNBOUNDED: Final = frozenset({StatementClass.BULK_READ, StatementClass.MASS_WRITE})
_ROWS: Final = READING | {StatementClass.WRITE}
_HIDDEN: Final = "[masked]"
_DISGUISED: Final = " (has letters that look like others)"


def stated(call: Call, decision: Decision, rules: Mapping[str, Rule], target: Target) -> dict[Path, str]:
    """Return the paths of arguments that are statements, each with its language.

    They are what ``statements`` of the target says, and what the rules that ask for approval take for statements.
    """
    found: dict[Path, str] = {}
    for name in (*decision.rules, *decision.glass):
        rule = rules.get(name)
        if rule is not None and rule.when:
            found.update(sorted(compile_condition(rule.when).statements))
    if call.name_kind is NameKind.TOOL and (own := target.statements.get(call.name)) is not None:
        found[(own.argument,)] = own.dialect
    return found


def statements_of(
    paths: Mapping[Path, str], judged: JsonValue, shown: JsonValue, mask: Mask
) -> tuple[StatementSummary, ...]:
    """Return what there is to say of the statements at ``paths`` (see :func:`stated`).

    ``judged`` are the params that would run, ``shown`` the same, masked. ``mask`` masks a text of its own, and raises
    what it raises.
    """
    found = [
        (".".join(path), language, text, masked)
        for path, language in sorted(paths.items())
        for text, masked in side_by_side(texts_at(judged, path), texts_at(shown, path))
    ]
    kept = [_summary(*each, mask) for each in found[:MOST_STATEMENTS]]
    if len(found) > len(kept):
        kept.append(StatementSummary("", "", f"… {len(found) - len(kept)} more statements are not shown"))
    return tuple(kept)


def bound_in_words(verdict: Verdict) -> str:
    """Say how many rows a statement can touch at most; empty when that is no question, or not known."""
    if verdict.classes <= READING and verdict.row_bound is not None:
        return f"at most {verdict.row_bound:,} row{'' if verdict.row_bound == 1 else 's'}"
    if StatementClass.UNPARSABLE in verdict.classes:
        return ""
    if verdict.classes & _UNBOUNDED:
        return "no bound"
    return "a bounded number of rows" if verdict.classes <= _ROWS else ""


def _summary(argument: str, language: str, text: str | None, masked: str, mask: Mask) -> StatementSummary:
    verdict = unparsable("not known") if text is None else classify(text, language)
    return StatementSummary(
        argument=visible(argument),
        dialect=language,
        text=shortened(_readable(language, text, masked), MOST_BYTES),
        classes=tuple(each.value for each in StatementClass if each in verdict.classes),
        relations=tuple(_relations(verdict.relations, text, masked, mask)),
        bound=bound_in_words(verdict),
    )


def _readable(language: str, text: str | None, masked: str) -> str:
    """Lay a statement out that is still one of the same parts once it is masked; write others as they are."""
    if language == "postgres" and text is not None and len(masked) <= _LONGEST_LAID_OUT:
        # Only now, as in ``statements.classify``: its parser is large, and an authz that nobody asks needs none.
        from countersign.statements.postgres.layout import lay_out, shape
        from countersign.statements.postgres.parsing import NotUnderstood

        try:
            if text == masked or shape(text) == shape(masked):
                return lay_out(masked)
        except NotUnderstood:
            pass
    return visible(masked, keep="\n")


def _relations(relations: Iterable[str], text: str | None, masked: str, mask: Mask) -> Iterator[str]:
    """The names that approvers may read: of a statement in which something is masked, those that are left in it."""
    names = sorted(relations)
    left = masked.casefold()
    for name in names[:_MOST_RELATIONS]:
        if text == masked or all(part in left for part in name.casefold().split(".")):
            yield visible(mask(name)) + (_DISGUISED if looks_like_another(name) else "")
        else:
            yield _HIDDEN
    if len(names) > _MOST_RELATIONS:
        yield f"… {len(names) - _MOST_RELATIONS} more"
