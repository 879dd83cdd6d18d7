"""Whoever is killed while a task runs at a vendor's: it is submitted once, and its caller gets the counts."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import dask
import parsl
import pytest
from distributed import Client

import conqure_dask
import conqure_parsl
from conqure.queue.store import open_store
from conqure_parsl import parsl_config
from qpu_executors import QuantumResult, QuantumTask, Site, run, submissions
from qpu_executors.testing import BELL

from ..queue.dispatching import add, dispatching, ended
from . import functions as f
from .vendor import Vendor

TASK = QuantumTask(BELL, shots=100, seed=1, task_id="the-task")
QUICKLY = {"distributed.deploy.lost-worker-timeout": "50ms"}


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def submitted(vendor: Vendor) -> bool:
    """The vendor has it, and so it is written down: whoever waits for it can be killed now."""
    return vendor.submissions == 1 and [one.remote_id for one in submissions.submissions()] == ["job-1"]


def was_run_once(vendor: Vendor, result: object) -> None:
    assert (vendor.submissions, vendor.shots_billed) == (1, 100)
    assert result.metadata["remote_id"] == "job-1"  # type: ignore[attr-defined]
    assert sum(result.counts[0].values()) == 100  # type: ignore[attr-defined]


RESTARTED = """
import json, sys
from qpu_executors import QPU, QPUThreadPool, QuantumTask, run

with QPUThreadPool([QPU("vendor0", "vendor", 10, options={"url": sys.argv[1]})]) as pool:
    print(pool.submit(run, QuantumTask.from_json(sys.argv[2])).result().to_json())
"""


def test_a_program_that_is_killed_and_started_again(vendor: Vendor) -> None:
    words = [sys.executable, "-c", RESTARTED, vendor.url, TASK.to_json()]
    vendor.behave(hold=True)
    with subprocess.Popen(words, stdout=subprocess.PIPE) as first:
        until(lambda: submitted(vendor))
        first.kill()
    vendor.behave(hold=False)
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    was_run_once(vendor, type("Result", (), json.loads(done.stdout)))


DISPATCHES = """
import sys, time
from conqure.queue.dispatcher import Dispatcher
from conqure.queue.store import open_store
from qpu_executors import QPU, QPUThreadPool

qpus = [QPU("vendor0", "vendor", 10, options={"url": sys.argv[1]})]
with QPUThreadPool(qpus) as pool, Dispatcher(open_store(sys.argv[2]), pool, qpus, name="site", look_s=0.02, batch=8):
    time.sleep(600)
"""


@pytest.mark.slow
@pytest.mark.parametrize("n_works", [1, 3])
def test_a_dispatcher_that_is_killed(vendor: Vendor, tmp_path: Path, n_works: int) -> None:
    """Works that were joined to one task are so again, and a newcomer is not among them."""
    vendor.behave(hold=True)
    url = f"sqlite:{tmp_path / 'works.db'}"
    store = open_store(url)
    ids = [add(store, TASK.replace(seed=None), device_id="vendor0") for _ in range(n_works)]
    with subprocess.Popen([sys.executable, "-c", DISPATCHES, vendor.url, url]) as dispatcher:
        until(lambda: submitted(vendor))
        dispatcher.kill()
    newcomer = add(store, TASK.replace(seed=None), device_id="vendor0")
    vendor.behave(hold=False)
    with dispatching(store, vendor.qpu(), name="site", batch=8):
        works = ended(store, *ids, newcomer)
    results = [QuantumResult.from_json(store.payload(work.results)) for work in works]
    assert [work.attempts for work in works] == [2] * n_works + [1]
    assert [result.metadata["remote_id"] for result in results] == ["job-1"] * n_works + ["job-2"]
    assert {result.task_id for result in results} == {"the-task"}
    assert vendor.shots_billed == 100 * (n_works + 1)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["a pool", "a pool without leases", "an app that returns a circuit", "an app with qpu"])
def test_a_dask_worker_that_is_killed(vendor: Vendor, way: str) -> None:
    vendor.behave(hold=True)
    site = Site("remote", (vendor.qpu(),), cpu_workers=1)
    with (
        dask.config.set(QUICKLY),
        conqure_dask.cluster(site) as started,
        Client(started) as client,
        conqure_dask.pool(client, retries=2, leases="without" not in way) as pool,
    ):
        if "pool" in way:
            future = pool.submit(run, TASK)
        else:
            function = f.run_bell if "qpu" in way else f.bell
            future = conqure_dask.quantum_app(shots=100)(function)()
        until(lambda: submitted(vendor))
        os.kill(started.workers["vendor0"].process.pid, signal.SIGKILL)
        vendor.behave(hold=False)
        was_run_once(vendor, future.result(timeout=60))


@pytest.mark.slow
@pytest.mark.parametrize("way", ["a pool", "an app that returns a circuit", "an app with qpu"])
def test_a_parsl_worker_that_is_killed(vendor: Vendor, tmp_path: Path, way: str) -> None:
    vendor.behave(hold=True)
    site = Site("remote", (vendor.qpu(),))
    config = parsl_config(site, qpu_mode="workers", cpu_workers=0, retries=2, run_dir=str(tmp_path / "runs"))
    with parsl.load(config) as dfk:
        if "pool" in way:
            future = conqure_parsl.pool(dfk).submit(run, TASK)
        else:
            function = f.run_bell if "qpu" in way else f.bell
            future = conqure_parsl.quantum_app(shots=100)(function)()
        until(lambda: submitted(vendor))
        (worker,) = dfk.executors["qpu"].list_workers()
        os.kill(worker["pid"], signal.SIGKILL)
        vendor.behave(hold=False)
        result = future.result(timeout=60)
    was_run_once(vendor, result)
    assert result.metadata["attempts"] == 2
