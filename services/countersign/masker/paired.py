"""The answer to a statement, paired with what authz learned from the statement: more fields for its masking. Pure.

Columns that derive from masked ones are masked wherever the answer shows them under their names. Where it does not do
so surely, and where nobody knows what a cell derives from, the whole answer is masked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from countersign.jsontext import Document, JsonValue
from countersign.masker.shown import Rows, has_nameless_rows, parsed
from countersign.masking import Masked, Masker, NotMaskable
from countersign.masking.fields import Field
from countersign.masking.replacements import Redacted
from countersign.mcp.message import read_id
from countersign.model.event import Finding
from countersign.model.handoff import HandedCall, HandedColumns

_RESULT: Final = "result"
_WHICHEVER: Final = "*"
_PATHS_OF_BLOCKS: Final = frozenset(
    {
        *(("content", key) for key in ("text", "data", "blob", "uri", "name", "title", "description")),
        *(("content", "resource", key) for key in ("text", "blob", "uri")),
    }
)
_PATHS_OF_VALUES: Final = frozenset({("structuredContent",), ("_meta",)})
_PATHS_OF_ERRORS: Final = frozenset({("error", "message"), ("error", "data")})
_PATHS_OF_NOTICES: Final = frozenset({("params", "message"), ("params", "data")})
_EVERY_PATH: Final = _PATHS_OF_BLOCKS | _PATHS_OF_VALUES

_Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ColumnField(Field):
    """A column of an answer, where the answer has its data; blanks in its name do not count.

    ``loose``: a client may have added a number to its name.
    """

    loose: bool = False

    def ends_with(self, key: str) -> bool:
        """See :class:`Field`."""
        name = squeezed(key)
        return name == self.last or (self.loose and name.rstrip("0123456789_.:-#()") == self.last)

    def selects(self, keys: Sequence[str]) -> bool:
        """See :class:`Field`. Keys of the protocol itself are none of the answer's data."""
        path = _within(keys)
        depth = 3 if path[1:2] == ("resource",) else 2
        return path[:1] == ("structuredContent",) or (path[:1] == ("content",) and len(path) > depth)


@dataclass(frozen=True, slots=True)
class WholeField(Field):
    """All that stands at some paths of a message."""

    paths: frozenset[_Path] = frozenset()

    def ends_with(self, key: str) -> bool:
        """See :class:`Field`."""
        return any(path[-1] == key for path in self.paths)

    def selects(self, keys: Sequence[str]) -> bool:
        """See :class:`Field`."""
        return _within(keys) in self.paths


