"""What ``args`` demands of arguments, and that nothing which only looks like the right value passes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.model.rule import ArgConstraint
from countersign.policy import BadConstraint, check_args
from countersign.policy.arguments import Arguments
from countersign.policy.constraints import Constraint
from countersign.policy.errors import CannotJudge
from tests.unit.policy.calls import tool

MOST = ArgConstraint("n", at_most=100)
REPEATED = "the arguments are not plain JSON: a key is repeated in its object"
TWIN = "args.filter.region: a key differs from one of its path only in case"
LEAST = ArgConstraint("n", at_least=100)


def judged(constraint: ArgConstraint, arguments: str) -> bool | str:
    """Whether it is met, or why that cannot be said."""
    try:
        return not Constraint(constraint).failure(Arguments(tool("query", arguments=arguments)))
    except CannotJudge as error:
        return error.reason


@pytest.mark.parametrize(
    ("constraint", "value", "expected"),
    [
        (MOST, "100", True),
        (MOST, "101", False),
        (MOST, "100.0", True),
        (MOST, "1e2", True),
        (MOST, "100.5", False),
        (MOST, "-5", True),
        (MOST, "1e400", False),
        (MOST, "-1e400", True),
        (MOST, "1180591620717411303424", False),
        (ArgConstraint("n", at_least=0), "-0.0", True),
        (ArgConstraint("n", at_least=0), "-1e-5", False),
        (ArgConstraint("n", at_least=0.1, at_most=0.1), "0.1", True),
        (ArgConstraint("n", at_most=2**70), "1180591620717411303424", True),
        (ArgConstraint("n", one_of=(1,)), "1.0", True),
        (ArgConstraint("n", one_of=(0,)), "-0.0", True),
        (ArgConstraint("n", one_of=(1, "x")), "2", False),
        (ArgConstraint("n", one_of=(1, True)), "true", True),
        (ArgConstraint("n", one_of=(0, True)), "false", False),
        (ArgConstraint("n", none_of=(1, True)), "false", True),
        (ArgConstraint("n", one_of=("eu", None)), "null", True),
        (ArgConstraint("n", one_of=("eu", "us")), '"eu"', True),
        (ArgConstraint("n", one_of=("eu", "us")), '"\\u0065u"', True),
        (ArgConstraint("n", one_of=("eu", "us")), '"EU"', False),
        (ArgConstraint("n", one_of=("eu", "us")), '"eu "', False),
        (ArgConstraint("n", one_of=("é",)), '"e\u0301"', False),
        (ArgConstraint("n", none_of=("eu",)), '"eu"', False),
        (ArgConstraint("n", none_of=("eu",)), '"us"', True),
        (ArgConstraint("n", glob="public_*"), '"public_x"', True),
        (ArgConstraint("n", glob="public_*"), '"x_public_"', False),
        (ArgConstraint("n", max_length=2), '"\U0001f600\U0001f600"', True),
        (ArgConstraint("n", max_length=2), '"abc"', False),
        (ArgConstraint("n", max_length=2), "[1, 2]", True),
        (ArgConstraint("n", max_length=2), "[1, 2, 3]", False),
        (ArgConstraint("n", present=True), "null", True),
        (ArgConstraint("n", present=False), "null", False),
    ],
)
def test_a_constraint_is_met_by_the_value_alone(constraint: ArgConstraint, value: str, expected: bool) -> None:
    assert judged(constraint, f'{{"n": {value}}}') is expected


@pytest.mark.parametrize(
    ("constraint", "value", "why"),
    [
        (MOST, '"1000"', "no number"),
        (MOST, '"1"', "no number"),
        (MOST, "true", "no number"),
        (MOST, "null", "no number"),
        (MOST, "[1]", "no number"),
        (MOST, '{"n": 1}', "no number"),
        (LEAST, "99.99999999999999999999", "not every parser"),
        (MOST, "100.00000000000000000001", "not every parser"),
        (ArgConstraint("n", one_of=(9007199254740992,)), "9007199254740993", "not every parser"),
        (ArgConstraint("n", none_of=(1,)), "1.00000000000000000001", "not every parser"),
        (MOST, "1e99999999999999999999", "too large"),
        (MOST, "0." + "0" * 200 + "1", "too many digits"),
        (ArgConstraint("n", one_of=("a", 5), at_most=9), '"b"', "no number"),
        (ArgConstraint("n", one_of=(1,)), "true", "neither is listed"),
        (ArgConstraint("n", one_of=(1,)), '"1"', "a string, and none is listed"),
        (ArgConstraint("n", none_of=("5",)), "5", "a number, and none is listed"),
        (ArgConstraint("n", none_of=("x",)), '["x"]', "an object or array"),
        (ArgConstraint("n", none_of=("x",)), '{"x": "x"}', "an object or array"),
        (ArgConstraint("n", none_of=("x",)), "null", "null, and it is not listed"),
        (ArgConstraint("n", glob="*"), "5", "no string"),
        (ArgConstraint("n", glob="*"), '["a"]', "no string"),
        (ArgConstraint("n", glob="*a"), '"' + "x" * 9_000 + '"', "longer than 8192"),
        (ArgConstraint("n", max_length=5), "12", "neither a string nor an array"),
        (ArgConstraint("n", max_length=5), "{}", "neither a string nor an array"),
    ],
)
def test_a_value_that_it_cannot_judge_makes_it_throw(constraint: ArgConstraint, value: str, why: str) -> None:
    reason = judged(constraint, f'{{"n": {value}}}')
    assert isinstance(reason, str)
    assert reason.startswith("args.n: ")
    assert why in reason


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{"filter": {"region": "eu"}}', True),
        ('{"filter": {"region": "cn"}}', False),
        ('{"filter": {}}', False),
        ("{}", False),
        ('{"Filter": {"region": "eu"}}', TWIN),
        ('{"filter": {"region": "eu"}, "FILTER": {"region": "cn"}}', TWIN),
        ('{"filter": {"region": "eu", "regi\u00f6n": "cn"}}', True),
        ('{"filter": {"region": "eu", "Region": "cn"}}', TWIN),
        ('{"filter": {"REGION": "cn", "Region": "cn"}}', TWIN),
        ('{"\u017ffilter": 1, "filter": {"region": "eu"}, "x": {"Region": "cn"}}', True),
        ('{"filter": []}', "args.filter.region: its path leads through something that is no object"),
        ('{"filter": "eu"}', "args.filter.region: its path leads through something that is no object"),
        ('{"filter": null}', "args.filter.region: its path leads through something that is no object"),
        ('{"filter.region": "cn"}', "args.filter.region: a key with dots in it reads like its path"),
        (
            '{"filter": {"region": "eu"}, "filter.region": "cn"}',
            "args.filter.region: a key with dots in it reads like its path",
        ),
        ('{"filter": {"region": "eu", "region": "cn"}}', REPEATED),
        ('{"filter": {"region": "eu", "reg\\u0069on": "cn"}}', REPEATED),
        ('["eu"]', "the arguments are no object"),
        ('"eu"', "the arguments are no object"),
        ("null", False),
    ],
)
def test_a_path_leads_to_one_value_or_throws(arguments: str, expected: bool | str) -> None:
    assert judged(ArgConstraint("filter.region", one_of=("eu", "us")), arguments) == expected


def test_an_argument_that_is_not_there_meets_only_what_demands_that() -> None:
    for constraint in (MOST, LEAST, ArgConstraint("n", none_of=("x",)), ArgConstraint("n", present=True)):
        assert judged(constraint, "{}") is False
    assert judged(ArgConstraint("n", present=False), "{}") is True
    assert judged(ArgConstraint("a.b", present=False), '{"a": {}}') is True
    assert judged(ArgConstraint("a.b", present=False), '{"a.b": 1}') is not True
    assert judged(ArgConstraint("disk", present=False), '{"DI\u017f\u212a": 1}') is not True


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False), st.integers(-1_000, 1_000))
def test_bounds_agree_with_python(value: float, bound: int) -> None:
    arguments = f'{{"n": {value!r}}}'
    assert judged(ArgConstraint("n", at_most=bound), arguments) in (value <= bound, _UNSURE)
    assert judged(ArgConstraint("n", at_least=bound), arguments) in (value >= bound, _UNSURE)


_UNSURE = "args.n: a number of too many digits"


@pytest.mark.parametrize(
    ("constraint", "what"),
    [
        (ArgConstraint("n"), "demands nothing"),
        (ArgConstraint(""), "empty key"),
        (ArgConstraint("a..b", present=True), "empty key"),
        (ArgConstraint("n", present=False, at_most=5), "must not be there"),
        (ArgConstraint("n", at_least=5, at_most=4), "at least 5 and at most 4"),
        (ArgConstraint("n", at_most=float("nan")), "no number"),
        (ArgConstraint("n", at_most=float("inf")), "no number"),
        (ArgConstraint("n", at_most=True), "no number"),
        (ArgConstraint("n", at_most=2**53 + 1), "not every parser"),
        (ArgConstraint("n", one_of=(10**400,)), "not every parser"),
        (ArgConstraint("n", one_of=()), "list is empty"),
        (ArgConstraint("n", none_of=()), "list is empty"),
        (ArgConstraint("n", one_of=("a",), none_of=("a",)), "no listed value"),
        (ArgConstraint("n", one_of=(5, 6), at_most=4), "no listed value"),
        (ArgConstraint("n", one_of=("abc",), at_most=4), "no listed value"),
        (ArgConstraint("n", one_of=("abc",), glob="x*"), "no listed value"),
        (ArgConstraint("n", at_most=4, glob="x*"), "a number and demands a string"),
        (ArgConstraint("n", at_most=4, max_length=5), "a number and demands a string"),
        (ArgConstraint("n", max_length=-1), "no length"),
    ],
)
def test_a_constraint_that_nothing_meets_is_refused(constraint: ArgConstraint, what: str) -> None:
    with pytest.raises(BadConstraint) as refused:
        check_args([constraint])
    assert what in refused.value.what
    assert refused.value.path == constraint.path
    assert refused.value.remedy


def test_two_constraints_on_one_path_are_refused() -> None:
    with pytest.raises(BadConstraint, match="two constraints"):
        check_args([MOST, ArgConstraint("n", at_least=1)])
    check_args([ArgConstraint("n", one_of=(1, 2, "x"), at_most=1), ArgConstraint("m", none_of=("a",), glob="b*")])
