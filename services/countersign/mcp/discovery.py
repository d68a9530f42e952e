"""What a target says that it can do, and what its gateway can do besides."""

from __future__ import annotations

from countersign.jsontext import Document, Edit, value_at, value_span
from countersign.mcp.answers import Answer, AnswerKind
from countersign.mcp.means import TASKS_EXTENSION

_EXTENSIONS = "extensions"


def advertise_tasks(document: Document, answer: Answer, method: str | None) -> list[Edit]:
    """Make the edits by which an answer to ``server/discover`` says that calls may become tasks; none for any other.

    Clients take a task for an answer only where the server declared the Tasks extension. A target that declares it
    itself, in whatever form, or whose answer lacks ``capabilities``, is left as it is.
    """
    if method != "server/discover" or answer.kind is not AnswerKind.RESULT:
        return []
    path: tuple[str | int, ...] = (*answer.path, "result", "capabilities")
    capabilities = value_at(document.root, path)
    if not isinstance(capabilities, dict):
        return []
    if _EXTENSIONS not in capabilities:
        return _first(document, path, f'"{_EXTENSIONS}":{{"{TASKS_EXTENSION}":{{}}}}', alone=not capabilities)
    extensions = capabilities[_EXTENSIONS]
    if not isinstance(extensions, dict) or TASKS_EXTENSION in extensions:
        return []
    return _first(document, (*path, _EXTENSIONS), f'"{TASKS_EXTENSION}":{{}}', alone=not extensions)


def _first(document: Document, path: tuple[str | int, ...], member: str, *, alone: bool) -> list[Edit]:
    span = value_span(document, path)
    return [] if span is None else [Edit(span[0] + 1, span[0] + 1, member if alone else f"{member},")]
