"""``create_work`` of the embedded client: no service between the call and the store."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from conqure.queue.store import Store, open_store
from conqure.queue.user_client import UserClient
from conqure.queue.work import WorkRecord, WorkStatus, new_work_id

from ..harness import Measure, measure, milliseconds
from .service import SITE_DEVICE, site_file
from .workloads import SHOTS, Ghz, number

QUBITS, MEASURED = 7, 200
SIZES = {"sqlite": (100, 10_000, 50_000), "tinydb": (100,)}


def measures() -> Iterable[Measure]:
    for kind, sizes in SIZES.items():
        for works in sizes:
            yield at(kind, works)
    yield at("sqlite", 100, running=True)


def at(kind: str, works: int, *, running: bool = False) -> Measure:
    """``running``: while this process also runs them, on a device that answers at once."""
    with tempfile.TemporaryDirectory(prefix="cq-") as name:
        folder = Path(name)
        store = open_store(f"{kind}:{folder / 'works'}")
        fill(store, works)
        with UserClient(embedded=True, store=store, site=site_file(folder), start=running) as client:
            tasks, circuits = _timed(client, 20 if kind == "tinydb" else MEASURED)
        store.close()
    return measure(
        f"embedded create_work, {kind} with {works:,} works{', while they run' * running}",
        tasks,
        "ms",
        goal=("<=", 1.0) if kind == "sqlite" and not running else None,
        note=f"a task of {QUBITS} qubits; a QuantumCircuit {statistics.median(circuits):.2f} ms",
    )


def _timed(client: UserClient, n: int) -> tuple[list[float], list[float]]:
    ghz = Ghz(QUBITS)
    circuit = ghz.circuit()
    tasks: list[float] = []
    circuits: list[float] = []
    for _ in range(n):
        create = partial(client.create_work, device_id=SITE_DEVICE)
        tasks.append(milliseconds(partial(create, ghz.task())))
        circuits.append(milliseconds(partial(create, circuit, shots=SHOTS, seed=int(number()))))
    return tasks, circuits


def fill(store: Store, works: int) -> None:
    """Works that are there already, many in one commit where the store can."""
    ghz, now = Ghz(QUBITS), time.time()
    later = getattr(store, "later", None)
    waiting = []
    for i in range(works):
        facts = {"status": WorkStatus.READY, "created_at": now + i / 1e3, "ready_at": now + i / 1e3}
        work = WorkRecord(new_work_id(), "ada@lab.example", SITE_DEVICE, **facts)  # type: ignore[arg-type]
        workload = ghz.task().to_json().encode()
        waiting.append(later("add", work, workload)) if later else store.add(work, workload)
        if len(waiting) == 1000:
            waiting = [added.result() for added in waiting][:0]
    for added in waiting:
        added.result()
