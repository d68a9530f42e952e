"""What is wanted, as conditions of SQL: on the columns of events, and on the bits of blocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from json.encoder import encode_basestring

from countersign.recorder.search.facets import OF_PRINCIPAL, PAIRS, UNNAMED, mark, mark_pair
from countersign.recorder.search.ports import Wanted
from countersign.recorder.search.signature import key_of, places, word_key

# What a column holds in place of a NUL, which no value of Postgres's can be compared with.
_REPLACED = "\ufffd"

_TELLING_WORDS = 4


@dataclass(slots=True)
class Conditions:
    """Conditions that must all hold, and the values that stand in their places."""

    texts: list[bytes] = field(default_factory=list)
    values: list[object] = field(default_factory=list)

    def add(self, text: bytes, *values: object) -> None:
        """Add one; a ``%s`` for each value."""
        self.texts.append(text)
        self.values.extend(values)

    @property
    def sql(self) -> bytes:
        """All of them; true when there are none."""
        return b" AND ".join(self.texts) or b"true"


def of_events(wanted: Wanted) -> Conditions:
    """What columns of an event ``e`` and of its session ``s`` tell."""
    found = Conditions()
    for column, text in (
        (b"s.issuer", wanted.issuer),
        (b"s.subject", wanted.subject),
        (b"s.kind", wanted.principal_kind),
        (b"e.target", wanted.target),
        (b"e.method", wanted.method),
        (b"e.name", wanted.name),
    ):
        if text:
            found.add(column + b" = %s", text)
    if wanted.group:
        found.add(b"%s = ANY (s.groups)", wanted.group)
    if wanted.outcome:
        found.add(b"e.outcome = %s", wanted.outcome)
    if wanted.session_id is not None:
        found.add(b"e.session_id = %s", wanted.session_id)
    if wanted.call_id is not None:
        found.add(b"e.call_id = %s", wanted.call_id)
    if wanted.kinds:
        found.add(b"e.kind = ANY (%s::smallint[])", list(wanted.kinds))
    if wanted.since_us is not None:
        found.add(b"e.time_us >= %s", wanted.since_us)
    if wanted.until_us is not None:
        found.add(b"e.time_us < %s", wanted.until_us)
    # A record holds these as JSON does; that it stands there for something else is seen later.
    for text in (wanted.rule, wanted.approval_id, wanted.label, wanted.relation):
        if text and _REPLACED not in text:
            # Without the closing quotation mark: what is searched is shortened.
            found.add(b"strpos(e.record, %s) > 0", encode_basestring(text)[:-1])
    # A body that is searched must be there.
    if wanted.text is not None:
        found.add(b"e.shelf IS NOT NULL")
    return found


def of_marks(wanted: Wanted) -> Conditions:
    """What a row of marks tells of its block: all that is wanted may be in it."""
    found = Conditions()
    if wanted.since_us is not None:
        found.add(b"m.max_time_us >= %s", wanted.since_us)
    if wanted.until_us is not None:
        found.add(b"m.min_time_us < %s", wanted.until_us)
    values = _facets(wanted)
    # Pairs first: they leave the fewest blocks.
    pairs = [pair for pair in PAIRS if values.keys() >= set(pair)]
    principal = [_pair(pair, values) for pair in pairs if OF_PRINCIPAL & set(pair)]
    principal += [mark(one, value) for one, value in values.items() if one in OF_PRINCIPAL]
    others = [_pair(pair, values) for pair in pairs if not OF_PRINCIPAL & set(pair)]
    others += [mark(one, value) for one, value in values.items() if one not in OF_PRINCIPAL]
    if others:
        _add_all(found, others)
    if principal:
        named, nobody = Conditions(), Conditions()
        _add_all(named, principal)
        _add_all(nobody, [UNNAMED])
        found.add(b"((" + named.sql + b") OR (" + nobody.sql + b"))", *named.values, *nobody.values)
    if wanted.kinds:
        kinds = Conditions()
        for kind in wanted.kinds:
            one = Conditions()
            _add_all(one, [mark("kind", str(kind))])
            kinds.add(b"(" + one.sql + b")", *one.values)
        found.add(b"(" + b" OR ".join(kinds.texts) + b")", *kinds.values)
    return found


def of_words(alternatives: Sequence[frozenset[str]]) -> Conditions | None:
    """What a row of words tells of its shelf's part of a block; ``None`` when nothing can be told from words there."""
    if not all(alternatives):
        return None
    either = Conditions()
    for words in alternatives:
        one = Conditions()
        # Long words are rarer; and what a few of them leave, is looked at closely anyhow.
        telling = sorted(words, key=lambda word: (-len(word), word))[:_TELLING_WORDS]
        _add_keys(one, [word_key(word.encode(errors="surrogatepass")) for word in telling])
        either.add(b"(" + one.sql + b")", *one.values)
    found = Conditions()
    found.add(b"(" + b" OR ".join(either.texts) + b")", *either.values)
    return found


def _facets(wanted: Wanted) -> dict[str, str]:
    single = str(wanted.kinds[0]) if len(wanted.kinds) == 1 else ""
    values = {
        "issuer": wanted.issuer,
        "subject": wanted.subject,
        "group": wanted.group,
        "principal_kind": wanted.principal_kind,
        "target": wanted.target,
        "method": wanted.method,
        "name": wanted.name,
        "outcome": str(wanted.outcome or ""),
        "kind": single,
        "rule": wanted.rule,
        "approval_id": wanted.approval_id,
        "label": wanted.label,
        "relation": wanted.relation,
        "session_id": "" if wanted.session_id is None else wanted.session_id.hex,
        "call_id": "" if wanted.call_id is None else wanted.call_id.hex,
    }
    return {one: value for one, value in values.items() if value}


def _pair(pair: tuple[str, str], values: Mapping[str, str]) -> str:
    return mark_pair(pair[0], values[pair[0]], pair[1], values[pair[1]])


def _add_all(found: Conditions, texts: Iterable[str]) -> None:
    _add_keys(found, map(key_of, texts))


def _add_keys(found: Conditions, keys: Iterable[int]) -> None:
    """Add what must hold of ``bits`` for each of ``keys``; the first that does not ends the look."""
    for key in keys:
        for place in places(key):
            found.add(b"get_bit(bits, %s::bigint %% (octet_length(bits) * 8)) = 1", place)
