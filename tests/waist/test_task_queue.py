"""The rule of who goes next."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qpu_executors import QPU, Entry, Priority, TaskQueue, UnknownDevice

QPUS = [QPU("ion0", "fake", 5, tags=("ion",)), QPU("ion1", "fake", 11, tags=("ion",)), QPU("sv0", "fake", 20)]


def queue_of(*entries, aging_s=60.0):
    queue = TaskQueue(QPUS, aging_s)
    for now, entry in enumerate(entries):
        queue.push(entry, float(now))
    return queue


def drain(queue, device_id):
    taken = []
    while (entry := queue.pop(device_id)) is not None:
        taken.append(entry.entry_id)
    return taken


def test_high_goes_before_medium_before_low_and_first_come_first_served_inside():
    levels = ["LOW", "HIGH", "MEDIUM", "LOW", "MEDIUM", "HIGH"]
    queue = queue_of(*(Entry(i, priority=Priority(level)) for i, level in enumerate(levels)))
    assert drain(queue, "sv0") == [1, 5, 2, 4, 0, 3]


def test_waiting_lifts_a_task_by_one_level_per_aging_time():
    queue = TaskQueue(QPUS, aging_s=60.0)
    queue.push(Entry("old low", priority=Priority.LOW), now=0.0)
    queue.push(Entry("young medium", priority=Priority.MEDIUM), now=59.0)
    queue.push(Entry("younger medium", priority=Priority.MEDIUM), now=61.0)
    queue.push(Entry("high", priority=Priority.HIGH), now=119.0)
    assert drain(queue, "sv0") == ["young medium", "high", "old low", "younger medium"]


def test_a_device_takes_only_what_selects_it():
    entries = [Entry(0, "ion0"), Entry(1, "tag:ion"), Entry(2, "qubits>=15"), Entry(3, "tag:ion,qubits>=10"), Entry(4)]
    assert drain(queue_of(*entries), "ion0") == [0, 1, 4]
    assert drain(queue_of(*entries), "ion1") == [1, 3, 4]
    assert drain(queue_of(*entries), "sv0") == [2, 4]


def test_what_nobody_can_run_is_refused():
    with pytest.raises(UnknownDevice, match="'ion0' \\(5 qubits, tag:ion\\)"):
        queue_of(Entry(0, "qubits>=21"))


def test_a_cancelled_task_is_gone():
    queue = queue_of(Entry(0), Entry(1))
    assert queue.cancel(0).entry_id == 0
    assert queue.cancel(0) is None
    assert len(queue) == 1
    assert drain(queue, "sv0") == [1]


def test_a_task_pushed_back_keeps_its_place():
    queue = queue_of(Entry(0), Entry(1), Entry(2))
    entry = queue.pop("sv0")
    queue.push_back(entry)
    assert drain(queue, "sv0") == [0, 1, 2]


def test_a_session_stays_on_one_device_and_sessions_spread():
    queue = TaskQueue(QPUS)
    for now in range(4):
        queue.push(Entry(f"a{now}", "tag:ion", session="a"), float(now))
        queue.push(Entry(f"b{now}", "tag:ion", session="b"), float(now))
    first, second = drain(queue, "ion0"), drain(queue, "ion1")
    assert {tuple(first), tuple(second)} == {("a0", "a1", "a2", "a3"), ("b0", "b1", "b2", "b3")}
    assert drain(queue, "sv0") == []


def test_a_session_that_holds_its_device_keeps_others_out_until_it_closes():
    queue = TaskQueue(QPUS)
    bound = queue.open_session("mine", "ion0", hold=True)
    queue.push(Entry("other", "ion0", priority=Priority.HIGH), 0.0)
    queue.push(Entry("own", "ion0", session="mine", priority=Priority.LOW), 1.0)
    assert bound == "ion0"
    assert drain(queue, "ion0") == ["own"]
    queue.close_session("mine")
    assert drain(queue, "ion0") == ["other"]


def test_sessions_leave_nothing_behind():
    queue = TaskQueue(QPUS)
    for number in range(100):
        queue.push(Entry(number, session=f"s{number}"), float(number))
    for number in range(100):
        queue.close_session(f"s{number}")
    assert sorted(entry_id for qpu in QPUS for entry_id in drain(queue, qpu.device_id)) == list(range(100))
    assert not queue._heaps
    assert not any(queue._served.values())


@given(
    st.lists(
        st.tuples(st.sampled_from(Priority), st.floats(0, 500), st.sampled_from(["any", "tag:ion", "ion0", "sv0"])),
        max_size=40,
    )
)
def test_nothing_is_lost_or_doubled_and_each_device_follows_the_rule(tasks):
    queue = TaskQueue(QPUS)
    for number, (priority, now, device_id) in enumerate(sorted(tasks, key=lambda task: task[1])):
        queue.push(Entry(number, device_id, priority), now)
    seen = []
    for device_id in ("ion0", "sv0", "ion1"):
        keys = []
        while (entry := queue.pop(device_id)) is not None:
            seen.append(entry.entry_id)
            keys.append(entry.key)
        assert keys == sorted(keys)
    assert sorted(seen) == list(range(len(tasks)))


def test_a_qpu_that_joins_serves_what_already_waits_and_fits() -> None:
    queue = TaskQueue([QPU("ion0", "fake", 3)])
    queue.push(Entry("small", "any"), now=0.0)
    queue.push(Entry("pinned", "ion0"), now=1.0)
    queue.add(QPU("ion1", "fake", 9))
    queue.push(Entry("large", "qubits>=5"), now=2.0)
    assert [entry.entry_id for _ in range(3) if (entry := queue.pop("ion1"))] == ["small", "large"]
