"""The benchmark's arithmetic: percentiles, pooling, ratios."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.figures import Figures, Latencies, NothingAnswered, Slice, ratio, summed


def one_slice(
    calls: int = 100,
    seconds: float = 1.0,
    *,
    wrong: int = 0,
    problem: str = "",
    cpu_s: Mapping[str, float] | None = None,
) -> Slice:
    return Slice(calls, seconds, wrong, problem, Latencies({500: calls}), cpu_s or {"authz": 0.05})


@pytest.mark.parametrize(("percent", "expected_ms"), [(0, 0.001), (50, 0.05), (99, 0.099), (99.5, 0.1), (100, 0.1)])
def test_percentiles_are_of_the_nearest_rank(percent: float, expected_ms: float) -> None:
    assert Latencies(dict.fromkeys(range(1, 101), 1)).percentile_ms(percent) == expected_ms


def test_one_slow_call_in_a_hundred_is_not_hidden_by_counting() -> None:
    latencies = Latencies({200: 98, 90_000: 2})
    assert (latencies.percentile_ms(50), latencies.percentile_ms(99)) == (0.2, 90.0)


@given(st.dictionaries(st.integers(0, 10**8), st.integers(1, 50), min_size=1), st.floats(0, 100))
def test_a_percentile_is_within_a_hundredth_of_the_exact_one(counts: dict[int, int], percent: float) -> None:
    every = sorted(us for us, count in counts.items() for _ in range(count))
    rank = max(1, -int(-(len(every) * percent / 100 - 1e-9) // 1))
    exact_ms = every[min(rank, len(every)) - 1] / 1000
    found = Latencies(counts).percentile_ms(percent)
    assert found <= exact_ms
    assert found >= exact_ms * 0.99 - 1e-9


@given(st.lists(st.dictionaries(st.integers(0, 10**7), st.integers(1, 50)), max_size=4))
def test_merging_loses_no_call(several: list[dict[int, int]]) -> None:
    merged = Latencies.merged(Latencies(counts) for counts in several)
    assert merged.total == sum(sum(counts.values()) for counts in several)


@pytest.mark.parametrize("percent", [-1, 101])
def test_a_percentage_outside_its_range_is_refused(percent: float) -> None:
    with pytest.raises(ValueError, match="percentage"):
        Latencies({1: 1}).percentile_ms(percent)


def test_no_latencies_have_no_percentile() -> None:
    with pytest.raises(ValueError, match="needs latencies"):
        Latencies().percentile_ms(50)


def test_throughput_is_the_median_of_the_slices_and_shows_their_spread() -> None:
    found = summed("governed", 1, 16, [one_slice(100), one_slice(400, 2.0), one_slice(900)])
    assert (found.calls_per_s, found.calls_per_s_least, found.calls_per_s_most) == (200, 100, 900)
    assert found.calls == 1400


def test_cpu_time_a_call_is_over_all_calls_not_a_mean_of_means() -> None:
    slices = [one_slice(100, cpu_s={"authz": 0.1}), one_slice(300, cpu_s={"authz": 0.5, "envoy": 0.2})]
    found = summed("governed", 1, 16, slices)
    assert found.cpu_ms == pytest.approx({"authz": 1.5, "envoy": 0.5})


def test_wrong_answers_of_any_slice_are_kept_with_the_first_reason() -> None:
    slices = [one_slice(), one_slice(wrong=2, problem="status 503"), one_slice(wrong=1, problem="later")]
    found = summed("governed", 1, 16, slices)
    assert (found.wrong, found.problem) == (3, "status 503")


def test_a_path_that_answered_nothing_rightly_has_no_figures_and_says_why() -> None:
    with pytest.raises(NothingAnswered, match=r"governed, 1 KB, 16 clients: .* \(status 503\)"):
        summed("governed", 1, 16, [one_slice(0, wrong=9, problem="status 503")])


def test_the_ratio_is_of_throughputs() -> None:
    governed: Figures = summed("governed", 1, 16, [one_slice(100)])
    plain = summed("plain envoy", 1, 16, [one_slice(400)])
    assert ratio(governed, plain) == 0.25
