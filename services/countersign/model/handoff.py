"""What authz tells masker of a call, so that masker keeps no state between calls.

Travels as one string in ext_authz's dynamic metadata, which only Envoy and our services can write.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from countersign.model.principal import Principal
from countersign.model.telltale import Telltale, from_listed


@dataclass(frozen=True, slots=True)
class HandedColumns:
    """What the answer to a statement holds of masked columns, as the statement tells it.

    ``columns`` are names of the answer's columns with the fields (keys of their paths, small letters; ``*``: whichever)
    that they derive from; ``plain`` are the names of those whose values are the fields' own. ``everything``: any cell
    may be of a masked column. ``loose``: names tell columns apart only as keys of JSON. ``stored``: there are more
    columns, under names that the statement does not tell. ``touched``: the statement uses masked columns, so that an
    error of the database may quote them.
    """

    columns: tuple[tuple[str, tuple[str, ...]], ...] = ()
    everything: bool = False
    loose: bool = False
    stored: bool = False
    touched: bool = False
    plain: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HandedCall:
    """One call of the request: its id as JSON text (empty for a notification), its method, its name as recorded.

    ``columns`` is ``None`` for what is no statement.
    """

    id_json: str
    method: str
    name: str
    columns: HandedColumns | None = None


@dataclass(frozen=True, slots=True)
class Handoff:
    """Who asked what of which target, when (microseconds since the epoch), and which masks apply to the answer.

    ``era`` is the value of ``countersign.mcp.Era``. ``mask_request`` says that the target's ``mask_request`` found
    something in the request, which must be masked on its way there; ``unmask`` that the tokens of the session in its
    arguments are to be turned into the values they stand for. ``sent_mark`` is the mark of what the target is to get of
    a request that must be changed (``runtime.sealing.Sealer.mark_request``). ``state`` is what the target is to get in
    place of the state by which the caller came back to us (``runtime.outgoing.restored``); ``None``: leave it.
    ``bare`` says that something in its ``_meta`` is not for the target (``runtime.outgoing.bared``). ``shown`` tells by
    what to know the credential that the target was shown, which no answer may hold.
    """

    session_id: str
    call_id: str
    arrived_us: int
    target: str
    era: str
    principal: Principal
    calls: tuple[HandedCall, ...]
    masks: tuple[str, ...]
    policy_version: str
    traceparent: str = ""
    mask_request: bool = False
    unmask: bool = False
    sent_mark: str = ""
    state: str | None = None
    bare: bool = False
    shown: tuple[Telltale, ...] = ()

    def to_json(self) -> str:
        """Return the text that ``from_json`` reads."""
        return _written_json(
            [
                self.session_id,
                self.call_id,
                self.arrived_us,
                self.target,
                self.era,
                self.principal.listed(),
                [[c.id_json, c.method, c.name, _written(c.columns)] for c in self.calls],
                self.masks,
                self.policy_version,
                self.traceparent,
                self.mask_request,
                self.unmask,
                self.sent_mark,
                self.state,
                self.bare,
                [(each.probe, each.at, each.length, each.mark) for each in self.shown],
            ]
        )

    @classmethod
    def from_json(cls, text: str) -> Handoff:
        """Read what ``to_json`` wrote; raises ``ValueError`` on anything else."""
        try:
            session, call, arrived, target, era, principal, calls, masks, version, *more = json.loads(text)
            traceparent, mask_request, unmask, sent_mark, state, bare, shown = more
            return cls(
                session_id=session,
                call_id=call,
                arrived_us=arrived,
                target=target,
                era=era,
                principal=Principal.of_listed(principal),
                calls=tuple(HandedCall(id_json, method, name, _read(found)) for id_json, method, name, found in calls),
                masks=tuple(masks),
                policy_version=version,
                traceparent=traceparent,
                mask_request=mask_request,
                unmask=unmask,
                sent_mark=sent_mark,
                state=state,
                bare=bare,
                shown=from_listed(shown),
            )
        except TypeError as error:
            raise ValueError("not a handoff of authz") from error


# ``json.dumps`` makes one of these anew for each text whose separators it is told.
_written_json = json.JSONEncoder(separators=(",", ":")).encode
_Written = tuple[tuple[tuple[str, tuple[str, ...]], ...], bool, bool, bool, bool, tuple[str, ...]]


def _written(found: HandedColumns | None) -> _Written | None:
    if found is None:
        return None
    return found.columns, found.everything, found.loose, found.stored, found.touched, found.plain


def _read(written: _Written | None) -> HandedColumns | None:
    if written is None:
        return None
    columns, everything, loose, stored, touched, plain = written
    named = tuple((name, tuple(fields)) for name, fields in columns)
    return HandedColumns(named, bool(everything), bool(loose), bool(stored), bool(touched), tuple(plain))
