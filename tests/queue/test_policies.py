"""Policies: who goes next, and that nobody waits for ever."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conqure.queue.history import History
from conqure.queue.policies import POLICIES, FirstCome, Policy, policy_named
from conqure.queue.work import WorkRecord, WorkStatus, new_work_id
from qpu_executors import QPU
from qpu_executors.errors import InvalidSite

ION = QPU("ion0", "emulated", 7)


def work(ready_at: float = 0.0, priority: str = "MEDIUM", **fields: Any) -> WorkRecord:
    values = {"owner": "ada", "device_id": "ion0"} | fields
    return WorkRecord(new_work_id(), priority=priority, status=WorkStatus.READY, ready_at=ready_at, **values)


def order(policy: Policy | str, works: list[WorkRecord], now: float = 100.0, history: History | None = None) -> Any:
    policy = policy_named(policy) if isinstance(policy, str) else policy
    return policy.order(works, ION, now, history or History())


def test_first_come_first_served_inside_a_priority() -> None:
    low, late, early = work(0, "LOW"), work(20, "HIGH"), work(10, "HIGH")
    assert order("fifo", [low, late, early]) == [early, late, low]


def test_waiting_lifts_a_work_by_one_level_in_the_aging_time() -> None:
    old, new = work(0, "LOW"), work(3601, "MEDIUM")
    assert order(FirstCome(aging_s=3600), [new, old]) == [old, new]
    assert order(FirstCome(aging_s=3602), [new, old]) == [new, old]
    assert order(FirstCome(aging_s=math.inf), [new, old]) == [new, old]


def test_who_has_used_less_goes_first_and_old_use_is_forgotten() -> None:
    history = History(half_life_s=10)
    history.end("ada", history.start("ada", "ion0", 3, now=0.0), 50.0, now=0.0)
    history.end("eve", history.start("eve", "ion0", 3, now=0.0), 5.0, now=0.0)
    ada, eve, new = work(1, owner="ada"), work(2, owner="eve"), work(3, owner="new")
    assert order("fair_share", [ada, eve, new], now=10, history=history) == [new, eve, ada]
    assert history.used_s("ada", 0.0) == pytest.approx(50)
    assert history.used_s("ada", 10.0) == pytest.approx(25)


def test_a_work_that_has_started_counts_before_it_has_ended() -> None:
    history = History()
    history.start("ada", "ion0", 3, now=0.0)
    ada, eve = work(1, owner="ada"), work(2, owner="eve")
    assert order("fair_share", [ada, eve], now=3, history=history) == [eve, ada]


def test_works_with_as_many_qubits_as_before_go_first_inside_a_priority() -> None:
    history = History()
    history.start("ada", "ion0", 5, now=0.0)
    four, five, urgent = work(1, n_qubits=4), work(2, n_qubits=5), work(3, "HIGH", n_qubits=3)
    assert order("same_qubits", [four, five, urgent], now=10, history=history) == [urgent, five, four]


def test_a_run_that_is_close_to_convergence_goes_first() -> None:
    far, near, none = work(1, loop="a", convergence=0.2), work(2, loop="b", convergence=0.9), work(0)
    assert order("near_convergence", [far, near, none]) == [near, far, none]
    assert order("near_convergence", [work(0, convergence=0.9), near])[0] == near


def test_two_preferences_count_one_after_the_other() -> None:
    history = History()
    history.start("ada", "ion0", 5, now=0.0)
    a, b, c = (
        work(1, n_qubits=5, loop="a", convergence=0.1),
        work(2, n_qubits=5, loop="b", convergence=0.8),
        work(0, n_qubits=4, loop="c", convergence=0.9),
    )
    assert order("same_qubits+near_convergence", [a, b, c], now=10, history=history) == [b, a, c]
    assert order("near_convergence+same_qubits", [a, b, c], now=10, history=history) == [c, b, a]


@pytest.mark.parametrize("name", [name for name in POLICIES if name != "fifo"])
def test_a_work_that_has_waited_too_long_is_not_put_off_any_more(name: str) -> None:
    history = History()
    history.start("ada", "ion0", 5, now=0.0)
    patient = work(0, owner="ada", n_qubits=4)
    liked = work(500, owner="new", n_qubits=5, loop="b", convergence=0.99)
    policy = policy_named(name, patience_s=600)
    assert order(policy, [patient, liked], now=599, history=history)[0] == liked
    assert order(policy, [patient, liked], now=601, history=history)[0] == patient


@pytest.mark.slow
@pytest.mark.parametrize("name", [*POLICIES, "same_qubits+fair_share"])
@given(
    st.lists(
        st.builds(
            work,
            st.floats(0, 10_000),
            st.sampled_from(["LOW", "MEDIUM", "HIGH"]),
            owner=st.sampled_from(["ada", "eve"]),
            n_qubits=st.integers(0, 7),
            loop=st.sampled_from(["", "a"]),
            convergence=st.none() | st.floats(0, 1),
        ),
        max_size=12,
    )
)
def test_every_policy_gives_the_same_works_and_the_longest_waiting_comes_in_the_end(
    name: str, works: list[WorkRecord]
) -> None:
    history = History()
    history.start("ada", "ion0", 5, now=0.0)
    ordered = order(name, works, now=10_000, history=history)
    assert sorted(w.work_id for w in ordered) == sorted(w.work_id for w in works)
    if works and name != "fifo":  # when all is old, whoever has waited longest of the highest level is first
        first = order(name, works, now=1e9, history=history)[0]
        assert _seniority(first) == min(map(_seniority, works))


def _seniority(old: WorkRecord) -> tuple[float, float]:
    ready_at = old.ready_at or 0.0
    return old.priority.rank - (1e9 - ready_at) // 3600, ready_at


def test_an_unknown_policy_names_the_choices() -> None:
    with pytest.raises(InvalidSite, match="no policy 'newest'.*fifo, fair_share, same_qubits, near_convergence"):
        policy_named("newest")


def test_history_remembers_what_was_done_before_it_was_there() -> None:
    history = History()
    history.remember([work(0, ended_at=50.0, ran_on="ion0", n_qubits=5, metadata={"run_s": 8.0})])
    assert history.used_s("ada", 50.0) == pytest.approx(8)
    assert history.qubits_on("ion0") == 5


@pytest.mark.slow
def test_the_policies_of_the_paper_save_reloads_and_time_on_an_emulated_machine() -> None:
    from benchmarks.queue import policies

    fifo, same, near = (
        policies.day(policy_named(name, patience_s=1800), seed=1)
        for name in ("fifo", "same_qubits", "near_convergence")
    )
    assert same.reloads < fifo.reloads / 2
    assert same.makespan_s < fifo.makespan_s / 1.5
    assert near.loop_s < fifo.loop_s
    assert policies.day(policy_named("fifo"), seed=1) == fifo
