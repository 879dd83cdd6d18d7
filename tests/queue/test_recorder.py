"""The recorder: what engines run is kept as works, and a program never waits for the store."""

import os
import subprocess
import sys
import textwrap
from concurrent.futures import CancelledError
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from conqure.queue.memory import MemoryStore
from conqure.queue.recorder import Recorder
from conqure.queue.results import read_results
from conqure.queue.store import WorkQuery, open_store
from conqure.queue.work import WorkloadFormat, WorkRecord, WorkStatus
from qpu_executors import QPU, QuantumTask, run
from qpu_executors.errors import InvalidTask, StoreError
from qpu_executors.observing import GROUP, Observer, observers, task_of, unobserved
from qpu_executors.testing import BELL
from qpu_executors.threads import QPUThreadPool

from .dispatching import result_of, until

SV = QPU("sv0", "statevector", 7)


def recorded(store: MemoryStore, n: int) -> list[WorkRecord]:
    """All works once there are so many, and none runs."""
    until(lambda: len(store.find()) == n and all(work.status.is_final for work in store.find()))
    return store.find()


def test_a_task_is_recorded_with_its_program_its_results_and_its_times() -> None:
    store, task = MemoryStore(), QuantumTask(BELL, shots=7, priority="HIGH")
    recorder = Recorder(store, "ada", "parsl")
    recorder.submitted(task)
    until(lambda: store.find())
    assert [work.status for work in store.find()] == [WorkStatus.EXECUTING]
    recorder.finished(task, result_of(task, device_id="ion0", started_at=100.0, ended_at=100.5))
    (work,) = recorded(store, 1)
    recorder.close()
    assert (work.owner, work.source, work.ran_on, work.engine) == ("ada", "parsl", "ion0", "parsl")
    assert (work.n_qubits, work.n_rows, work.shots, work.priority) == (2, 1, 7, "HIGH")
    assert (work.started_at, work.ended_at, work.metadata["run_s"]) == (100.0, 100.5, 0.5)
    assert QuantumTask.from_json(store.payload(work.workload)) == task
    assert read_results(store.payload(work.results), work.format).task_id == task.task_id


def test_errors_and_cancellations_are_recorded_with_their_reason() -> None:
    store, tasks = MemoryStore(), [QuantumTask(BELL) for _ in range(3)]
    recorder = Recorder(store, "ada")
    for task, error in zip(tasks, [InvalidTask("no"), ValueError("what"), CancelledError()], strict=True):
        recorder.submitted(task)
        recorder.finished(task, error)
    recorder.close()
    found = {work.metadata["task_id"]: work for work in store.find()}
    invalid, other, canceled = (found[task.task_id] for task in tasks)
    assert (invalid.status, invalid.error, invalid.error_kind) == (WorkStatus.ERROR, "no", "invalid_task")
    assert (other.status, other.error) == (WorkStatus.ERROR, "ValueError: what")
    assert canceled.status is WorkStatus.CANCELED


def test_a_function_is_recorded_by_its_name_and_by_what_it_gave() -> None:
    store = MemoryStore()
    recorder = Recorder(store, "ada")
    several, nothing = task_of(test_errors_and_cancellations_are_recorded_with_their_reason, "any"), task_of(max, "any")
    results = [result_of(several, device_id="ion0") for _ in range(2)]
    for task, outcome in ((several, results), (nothing, None)):
        recorder.submitted(task)
        recorder.finished(task, outcome)
    recorder.close()
    found = {work.name: work for work in store.find()}
    assert set(found) == {several.program, "builtins.max"}
    of_several, of_nothing = found[str(several.program)], found["builtins.max"]
    assert read_results(store.payload(of_several.results), of_several.format) == results
    assert (of_nothing.status, of_nothing.format) == (WorkStatus.DONE, WorkloadFormat.OPAQUE)
    assert store.payload(of_nothing.results) == b""


def test_results_that_cannot_be_written_down_do_not_hide_that_the_task_was_done() -> None:
    store, task = MemoryStore(), QuantumTask(BELL)
    recorder = Recorder(store, "ada")
    recorder.submitted(task)
    recorder.finished(task, result_of(task, metadata={"what": object()}))
    recorder.close()
    assert [(work.status, work.format) for work in store.find()] == [(WorkStatus.DONE, WorkloadFormat.OPAQUE)]


def test_one_task_that_is_submitted_twice_is_two_works() -> None:
    store, task = MemoryStore(), QuantumTask(BELL)
    recorder = Recorder(store, "ada")
    for _ in range(2):
        recorder.submitted(task)
    for _ in range(2):
        recorder.finished(task, result_of(task))
    recorder.close()
    assert [work.status for work in store.find()] == [WorkStatus.DONE] * 2


