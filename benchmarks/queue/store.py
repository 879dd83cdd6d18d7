"""The stores themselves: what a durable record costs, and what it costs to claim one among a hundred thousand."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import sqlalchemy as sa

from conqure.queue.store import Store, open_store
from conqure.queue.stores.sql import SQLStore
from conqure.queue.work import WorkRecord, WorkStatus, new_work_id
from tests.queue.databases import MariaDB, PostgreSQL, running

from ..harness import Measure, beside, in_turn, measure, milliseconds, ratios

SIZES = {"tinydb": (100, 1_000, 10_000), "sqlite": (0, 1_000, 50_000)}
FEW, MANY = 100, 100_000
LINES = ("ion0", "ion1", "tag:ion", "any")
ROUNDS, REPEAT = 30, 5
WORKLOAD_BYTES = 1_000  # about a circuit of 7 qubits
TOGETHER = 5_000


def measures() -> Iterable[Measure]:
    for kind, sizes in SIZES.items():
        for works in sizes:
            yield add(kind, works)
    yield together()
    for name in ("sqlite", "mariadb", "postgresql"):
        yield claim(name)
    yield skip_locked()


def add(kind: str, works: int) -> Measure:
    """`Store.add` of a work with its workload, durable when it returns."""
    with opened(kind) as stores:
        (store,) = stores
        fill(store, works)
        store.add(new_work(), os.urandom(WORKLOAD_BYTES))
        times = [milliseconds(lambda: store.add(new_work(), os.urandom(WORKLOAD_BYTES))) for _ in range(200)]
    goal = ("<=", 1.0) if kind == "sqlite" else None
    return measure(f"add a work, {kind} with {works:,} works", times, "ms", goal=goal)  # type: ignore[arg-type]


def together() -> Measure:
    """Works handed over by a server, which awaits them all: `SQLStore.later`."""
    rates = []
    with opened("sqlite") as stores:
        for _ in range(5):
            works = [(new_work(), os.urandom(WORKLOAD_BYTES)) for _ in range(TOGETHER)]
            started = time.perf_counter()
            for added in [stores[0].later("add", *each) for each in works]:
                added.result()
            rates.append(TOGETHER / (time.perf_counter() - started))
    return measure(f"add {TOGETHER:,} works that arrive together, sqlite", rates, "works/s")


def claim(kind: str) -> Measure:
    """`waiting` and `claim` of one work, as a dispatcher does, with few and with many works that wait."""
    with opened(kind, 2) as stores:
        names = [f"{works:,} wait" for works in (FEW, MANY)]
        for store, works in zip(stores, (FEW, MANY), strict=True):
            fill(store, works)
        times = claims({name: (store, claiming(store)) for name, store in zip(names, stores, strict=True)})
        looking = in_turn({name: store.lines for name, store in zip(names, stores, strict=True)}, ROUNDS)
    return measure(
        f"claim with {MANY:,} works that wait, {kind}",
        ratios(times, names[1], names[0]),
        goal=("<=", 2.0),
        compared_with=f"{FEW} that wait",
        note=f"{beside(times)}; which lines there are: {beside(looking)}",
    )


def claims(calls: Mapping[str, tuple[Store, Callable[[], None]]]) -> dict[str, list[float]]:
    """As `in_turn`, but for each work that is claimed another one comes, which is not timed."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(ROUNDS + 1):
        for name, (store, call) in calls.items():
            taken = []
            for repeat in range(REPEAT):
                taken.append(milliseconds(call))
                store.add(new_work(repeat))
            times[name] += [median(taken)] if number else []
    return times


def claiming(store: Store) -> Callable[[], None]:
    def one() -> None:
        (work, *_) = store.waiting(LINES, 1)
        assert store.claim([work.work_id], "benchmark", None, time.time())

    return one


def skip_locked() -> Measure:
    """The other way to claim on MariaDB: one statement that takes the first row which nobody else has locked."""
    first = (
        "SELECT work_id FROM works WHERE status = 'READY' AND source = 'queue' AND device_id = %s AND `rank` = 2"
        " ORDER BY ready_at, work_id LIMIT 1 FOR UPDATE SKIP LOCKED"
    )
    take = "UPDATE works SET status = 'EXECUTING', claimed_by = 'benchmark', attempts = 1 WHERE work_id = %s"
    with opened("mariadb") as (store,):
        fill(store, 10_000)

        def one() -> None:
            with store.engine.begin() as connection:
                work_id = connection.exec_driver_sql(first, (LINES[0],)).scalar()
                connection.exec_driver_sql(take, (work_id,))

        times = claims({"ours": (store, claiming(store)), "SKIP LOCKED, one line": (store, one)})
    note = f"{beside(times)}; ours looks at {len(LINES)} lines and all priorities, and gives the records"
    return measure("claim on mariadb", ratios(times, *times), compared_with="FOR UPDATE SKIP LOCKED", note=note)


@contextmanager
def opened(kind: str, n: int = 1) -> Iterator[list[SQLStore]]:
    """``n`` empty stores of a kind, on a server of their own where they need one."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cq-")))
        urls = [f"{kind}:{folder}/works{i}" for i in range(n)]
        if kind in ("mariadb", "postgresql"):
            server = stack.enter_context(running({"mariadb": MariaDB, "postgresql": PostgreSQL}[kind]))
            urls = [server.url.replace("/works?", f"/works{i}?") for i in range(n)]
            engine = SQLStore(server.url).engine.execution_options(isolation_level="AUTOCOMMIT")
            with engine.connect() as connection:
                for i in range(n):
                    connection.execute(sa.text(f"CREATE DATABASE works{i}"))
            engine.dispose()
        stores = [open_store(url) for url in urls]
        for store in stores:
            stack.callback(store.close)
        yield stores  # type: ignore[misc]


def new_work(number: int = 0) -> WorkRecord:
    now = time.time()
    facts = {"status": WorkStatus.READY, "created_at": now, "ready_at": now}
    return WorkRecord(new_work_id(), "ada@lab.example", LINES[number % len(LINES)], **facts)  # type: ignore[arg-type]


def fill(store: Store, works: int) -> None:
    """Works that wait; TinyDB gets them in one write, which its verbs do not offer."""
    if isinstance(store, SQLStore):
        for at in range(0, works, TOGETHER):
            for added in [store.later("add", new_work(i)) for i in range(at, min(works, at + TOGETHER))]:
                added.result()
        return
    with store._lock:  # type: ignore[attr-defined]
        table = {work.work_id: work.describe() for work in map(new_work, range(works))}
        store._storage.write({"works": table})  # type: ignore[attr-defined]
