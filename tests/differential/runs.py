"""One run: so many cases of a seed, judged and read by all, and what came of it."""

from __future__ import annotations

import resource
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from tests.differential import python_peer
from tests.differential.cases import HONEST, cases
from tests.differential.drafts import Case
from tests.differential.readings import Reading, differs, is_rounded, judged
from tests.differential.typescript_peer import TypeScriptPeer, running_peer

_AT_ONCE = 500
_KEPT = 40

PEERS = ("python", "typescript 1", "typescript 2")

Judge = Callable[[Case], "list[Reading] | None"]


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A case that was let pass, and of which a peer read something else."""

    case: Case
    peer: str
    what: str
    ours: Sequence[Reading]
    theirs: Sequence[Reading]


@dataclass
class Run:
    """What came of a run. The counters have kinds of mutations, or names of peers, for keys."""

    seed: int
    count: int = 0
    passed: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    acted: Counter[str] = field(default_factory=Counter)
    disagreed: Counter[str] = field(default_factory=Counter)
    disagreements: list[Disagreement] = field(default_factory=list)
    false_refusals: list[Case] = field(default_factory=list)
    rounded: int = 0
    cpu_s: float = 0.0
    peer_cpu_s: float = 0.0
    wall_s: float = 0.0

    @property
    def let_pass(self) -> int:
        """How many cases were let pass."""
        return self.count - self.refused["all"]

    @property
    def disagreements_count(self) -> int:
        """How many disagreements there were; of many, only some are kept."""
        return sum(self.disagreed[peer] for peer in PEERS)


def run(seed: int, count: int, judge: Judge = judged) -> Run:
    """Try so many cases of a seed."""
    return tried(cases(seed, count), judge, seed)


def tried(source: Iterable[Case], judge: Judge = judged, seed: int = 0) -> Run:
    """Try these cases."""
    done, source = Run(seed), iter(source)
    wall, cpu, before = time.monotonic(), time.process_time(), resource.getrusage(resource.RUSAGE_CHILDREN)
    with running_peer() as peer:
        waiting: list[tuple[Case, list[Reading]]] = []
        while chunk := list(islice(source, _AT_ONCE)):
            passed = list(_judged(chunk, judge, done))
            _compare(done, peer, waiting)
            peer.send([(case, ours[0]) for case, ours in passed])
            waiting = passed
        _compare(done, peer, waiting)
    done.wall_s, done.cpu_s = time.monotonic() - wall, time.process_time() - cpu
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    done.peer_cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done


def _judged(chunk: Sequence[Case], judge: Judge, done: Run) -> Iterator[tuple[Case, list[Reading]]]:
    for case in chunk:
        done.count += 1
        ours = judge(case)
        if ours is None:
            done.refused.update({"all", *case.kinds})
            if case.kinds == (HONEST,):
                done.false_refusals.append(case)
            continue
        done.passed.update({"all", *case.kinds})
        done.rounded += any(is_rounded(each.params) for each in ours)
        _check(done, case, "python", ours, python_peer.read(case), doubles=False)
        yield case, ours


def _compare(done: Run, peer: TypeScriptPeer, waiting: Sequence[tuple[Case, list[Reading]]]) -> None:
    if not waiting:
        return
    for (case, ours), both in zip(waiting, peer.receive(), strict=True):
        _check(done, case, "typescript 1", ours, both.v1, doubles=True)
        _check(done, case, "typescript 2", ours, both.v2, doubles=True)


def _check(
    done: Run, case: Case, peer: str, ours: Sequence[Reading], theirs: Sequence[Reading], *, doubles: bool
) -> None:
    """Whatever a peer acts on must be what was judged, message by message; that it refuses is its own affair."""
    if not theirs:
        return
    done.acted[peer] += 1
    # It may leave messages of a batch out, and act on them in any order.
    rest, what = list(ours), ""
    for each in theirs:
        found = [differs(one, each, doubles=doubles) for one in rest]
        if "" not in found:
            what = found[0] if found else "count"
            break
        del rest[found.index("")]
    if what:
        done.disagreed.update({peer, *case.kinds})
        if len(done.disagreements) < _KEPT:
            done.disagreements.append(Disagreement(case, peer, what, ours, theirs))