def test_a_recorded_work_is_never_claimed_and_its_claim_is_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conqure.queue.recorder.LEASE_S", 0.3)
    store, task = MemoryStore(), QuantumTask(BELL)
    recorder = Recorder(store, "ada")
    recorder.submitted(task)
    until(lambda: store.find())
    first = store.find()[0].lease_until or 0
    until(lambda: (store.find()[0].lease_until or 0) > first + 0.4)
    assert not store.lines()
    recorder.close()


class _Dead(MemoryStore):
    dead = True

    def add(self, *args: Any, **kwargs: Any) -> WorkRecord:
        if self.dead:
            raise StoreError("away")
        return super().add(*args, **kwargs)


def test_a_dead_store_blocks_nobody_and_memory_stays_bounded() -> None:
    store = _Dead()
    recorder = Recorder(store, "ada", most_events=50)
    tasks = [QuantumTask(BELL) for _ in range(1000)]
    for task in tasks:
        recorder.submitted(task)
    assert recorder.dropped >= 1000 - 50 - 256
    assert len(recorder._events) <= 50
    store.dead = False
    until(lambda: store.find())
    recorder.close()
    assert len(store.find(limit=2000)) == 1000 - recorder.dropped


def test_what_was_told_while_the_store_was_away_is_recorded_later_in_order() -> None:
    store, task = _Dead(), QuantumTask(BELL)
    recorder = Recorder(store, "ada")
    recorder.submitted(task)
    recorder.finished(task, result_of(task))
    until(lambda: not recorder._events)
    store.dead = False
    assert recorded(store, 1)[0].status is WorkStatus.DONE
    recorder.close()


def test_a_pool_tells_its_observers_and_what_they_raise_does_not_matter() -> None:
    class Broken:
        def submitted(self, task: QuantumTask) -> None:
            raise RuntimeError("broken")

        def finished(self, task: QuantumTask, outcome: Any) -> None:
            raise RuntimeError("broken")

    store, broken = MemoryStore(), Broken()
    recorder: Observer = Recorder(store, "ada")
    with QPUThreadPool([SV], observers=[broken, recorder]) as pool:
        assert pool.submit(run, QuantumTask(BELL, shots=5)).result().shots == 5
        pool.submit(max, 1, 2).result()
    (work,) = recorded(store, 1)
    recorder.close()  # type: ignore[attr-defined]
    assert work.ran_on == "sv0"


def test_nobody_watches_unless_the_environment_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONQURE_RECORD", raising=False)
    assert observers("threads") == ()
    monkeypatch.setenv("CONQURE_RECORD", "memory:")
    with unobserved():
        assert observers("threads") == ()
    monkeypatch.setenv("CONQURE_WORKER", "parsl")
    assert observers("threads") == ()


# -- whole programs: nothing in them knows of the recorder --

PARSL = """
    import parsl
    from conqure_parsl import parsl_config, pool, quantum_app
    from qpu_executors import QPU, QuantumTask, Site, run
    from qpu_executors.testing import BELL

    @quantum_app(shots=50)
    def bell(text):
        return text

    @quantum_app
    def own(text, qpu):
        return sum(qpu.run(text, shots=10).counts[0].values())

    @parsl.python_app
    def classical():
        return 1

    site = Site("test", (QPU("sv0", "statevector", 7),))
    with parsl.load(parsl_config(site, cpu_workers=1, qpu_mode=MODE)) as dfk:
        assert sum(bell(BELL).result().counts[0].values()) == 50
        assert own(BELL).result() == 10
        assert len(bell([BELL, BELL], shots=3).result()) == 2
        assert pool(dfk).submit(run, QuantumTask(BELL, shots=5)).result().shots == 5
        assert classical().result() == 1
        try:
            bell("nonsense").result()
        except ValueError:
            pass
"""

DASK = """
    from conqure_dask import cluster, pool, quantum_app
    from distributed import Client
    from qpu_executors import QPU, QuantumTask, Site, run
    from qpu_executors.testing import BELL

    @quantum_app(shots=50)
    def bell(text):
        return text

    @quantum_app
    def own(text, qpu):
        return sum(qpu.run(text, shots=10).counts[0].values())

    if __name__ == "__main__":
        site = Site("test", (QPU("sv0", "statevector", 7),))
        with cluster(site) as started, Client(started) as client:
            assert sum(bell(BELL).result().counts[0].values()) == 50
            assert own(BELL).result() == 10
            assert len(bell([BELL, BELL], shots=3).result()) == 2
            for leases in (True, False):
                with pool(client, leases=leases) as qpus:
                    assert qpus.submit(run, QuantumTask(BELL, shots=5)).result().shots == 5
            try:
                bell("nonsense").result()
            except ValueError:
                pass
"""

THREADS = """
    from conqure.engines import open_engine
    from qpu_executors import QPU, QuantumTask, Site, run
    from qpu_executors.testing import BELL

    with open_engine("threads", Site("test", (QPU("sv0", "statevector", 7),))) as engine:
        for shots in (5, 6):
            engine.qpus.submit(run, QuantumTask(BELL, shots=shots)).result()
"""


