"""What is remembered stays within its bounds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from countersign.policy.conditions.memory import Memory


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 12)), max_size=40))
def test_neither_the_number_nor_the_weight_ever_grows_too_large(puts: list[tuple[int, int]]) -> None:
    memory = Memory[int, int](entries=4, weight=20)
    kept = dict[int, int]()
    for key, weight in puts:
        memory.put(key, weight, weight=weight)
        kept[key] = weight
        assert memory.get(key) == weight
        assert len(memory) <= 4
        found = [known for known in range(10) if memory.get(known) is not None]
        assert memory.weighs == sum(kept[known] for known in found) <= 20


def test_what_was_asked_for_lately_stays() -> None:
    memory = Memory[str, int](entries=2, weight=9)
    memory.put("a", 1, weight=1)
    memory.put("b", 2, weight=1)
    assert memory.get("a") == 1
    memory.put("c", 3, weight=1)
    assert (memory.get("a"), memory.get("b"), memory.get("c")) == (1, None, 3)


def test_what_weighs_too_much_is_not_kept_and_puts_nothing_out() -> None:
    memory = Memory[str, int](entries=2, weight=9)
    memory.put("a", 1, weight=9)
    memory.put("b", 2, weight=10)
    assert (memory.get("a"), memory.get("b")) == (1, None)
