"""A dispatcher that is killed at any moment loses no work, and none ends twice."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conqure.queue.store import WorkQuery, open_store
from conqure.queue.work import WorkRecord, WorkStatus

from .dispatching import FAKE, add, dispatching, ended, until

PROGRAM = textwrap.dedent("""
    import sys, time
    from conqure.queue.dispatcher import Dispatcher
    from conqure.queue.store import open_store
    from qpu_executors import QPU
    from qpu_executors.threads import QPUThreadPool

    store, name = open_store(sys.argv[1]), sys.argv[2]
    qpus = [QPU("fake0", "fake", 7, options={"delay_s": 0.02}), QPU("fake1", "fake", 7, options={"delay_s": 0.02})]
    options = dict(name=name, lease_s=1.0, look_s=0.02, max_attempts=99)
    with QPUThreadPool(qpus) as pool, Dispatcher(store, pool, qpus, **options):
        time.sleep(600)
""")


@contextlib.contextmanager
def killed_after(url: str, condition: Callable[[], object], name: str = "") -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, url, name])
    try:
        until(condition)
        yield
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["", "site"])
def test_every_work_ends_once_although_its_dispatchers_are_killed(tmp_path: Path, name: str) -> None:
    url = f"sqlite:{tmp_path / 'works.db'}"
    store = open_store(url)
    ids = [add(store, device_id="any") for _ in range(120)]

    def n_done() -> int:
        return len(store.find(WorkQuery(statuses=(WorkStatus.DONE,)), 1000))

    for share in (20, 50, 80):
        with killed_after(url, lambda share=share: n_done() >= share, name):
            pass
    ends: Counter[str] = Counter()
    done_before = {work.work_id for work in store.find(WorkQuery(statuses=(WorkStatus.DONE,)), 1000)}

    def count(work: WorkRecord) -> None:
        ends[work.work_id] += work.status.is_final

    store.listeners.append(count)
    with dispatching(store, FAKE, lease_s=1.0, max_attempts=99):
        done = ended(store, *ids, seconds=60)
    assert {work.status for work in done} == {WorkStatus.DONE}
    assert not done_before & set(ends)
    assert set(ends.values()) <= {1}
    assert 0 < sum(work.attempts > 1 for work in done) <= 6  # two at a time, three times
    store.close()


@pytest.mark.slow
def test_a_service_with_a_fixed_name_takes_its_works_up_at_once_after_a_crash(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'works.db'}"
    store = open_store(url)
    work_id = add(store, device_id="fake0")
    program = PROGRAM.replace("0.02}),", "600}),", 1).replace("lease_s=1.0", "lease_s=600.0")
    process = subprocess.Popen([sys.executable, "-c", program, url, "service"])
    until(lambda: store.get(work_id).status is WorkStatus.EXECUTING)
    process.kill()
    process.wait()
    began = time.monotonic()
    with dispatching(store, FAKE, name="service"):
        (work,) = ended(store, work_id)
    assert time.monotonic() - began < 10
    assert (work.status, work.attempts) == (WorkStatus.DONE, 2)
    store.close()
