"""What conditions read of one call, made at most once, and only when a condition asks."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from cel_expr_python import cel

from countersign.model.call import Call
from countersign.model.principal import Principal
from countersign.model.situation import Situation
from countersign.policy.arguments import Arguments, Path
from countersign.policy.conditions.environment import environment
from countersign.policy.conditions.vocabulary import VOCABULARY
from countersign.policy.errors import CannotJudge

_USAGE = tuple(field.name for field in VOCABULARY.fields_of("Usage"))


class Variables:
    """The variables of the vocabulary for one call."""

    __slots__ = ("_activation", "_arguments", "_call", "_data", "_principal", "_situation", "_with_args")

    def __init__(self, principal: Principal, call: Call, situation: Situation, arguments: Arguments) -> None:
        self._principal = principal
        self._call = call
        self._situation = situation
        self._arguments = arguments
        self._data: dict[str, Any] = {}
        self._activation: cel.Activation | None = None
        self._with_args = False

    def activation(self, *, with_args: bool, arguments: Collection[Path] = ()) -> cel.Activation:
        """Return what CEL evaluates with.

        Raises :class:`CannotJudge` when ``args`` is wanted and cannot be read, or what it names in two ways.
        """
        for path in arguments:
            self._arguments.refuse_twins(path)
        if not self._data:
            try:
                self._data = self._fixed()
            except Exception:  # whatever it is that protobuf cannot hold, the call must be denied
                raise CannotJudge("CEL cannot hold what is known of the caller or the call") from None
        if with_args and not self._with_args:
            self._data["args"] = self._arguments.plain()
            self._activation = None
            self._with_args = True
        if self._activation is None:
            self._activation = environment().cel.Activation(self._data)
        return self._activation

    def _fixed(self) -> dict[str, Any]:
        messages = environment().messages
        principal, call, situation = self._principal, self._call, self._situation
        request = messages["Request"](source_address=situation.source_address)
        request.time.seconds, microseconds = divmod(situation.time_us, 1_000_000)
        request.time.nanos = microseconds * 1_000
        return {
            "principal": messages["Principal"](
                subject=principal.subject,
                issuer=principal.issuer,
                groups=principal.groups,
                kind=principal.kind.value,
                actors=principal.actors,
                token_subject=principal.token_subject,
            ),
            "target": messages["Target"](name=call.target),
            "call": messages["Call"](method=call.method, name=call.name, kind=call.name_kind.value),
            "request": request,
            "usage": messages["Usage"](**{name: getattr(situation.usage, name) for name in _USAGE}),
        }
