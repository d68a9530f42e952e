"""What pydantic found, said in words, at its place in the file, with what to do. No value is ever repeated."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from countersign.config.document import Node, Path, kind_of
from countersign.config.problem import Place, Problems
from countersign.config.shape import File
from countersign.config.shape_base import SecretSource
from countersign.config.shape_credentials import Credential
from countersign.config.shape_stdio import TAGS

NEVER_LITERAL = "never a literal: use {env: NAME} or {file: path}"

_WANTED = {
    "string_type": ("text", "put it in quotes"),
    "int_type": ("a whole number", "write it without quotes and fraction"),
    "float_type": ("a number", "write it without quotes"),
    "list_type": ("a list", "write [one, two]"),
    "dict_type": ("a mapping", "write key: value"),
    "model_type": ("a mapping", "write key: value"),
}


def explain(error: ValidationError, root: Node, problems: Problems, shape: type[BaseModel] = File) -> list[Path]:
    """Add each finding to ``problems``; returns the paths of what is not usable. ``shape`` is what ``root`` was."""
    details = error.errors(include_url=False, include_input=False, include_context=True)
    for detail in details:
        # Which of two kinds a value was read as stands in no file.
        detail["loc"] = tuple(step for step in detail["loc"] if step not in TAGS)
    for detail in details:
        place, what, remedy = _said(detail, root, shape)
        problems.add(place, what, remedy)
    return [detail["loc"] for detail in details]


def dotted(path: Iterable[str | int]) -> str:
    """A path as people write it: ``rules[0].allow.tools``."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant."""
    lowered = {candidate.lower(): candidate for candidate in known}
    found = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.7)
    return lowered[found[0]] if found else None


def _said(detail: ErrorDetails, root: Node, shape: type[BaseModel]) -> tuple[Place, str, str]:
    path, kind, context = detail["loc"], detail["type"], detail.get("ctx", {})
    node, name = root.find(path), dotted(path)
    model, field = _schema_of(path[:-1], shape), _field_of(path, shape)
    hint = field.description if field and field.description else ""
    if kind == "extra_forbidden":
        return root.key_place(path), *_unknown(str(path[-1]), model)
    if name == "version" and kind in ("greater_than_equal", "less_than_equal"):
        return node.place, "this version of the format is not known", "write `version: 1`"
    if kind == "missing":
        return _holder(path, root), f"missing key `{name}`", f"add it: {hint}" if hint else "add it"
    if kind in _WANTED:
        wanted, remedy = _WANTED[kind]
        if any(_is_secret(_schema_of(part, shape)) for part in (path, path[:-1])):
            return node.place, f"`{name}` holds {kind_of(node.value)}", NEVER_LITERAL
        return node.place, f"`{name}` is {kind_of(node.value)} where {wanted} is needed", remedy
    return node.place, *_bounded(kind, name, context, hint)


def _bounded(kind: str, name: str, context: dict[str, Any], hint: str) -> tuple[str, str]:
    said = f": {hint}" if hint else ""
    match kind:
        case "too_short":
            return f"`{name}` is empty", f"give at least one entry{said}"
        case "string_too_short":
            return f"`{name}` is empty", f"give a value{said}"
        case "too_long":
            return f"`{name}` has too many entries", f"at most {context['max_length']}"
        case "string_too_long":
            return f"`{name}` is too long", f"at most {context['max_length']} characters"
        case "greater_than_equal":
            return f"`{name}` is too small", f"at least {context['ge']:g}{said}"
        case "less_than_equal":
            return f"`{name}` is too large", f"at most {context['le']:g}{said}"
        case "finite_number":
            return f"`{name}` is not finite", f"give a number{said}"
        case _:
            return f"`{name}` is not usable", hint or "mend it"


def _unknown(key: str, model: type[BaseModel] | None) -> tuple[str, str]:
    known = [field.alias or name for name, field in model.model_fields.items()] if model else []
    meant = nearest(key, known)
    if meant:
        return f"unknown key `{key}`", f"did you mean `{meant}`?"
    if _is_secret(model):
        return f"a key that is none of {', '.join(known)}", NEVER_LITERAL  # the key may be the credential itself
    return f"unknown key `{key}`", f"remove it; known here: {', '.join(known)}"


def _is_secret(model: type[BaseModel] | None) -> bool:
    return model is not None and issubclass(model, Credential | SecretSource)


def _holder(path: Path, root: Node) -> Place:
    """Where the mapping that lacks the key is named: its own key, or where it starts."""
    parent = path[:-1]
    return root.key_place(parent) if parent else root.place


def _field_of(path: Path, shape: type[BaseModel]) -> FieldInfo | None:
    model = _schema_of(path[:-1], shape) if path else None
    return _named(model, str(path[-1])) if model else None


def _named(model: type[BaseModel], key: str) -> FieldInfo | None:
    """The field that a key of the file is read into: some are words that Python keeps for itself."""
    fields = model.model_fields
    return next((field for name, field in fields.items() if (field.alias or name) == key), None)


def _schema_of(path: Path, shape: type[BaseModel]) -> type[BaseModel] | None:
    """The model that the value at a path is read by, if it is a mapping with fixed keys."""
    annotation: object = shape
    for step in path:
        annotation = _unwrapped(annotation)
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            field = _named(annotation, str(step))
            if field is None:
                return None
            annotation = field.annotation
        else:
            arguments = get_args(annotation)
            if not arguments:
                return None
            annotation = arguments[-1]
    annotation = _unwrapped(annotation)
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _unwrapped(annotation: object) -> object:
    """Without ``Annotated`` and ``| None``."""
    while get_origin(annotation) in (Annotated, Union, UnionType):
        annotation = get_args(annotation)[0]
    return annotation