BRIDGE = """
    from conqure.serving import serving
    from openmpq_runtime import connect
    from qpu_executors import QPU, QuantumTask, Site, run
    from qpu_executors.testing import BELL

    site = Site("test", (QPU("sv0", "statevector", 7),))
    with serving(site, ENGINE) as served, connect(served.bridge.environment()) as pool:
        assert pool.submit(run, QuantumTask(BELL, shots=9)).result().shots == 9
"""

QUEUE = """
    import os
    from conqure.queue.user_client import UserClient
    from qpu_executors import QPU, QuantumTask, Site
    from qpu_executors.testing import BELL

    site = Site("test", (QPU("sv0", "statevector", 7),))
    with UserClient(embedded=True, store=os.environ["CONQURE_RECORD"], site=site) as client:
        work_id = client.create_work(QuantumTask(BELL, shots=11))
        client.wait_until_done(work_id, progress=False)
"""


def run_recorded(folder: Path, program: str, **variables: str) -> list[WorkRecord]:
    """The works that a program has left in its store, which is opened by its URL afterwards."""
    (folder / "program.py").write_text(textwrap.dedent(program))
    url = f"sqlite:{folder / 'works.db'}"
    environment = os.environ | {"CONQURE_RECORD": url, "PYTHONPATH": _with_entry_point(folder)} | variables
    done = subprocess.run([sys.executable, "program.py"], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    store = open_store(url)
    found = store.find(WorkQuery())
    for work in found:
        if work.format is not WorkloadFormat.OPAQUE and work.status is WorkStatus.DONE:
            assert read_results(store.payload(work.results), work.format)
    store.close()
    return found


def _with_entry_point(folder: Path) -> str:
    """An installation from before the recorder does not name it; the test does so then."""
    if not entry_points(group=GROUP):
        made = folder / "packages" / "observers-0.dist-info"
        made.mkdir(parents=True)
        (made / "METADATA").write_text("Metadata-Version: 2.1\nName: observers\nVersion: 0\n")
        (made / "entry_points.txt").write_text(f"[{GROUP}]\nstore = conqure.queue.recorder:from_environment\n")
    return str(folder / "packages")


def _check_apps(found: list[WorkRecord], source: str, n_tasks: int) -> None:
    assert {work.source for work in found} == {source}
    by_name: dict[str, list[WorkRecord]] = {}
    for work in found:
        by_name.setdefault(work.name.rpartition(".")[2], []).append(work)
    bells, owns, tasks = by_name["bell"], by_name["own"], by_name[""]
    assert sorted(work.status for work in bells) == ["DONE", "DONE", "ERROR"]
    assert {work.ran_on for work in bells if work.status is WorkStatus.DONE} == {"sv0"}
    assert sorted(work.shots for work in bells) == [3, 50, 50]
    assert [work.status for work in owns] == [WorkStatus.DONE]
    assert [(work.status, work.shots, work.n_qubits) for work in tasks] == [(WorkStatus.DONE, 5, 2)] * n_tasks
    assert all((work.ended_at or 0) >= (work.started_at or 0) > 0 for work in found)
    assert len(by_name) == 3


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["threads", "workers"])
def test_a_parsl_program_is_recorded_without_its_doing(tmp_path: Path, mode: str) -> None:
    _check_apps(run_recorded(tmp_path, PARSL.replace("MODE", repr(mode))), "parsl", n_tasks=1)


@pytest.mark.slow
def test_a_dask_program_is_recorded_without_its_doing(tmp_path: Path) -> None:
    _check_apps(run_recorded(tmp_path, DASK), "dask", n_tasks=2)


@pytest.mark.slow
def test_a_program_on_threads_is_recorded_without_its_doing(tmp_path: Path) -> None:
    found = run_recorded(tmp_path, THREADS)
    assert [(work.source, work.status) for work in found] == [("threads", WorkStatus.DONE)] * 2
    assert {work.shots for work in found} == {5, 6}


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["threads", "parsl"])
def test_what_passes_a_bridge_is_recorded_once_as_its_own(tmp_path: Path, engine: str) -> None:
    found = run_recorded(tmp_path, BRIDGE.replace("ENGINE", repr(engine)))
    assert [(work.source, work.status, work.shots) for work in found] == [("openmpq", WorkStatus.DONE, 9)]


@pytest.mark.slow
def test_works_of_the_queue_are_not_recorded_a_second_time(tmp_path: Path) -> None:
    found = run_recorded(tmp_path, QUEUE)
    assert [(work.source, work.status, work.shots) for work in found] == [("queue", WorkStatus.DONE, 11)]


@pytest.mark.slow
def test_a_program_runs_although_it_cannot_be_recorded(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(textwrap.dedent(THREADS))
    environment = os.environ | {"CONQURE_RECORD": "nothing:like-this", "PYTHONPATH": _with_entry_point(tmp_path)}
    done = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0
    assert "cannot be had" in done.stderr
    assert "nothing:like-this" in done.stderr
