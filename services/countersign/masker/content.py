"""One message of a target made fit for its caller and for the record: checked, filtered, masked. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from countersign.jsontext import (
    Document,
    JsonRefused,
    JsonText,
    apply_edits,
    check,
    outline,
    parse,
    write_edits,
)
from countersign.masker.body import decoded
from countersign.masker.declared import Declared
from countersign.masker.disguised import may_answer
from countersign.masker.handing import Handing, Seal
from countersign.masker.handles import OfAnothersTask, ShownHandles, drawn_ids
from countersign.masker.ids import only_ids, with_own_ids
from countersign.masker.paired import Pairing
from countersign.masker.screens import Screens
from countersign.masker.tools import Listed, ToolGate
from countersign.masker.withheld import Withheld
from countersign.masking import Blobs, MaskCatalog, Masked, Masker, NotMaskable, SseEvent, check_other_lines
from countersign.masking.places import bounded
from countersign.masking.returned import returned
from countersign.masking.sse import is_harmless
from countersign.masking.tokens import Known, Mint
from countersign.mcp import (
    CACHEABLE_METHODS,
    HANDLE_KEYS,
    AnswerRefused,
    Era,
    Handle,
    Unread,
    advertise_tasks,
    check_answer,
    count_rows,
    filter_answer,
    filter_tasks,
    frame,
    listed_tasks,
    listed_tools,
    shown_handles,
    text_rows,
    told_task,
)
from countersign.model.call import NameKind
from countersign.model.event import Finding
from countersign.model.handoff import Handoff
from countersign.policy import Policy
from countersign.screening import Dangerous, Screening

Shows = Callable[[bytes], bool]
"""Whether what is to be released holds the credential that the target was shown."""

_ACTED_ON = frozenset(("event", "id"))
_Widen = Callable[[Masker, Document], Masker]


@dataclass(frozen=True, slots=True)
class Content:
    """What the caller gets, what the record keeps, what was found, and how many rows of data it is.

    ``shown`` is what the caller is handed to come back with: to be kept before it is released.
    """

    released: bytes
    recorded: bytes
    findings: tuple[Finding, ...]
    rows: int = 0
    shown: tuple[Handle, ...] = ()


class _Read(NamedTuple):
    """A message that is checked and filtered: its text, what of it is needed to mask that, and its rows."""

    body: JsonText
    document: Document
    rows: int
    findings: tuple[Finding, ...] = ()
    """What screening found."""
    shown: tuple[Handle, ...] = ()
    masks: frozenset[str] = frozenset()
    """Of the calls that began the tasks of which it tells."""


class _Said(NamedTuple):
    """What a message says so far, and what was found in it. It is held once: as text, or as bytes once it changed."""

    body: JsonText | None
    data: bytes | None = None
    """Also what ``body`` says, where that was needed as bytes before."""
    findings: tuple[Finding, ...] = ()

    def text(self, max_depth: int) -> JsonText:
        """Return it as text."""
        return check(self.data or b"", max_depth=max_depth) if self.body is None else self.body

    def written(self) -> bytes:
        """Return it as bytes."""
        return self.body.text.encode() if self.data is None and self.body is not None else self.data or b""


class ContentMasker:
    """Masks the answers to one request, as its handoff says. Raises ``Withheld``; never returns half-masked content.

    What lists tools raises ``Unobserved`` until ``tools`` has observed the listing. ``tasks`` says that calls may be
    answered by a task of the gateway's own, which clients are then told. ``seal`` is for states that masks change; else
    nobody can come back with those.
    """

    def __init__(
        self,
        handoff: Handoff,
        policy: Policy,
        masks: MaskCatalog,
        tools: ToolGate,
        blobs: Blobs,
        declared: Declared,
        screening: Screening = Screening(),  # noqa: B008 -- it is frozen
        *,
        max_depth: int,
        mint: Mint | None = None,
        tasks: bool = False,
        handles: ShownHandles | None = None,
        seal: Seal | None = None,
        shows: Shows = lambda _: False,
    ) -> None:
        self._masks = masks
        self._mint = mint
        self._applied = frozenset(handoff.masks)
        self.for_caller = self._select(self._applied)
        # ``None``: the caller may see no more than the record may hold.
        self._for_records = masks.for_records_after(handoff.masks)
        if mint is not None:
            self._for_records = self._for_records and self._for_records.within(Known(mint))
        self._handoff = handoff
        self._policy = policy
        self._tools = tools
        self._blobs = blobs
        self._declared = declared
        self._screens = Screens(screening, blobs, handoff, shows, max_depth=max_depth)
        self._pairing = Pairing.of(handoff.calls, max_depth=max_depth)
        self._max_depth = max_depth
        self._shows = shows
        self._handles = handles or ShownHandles(None, handoff)
        self._tasks = tasks and Era(handoff.era) is Era.MODERN
        self._returned: Masker | None = None
        self._era = Era(handoff.era)
        self._asked = frozenset(call.method for call in handoff.calls)
        self._methods = {call.id_json: call.method for call in handoff.calls if call.id_json}
        self._unanswered = set(self._methods)
        self._handing = Handing(self._era, self._methods, max_depth, seal)

    @property
    def answered(self) -> bool | None:
        """Whether all that was asked is answered; ``None`` when nothing was asked that has an answer."""
        return not self._unanswered if self._methods else None

    def put_tokens_back(self, tokens: Mapping[str, str]) -> None:
        """Have these values replaced by their tokens wherever the answer repeats them."""
        self._returned = returned(tokens, max_depth=self._max_depth)

    def check_remarks(self, event: SseEvent) -> None:
        """Raise ``NotMaskable`` when anything is found in the lines of an event that no client acts on."""
        check_other_lines(self.for_caller, event, besides=_ACTED_ON)
        if self._returned is not None:
            check_other_lines(self._returned, event, besides=_ACTED_ON)

    def findings_in_id(self, event_id: str) -> tuple[Finding, ...]:
        """Return what is found in the id of an event, by the masks for its caller and by those for the record."""
        if is_harmless(event_id):
            return ()
        text = event_id.encode()
        maskers = (self.for_caller, self._for_records, self._returned)
        found = (finding for masker in maskers if masker is not None for finding in masker.text(text).findings)
        return tuple(replace(finding, place="id") for finding in found)

    def answer(self, text: str) -> Content:
        """Treat the JSON body that answers the request."""
        return self._message(text, in_stream=False)

    def error_body(self, text: str) -> Content:
        """Treat the JSON body of a 4xx or 5xx: clients tell the era from it, whether it is JSON-RPC or not.

        One that answers the request after all is treated as an answer.
        """
        if may_answer(text, max_depth=self._max_depth):
            return self.answer(text)
        try:
            document = parse(text, max_depth=self._max_depth)
            widen = self._pairing.masker_of_error
            read = self._screened(_Read(outline(document), document, text_rows(document.text)), free=True)
            if read.document.text != text:
                self._check_no_answer(read.document.text, read.findings)
            content = self._content(self._mask_for_caller(read, widen), read.rows, widen)
            return self._with_own_ids(read.document, self._screens.fitted(content))
        except JsonRefused as refused:
            raise Withheld(f"the answer is not the JSON that it claims to be: {refused.reason}") from refused
        except (NotMaskable, Dangerous) as error:
            raise _withheld(error) from error

    def event_data(self, data: str) -> Content:
        """Treat the JSON of one server-sent event."""
        return self._message(data, in_stream=True)

    def text(self, data: bytes) -> Content:
        """Treat a plain text; one that is an answer in JSON after all, whatever it was called, is treated as such."""
        text = decoded(data)
        if text is None:
            raise Withheld("not UTF-8")
        if may_answer(text, max_depth=self._max_depth):
            return self.answer(text)
        rows = text_rows(text)
        try:
            screened = self._screens.text(text)
            if screened.text is not None:
                self._check_no_answer(screened.text, screened.findings)
                data = screened.text.encode()
            found = screened.findings
            del text, screened
            masked = self._pairing.masked_text(self.for_caller, data)
            if self._returned is not None:
                masked = _both(masked, self._returned.text(masked.data))
            if self._for_records is None:
                return self._screens.fitted_text(Content(masked.data, masked.data, found + masked.findings, rows))
            strict = self._pairing.masked_text(self._for_records, masked.data)
            found += masked.findings + strict.findings
            return self._screens.fitted_text(Content(masked.data, strict.data, found, rows))
        except (NotMaskable, Dangerous) as error:
            raise _withheld(error) from error

    def _check_no_answer(self, screened: str, findings: tuple[Finding, ...]) -> None:
        """Raise ``Dangerous`` for what is an answer only since something was taken out of it: nobody filtered it."""
        if may_answer(screened, max_depth=self._max_depth):
            raise Dangerous("what nobody sees hides that this is an answer", findings)

    def _message(self, text: str, *, in_stream: bool) -> Content:
        try:
            read = self._screened(self._read(text, in_stream=in_stream))
            document, widen = read.document, self._pairing.masker
            said = self._mask_for_caller(read, widen)
            if self._declared and said.findings:
                fitted = self._declared.fit(document, Masked(said.written(), said.findings))
                said = _Said(None, fitted.data, fitted.findings)
            content = self._screens.fitted(self._content(said, read.rows, widen))
            return self._with_handles(read.shown, self._with_own_ids(document, content, drawn_ids(read.shown)))
        except JsonRefused as error:
            raise Withheld(f"the answer is not the JSON that it claims to be: {error.reason}") from error
        except (NotMaskable, AnswerRefused, Dangerous) as error:
            raise _withheld(error) from error

    def _read(self, text: str, *, in_stream: bool) -> _Read:
        """Check and filter a message; of most, no more than the frame is read, and no more than its ids are kept."""
        if self._frame_suffices:
            body = check(text, max_depth=self._max_depth)
            try:
                framed = Document(body.text, frame(body.text))
                in_results = "tasks/list" in self._asked or not HANDLE_KEYS.isdisjoint(body.keys)
                filtered, shown, masks = self._filtered(framed, in_stream=in_stream, in_results=in_results)
                if filtered is framed:
                    rows = count_rows(framed.root, self._asked)
                    return _Read(body, Document(body.text, only_ids(framed.root)), rows, (), shown, masks)
            except Unread:
                pass  # what it holds decides, so all of it is read
        document, shown, masks = self._filtered(parse(text, max_depth=self._max_depth), in_stream=in_stream)
        return _Read(outline(document), document, count_rows(document.root, self._asked), (), shown, masks)

    def _screened(self, read: _Read, *, free: bool = False) -> _Read:
        """Screen a message, before its masks: what takes values apart must not hide them."""
        screened = self._screens.message(read.body, free=free)
        if screened.text is None:
            return read._replace(findings=screened.findings)
        document = parse(screened.text, max_depth=self._max_depth)
        return read._replace(body=outline(document), document=document, findings=screened.findings)

    @property
    def _frame_suffices(self) -> bool:
        may_list = not self._methods or not CACHEABLE_METHODS.isdisjoint(self._methods.values())
        return not (may_list or self._pairing or self._declared)

    def _with_own_ids(self, document: Document, content: Content, drawn: Collection[str] = ()) -> Content:
        found, ids = content.findings, {*self._methods, *drawn}
        released = with_own_ids(document, content.released, found, ids, max_depth=self._max_depth)
        return content if released == content.released else replace(content, released=released)

    def _with_handles(self, shown: tuple[Handle, ...], content: Content) -> Content:
        # Nothing is sealed from whoever withholds what shows a credential.
        if not shown or self._shows(content.released):
            return content
        released, kept = self._handing.out(content.released, shown)
        return replace(content, released=released, shown=kept)

    def _filtered(
        self, document: Document, *, in_stream: bool, in_results: bool = True
    ) -> tuple[Document, tuple[Handle, ...], frozenset[str]]:
        """Check a message, and leave of it what its caller may see.

        Tell what handles it shows, and what masks the calls had that began the tasks of which it tells.
        """
        # A stream that answers no request of its own may replay any answer of its session.
        expected = None if in_stream and not self._methods else tuple(self._methods)
        answers = check_answer(document, era=self._era, expected_ids=expected, in_stream=in_stream)
        for answer in answers:
            # An error without an id is about the one request that there is.
            if answer.is_final:
                self._unanswered -= {answer.id_json} if answer.id_json in self._methods else set(self._methods)
        methods = [self._methods.get(answer.id_json) for answer in answers]
        pages = [listed_tools(document, answer, method) for answer, method in zip(answers, methods, strict=True)]
        withheld = iter(self._tools.withheld([Listed(page) for page in pages if page is not None]))
        edits = [
            edit
            for answer, method, page in zip(answers, methods, pages, strict=True)
            for edit in filter_answer(document, answer, method, self._offers, () if page is None else next(withheld))
        ]
        if self._tasks:
            for answer, method in zip(answers, methods, strict=True):
                edits += advertise_tasks(document, answer, method)
        listed: list[str] = []
        if in_results:
            for answer, method in zip(answers, methods, strict=True):
                listed += listed_tasks(document, answer, method)
                self._handles.asked(listed)
                edits += filter_tasks(document, answer, method, self._handles.owns)
        told = [task_id for answer in answers if (task_id := told_task(document, answer)) is not None]
        self._handles.asked(told)
        if not all(map(self._handles.owns, told)):
            raise OfAnothersTask("it tells of a task that is not this caller's: withheld")
        shown = shown_handles(document, answers, methods, in_results=in_results)
        masks = self._handles.masks_of((*listed, *told))
        if edits:
            document = parse(apply_edits(document.text, edits), max_depth=self._max_depth)
        return document, shown, masks

    def _mask(self, said: _Said, masker: Masker) -> _Said:
        body = said.text(self._max_depth)
        edits, in_files = self._blobs.masked(body, masker.text)
        if edits:
            said = _Said(None, write_edits(body.text, edits), said.findings)
            body = said.text(self._max_depth)
        data, findings = masker.json_text(body)
        findings = said.findings + in_files + findings
        return _Said(body, said.data, findings) if data is None else _Said(None, data, findings)

    def _mask_for_caller(self, read: _Read, widen: _Widen) -> _Said:
        masker = self.for_caller if read.masks <= self._applied else self._select(read.masks | self._applied)
        said = self._mask(_Said(read.body, findings=read.findings), widen(masker, read.document))
        # After the masks: what they find has its token already.
        return said if self._returned is None else self._mask(said, self._returned)

    def _content(self, said: _Said, rows: int, widen: _Widen) -> Content:
        """Mask on for the record; ``widen`` is what the pairing adds to a masker."""
        released = said.written()
        recorded, unrecorded = self._blobs.for_record(released)
        findings = said.findings + unrecorded
        if self._for_records is None:
            return Content(released, recorded, findings, rows)
        said = _Said(said.body if recorded is released else None, recorded, findings)
        masker = self._for_records
        if self._pairing:
            masker = widen(masker, parse(recorded, max_depth=self._max_depth))
        strict = self._mask(said, masker)
        return Content(released, strict.written(), strict.findings, rows)

    def _select(self, names: Collection[str]) -> Masker:
        try:
            masker = self._masks.select(names)
        except KeyError as error:
            raise Withheld("the call's masks are not in the policy that judged it") from error
        return masker if self._mint is None else masker.within(self._mint)

    def _offers(self, kind: NameKind, name: str) -> bool:
        return self._policy.offers(self._handoff.principal, self._handoff.target, kind, name)


def _withheld(error: NotMaskable | AnswerRefused | Dangerous) -> Withheld:
    return Withheld(error.reason, bounded(error.findings) if isinstance(error, Dangerous) else ())


def _both(masked: Masked, again: Masked) -> Masked:
    return Masked(again.data, masked.findings + again.findings)
