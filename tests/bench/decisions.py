"""How long a decision takes: 200 rules, of which 20 have conditions.

``python -m tests.bench.decisions`` prints the figures; nothing else has to run.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from itertools import cycle

from countersign.model.call import Call, NameKind
from countersign.model.principal import Principal, PrincipalKind
from countersign.model.rule import ArgConstraint, Effect, Rule, Selector
from countersign.model.situation import Situation, Usage
from countersign.policy import Policy

RULES = 200
CONDITIONS = 20
WARMING = 500

_NOW = Situation(1_795_000_000_000_000, "192.0.2.7", Usage(calls_1h=40, rows_1h=1_200, bytes_24h=5_000_000))
_ANALYST = Principal("https://issuer.example", "alice", ("everyone", "analysts", "eu"), PrincipalKind.PERSON, "token-1")
_TARGETS = ("orders", "warehouse", "tickets", "wiki")


@dataclass(frozen=True, slots=True)
class DecisionFigure:
    """Microseconds of processor time of one decision, of ``decisions`` made one after the other.

    A decision waits for nothing, so that is what it takes on a processor that nobody else uses.
    """

    name: str
    decisions: int
    p50_us: float
    p99_us: float


def decision_figures(decisions: int = 5_000) -> tuple[DecisionFigure, ...]:
    """Measure a policy as people write it, and one whose conditions all select the call and ask about its SQL."""
    return (
        _measured("200 rules, 20 with conditions, as people write them", Policy(_usual(), version="v"), decisions),
        _measured("20 conditions about the same SQL, all of them selecting", Policy(_asking(), version="v"), decisions),
    )


def _measured(name: str, policy: Policy, decisions: int) -> DecisionFigure:
    calls = cycle([_query(number) for number in range(64)])
    for _ in range(WARMING):
        policy.decide(_ANALYST, next(calls), _NOW)
    spent = list[int]()
    for _ in range(decisions):
        call = next(calls)
        start = time.thread_time_ns()
        policy.decide(_ANALYST, call, _NOW)
        spent.append(time.thread_time_ns() - start)
    spent.sort()
    return DecisionFigure(name, decisions, spent[decisions // 2] / 1_000, spent[decisions * 99 // 100] / 1_000)


def _query(number: int) -> Call:
    sql = f"SELECT id, total FROM orders WHERE customer_id = {number} ORDER BY id LIMIT 50"
    params = {"name": "query", "arguments": {"sql": sql, "limit": 50, "region": "eu"}}
    return Call("orders", "tools/call", "query", NameKind.TOOL, json.dumps(params))


def _usual() -> list[Rule]:
    """Most rules name a few tools of one target for one group; a tenth of them has a condition."""
    rules = [
        Rule(
            f"team-{number}",
            Effect.DENY if number % 5 == 0 else Effect.ALLOW,
            Selector(
                groups=(f"group-{number % 40}", "analysts") if number % 10 == 1 else (f"group-{number % 40}",),
                targets=None if number % 7 == 0 else (_TARGETS[number % 4],),
                tools=(f"tool-{number}", "list_*") if number % 3 else ("query", f"tool-{number}"),
            ),
            args=(ArgConstraint("limit", at_most=100),) if number % 20 == 3 else (),
        )
        for number in range(RULES - CONDITIONS)
    ]
    return [*rules, *(_conditional(number) for number in range(CONDITIONS))]


def _conditional(number: int) -> Rule:
    conditions = (
        "usage.rows_1h > 100000 && call.kind == 'tool'",
        "args.limit > 1000 || args.region == 'us'",
        "'destructive_ddl' in sql(args.sql, 'postgres').classes",
        "!in_network(request.source_address, '192.0.2.0/24') && request.time.getHours() > 30",
    )
    # Half of them are about this call.
    tools = ("query",) if number % 2 == 0 else (f"tool-{number}",)
    when = conditions[number // 2 % len(conditions)]
    return Rule(f"guard-{number}", Effect.DENY, Selector(targets=("orders",), tools=tools), when=when)


def _asking() -> list[Rule]:
    plain = [
        Rule(f"team-{number}", Effect.ALLOW, Selector((f"group-{number}",), tools=("query",)))
        for number in range(RULES - CONDITIONS - 1)
    ]
    questions = ("'ddl' in sql(args.sql, 'postgres').classes", "sql(args.sql, 'postgres').row_bound > 100")
    about = Selector(targets=("orders",), tools=("query",))
    asking = [
        Rule(f"guard-{number}", Effect.DENY, about, when=f"{questions[number % 2]} && usage.rows_1h > {number}")
        for number in range(CONDITIONS)
    ]
    return [*plain, Rule("analysts", Effect.ALLOW, Selector(("analysts",), tools=("query",))), *asking]


if __name__ == "__main__":
    for each in decision_figures():
        print(f"{each.name}: p50 {each.p50_us:.0f} µs, p99 {each.p99_us:.0f} µs")