@dataclass(frozen=True, slots=True)
class Pairing:
    """What is known of the answers to one request."""

    by_id: Mapping[str, HandedColumns]
    stray: tuple[HandedColumns, ...]
    """What is known of answers to no request of this exchange."""
    max_depth: int

    @classmethod
    def of(cls, calls: Iterable[HandedCall], *, max_depth: int) -> Pairing:
        """Read what was handed over."""
        known = [(call.id_json, call.columns) for call in calls if call.columns is not None]
        by_id = {id_json: columns for id_json, columns in known if id_json}
        return cls(by_id, tuple(columns for id_json, columns in known if not id_json), max_depth)

    def __bool__(self) -> bool:
        return bool(self.by_id or self.stray)

    def masker(self, masker: Masker, document: Document) -> Masker:
        """Return ``masker`` with what it must mask beside its own fields in these messages.

        Raises :class:`NotMaskable` when that cannot be found out; it does not show the text.
        """
        if not self:
            return masker
        messages = document.root if isinstance(document.root, list) else [document.root]
        try:
            more = [field for message in messages for field in self._of_message(message, masker.fields)]
            return masker.with_fields(tuple(dict.fromkeys(more))) if more else masker
        except Exception as error:
            refusal = NotMaskable(f"pairing failed: {type(error).__name__}")
        raise refusal

    def masker_of_error(self, masker: Masker, document: Document) -> Masker:
        """Return ``masker`` with what it must mask beside its own fields in the body of an HTTP error."""
        if not self._may_quote or not masker.fields:
            return masker
        root = document.root
        error = root.get("error") if isinstance(root, dict) else None
        if isinstance(root, dict) and not isinstance(error, dict):
            return masker.with_fields([_whole(masker.fields, frozenset((key,) for key in root))])
        return masker.with_fields([_whole(masker.fields, _PATHS_OF_ERRORS)])

    def masked_text(self, masker: Masker, data: bytes) -> Masked:
        """Mask a text that is no answer, the words of a server on the way: whole, if it may quote masked columns."""
        masked = masker.text(data)
        if not self._may_quote or not masker.fields or not data:
            return masked
        field = masker.fields[0]
        return Masked(_words(field).words.encode(), (Finding(field.label, "", 1),))

    @property
    def _may_quote(self) -> bool:
        return any(each.touched or each.everything or each.columns for each in (*self.by_id.values(), *self.stray))

    def _of_message(self, message: JsonValue, fields: Sequence[Field]) -> Iterator[Field]:
        if not isinstance(message, dict) or not fields:
            return
        if "result" not in message and "error" not in message:
            notices = [known for known in self.by_id.values() if known.everything or _of_columns(known, fields)]
            if notices:
                yield _whole(fields, _PATHS_OF_NOTICES)
            return
        for known in self._known_of(message):
            if "error" in message:
                if known.touched or known.everything:
                    yield _whole(fields, _PATHS_OF_ERRORS)
            else:
                yield from self._of_result(message["result"], known, fields)

    def _known_of(self, message: Mapping[str, JsonValue]) -> Sequence[HandedColumns]:
        id_json = "" if message.get("id") is None else read_id(dict(message))[1]
        if id_json in self.by_id:
            return (self.by_id[id_json],)
        # An error whose request was never read may be about any of them.
        return self.stray or (tuple(self.by_id.values()) if "error" in message else ())

    def _of_result(self, result: JsonValue, known: HandedColumns, fields: Sequence[Field]) -> Iterator[Field]:
        columns = _of_columns(known, fields)
        yield from columns
        while isinstance(result, dict) and isinstance(result.get("result"), dict):
            result = result["result"]
        if not isinstance(result, dict):
            return
        failed = result.get("isError") is True and known.touched
        if known.everything or failed:
            yield _whole(_meant(known, fields), _EVERY_PATH)
            return
        if not self._show([result.get("structuredContent")], known, columns):
            yield _whole(_meant(known, fields), _PATHS_OF_VALUES)
        if not self._show(_parts(result.get("content")), known, columns):
            yield _whole(_meant(known, fields), _PATHS_OF_BLOCKS)

    def _show(self, parts: Iterable[JsonValue], known: HandedColumns, columns: Sequence[Field]) -> bool:
        """Whether the parts show all masked columns under their names; words about the rows may stand beside them."""
        if columns:
            rows = Rows(columns, max_depth=self.max_depth, in_text=not known.loose)
            for part in parts:
                rows.visit(part)
            return rows.shown
        return not any(
            # A cell may hold a row of names and values, which only JSON keeps together.
            (known.loose and isinstance(part, str) and parsed(part, self.max_depth) is None)
            or (known.stored and has_nameless_rows(part, self.max_depth))
            for part in parts
        )


def squeezed(name: str) -> str:
    """Return a name as names are compared: in small letters, without blanks."""
    return "".join(name.casefold().split())


def _of_columns(known: HandedColumns, fields: Sequence[Field]) -> list[ColumnField]:
    """Return the columns that derive from any of these fields, masked as the first of those is."""
    found: list[ColumnField] = []
    for name, sources in known.columns:
        origin = next((field for field in fields if _derives(sources, field)), None)
        if origin is not None:
            # What was made of a value may show what is left of it: the first digits where the last ones stay.
            replacement = origin.replacement if name in known.plain else _words(origin)
            found.append(ColumnField((_RESULT, squeezed(name)), origin.label, replacement, known.loose))
    return found


def _derives(sources: Iterable[str], field: Field) -> bool:
    return any(source in (_WHICHEVER, *field.steps) for source in sources)


def _meant(known: HandedColumns, fields: Sequence[Field]) -> Sequence[Field]:
    """Return the fields that something may derive from."""
    sources = {source for _, from_fields in known.columns for source in from_fields}
    return [field for field in fields if not known.everything and _derives(sources, field)] or fields


def _whole(fields: Sequence[Field], paths: frozenset[_Path]) -> WholeField:
    return WholeField((_RESULT, _WHICHEVER), fields[0].label, _words(fields[0]), paths)


def _words(field: Field) -> Redacted:
    """Return words to put in place of whatever derives from a field."""
    return field.replacement if isinstance(field.replacement, Redacted) else Redacted(f"[{field.label}]")


def _within(keys: Sequence[str]) -> _Path:
    """Return a path of keys from the inside of its result; a task's result stands in the result of asking for it."""
    start = 0
    while start < len(keys) and keys[start] == _RESULT:
        start += 1
    return tuple(keys[start:])


def _parts(content: JsonValue) -> Iterator[JsonValue]:
    """Yield what the blocks of ``content`` hold; what is no text shows nothing."""
    for block in content if isinstance(content, list) else ():
        if isinstance(block, dict):
            resource = block.get("resource")
            holder = resource if isinstance(resource, dict) else block
            # Anything but a text: a picture, a file, a link.
            yield holder["text"] if isinstance(holder.get("text"), str) else ["?"]
