"""The kill drill: `kill -9` of the service a hundred times under load, and of dispatcher, workers and device client.

Clients hand in works all the while and repeat what is not answered. Afterwards every work that was acknowledged must be
there, in a final state, with the results that belong to it, and must have become DONE once. The last is counted by the
database itself: a trigger notes every change of status, whoever made it and whatever died.
"""

from __future__ import annotations

import json
import random
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from conqure.queue.packing import Packed
from conqure.queue.remote import RemoteQueue
from conqure.queue.setting import Order
from conqure.queue.work import WorkloadFormat, content_hash
from qpu_executors.errors import ConqureError
from qpu_executors.records import Priority, QuantumResult, QuantumTask
from qpu_executors.testing import BELL

from ..harness import Measure, measure
from .processes import Processes

ROUNDS = 100
CLIENTS = 8
PAUSE_S = 0.02  # of a client between two works: what is measured is survival, not speed
UP_S = (0.3, 1.5)  # how long a service lives
ENDS_WITHIN_S = 240.0

# The side-log of a lab's device: what has been run, however often.
LAB = """
import os, sys
workload, results, log = sys.argv[1:]
payload = open(workload, "rb").read()
with open(log, "ab") as file:
    file.write(payload + b"\\n")
open(results, "wb").write(b"ran " + payload)
"""

TRIGGER = """
CREATE TABLE IF NOT EXISTS drill (work_id TEXT, was TEXT, became TEXT);
CREATE TRIGGER IF NOT EXISTS drill_notes AFTER UPDATE OF status ON works WHEN OLD.status != NEW.status
BEGIN INSERT INTO drill VALUES (NEW.work_id, OLD.status, NEW.status); END;
"""


@dataclass
class Load:
    """Works as clients have them acknowledged, and how often a client had to repeat itself."""

    accepted: dict[str, bytes] = field(default_factory=dict)
    repeated: int = 0
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Findings:
    """What the drill is about. All but the first three numbers must be zero."""

    accepted: int
    kills: Counter[str]
    attempts: Counter[int]
    lost: int
    unfinished: int
    done_twice: int
    reopened: int
    wrong: int
    failed: int
    refused: int

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.unfinished or self.done_twice or self.reopened or self.wrong or self.refused)


def measures() -> Iterable[Measure]:
    with TemporaryDirectory(prefix="drill-") as folder:
        found = drill(Path(folder), ROUNDS)
    kills = ", ".join(f"{number} of {name}" for name, number in found.kills.items())
    again = sum(number for attempts, number in found.attempts.items() if attempts > 1)
    title = f"kill drill of the queue, kill -9 {kills}, {found.accepted:,} works"
    note = f"{again} works ran more than once, {found.failed} were given up as lost after three attempts"
    for name, number in (
        ("acknowledged works that are lost", found.lost),
        ("works that are DONE twice, or changed after their end", found.done_twice + found.reopened),
        ("works without a final state", found.unfinished),
        ("works with wrong results", found.wrong),
        ("requests that clients gave up", found.refused),
    ):
        yield measure(f"{title}: {name}", [float(number)], "works", goal=("<=", 0.0), note=note)


def drill(folder: Path, rounds: int, *, engine: str = "parsl", seed: int = 1) -> Findings:
    """Kill the service ``rounds`` times, and everything else once in a while; see what is left."""
    chance, load, over = random.Random(seed), Load(), threading.Event()
    kills: Counter[str] = Counter()
    with Processes(folder, engine, [sys.executable, "-c", LAB]) as here:
        with closing_sqlite(here.database) as database:
            database.executescript(TRIGGER)
        clients = [threading.Thread(target=_hand_in, args=(here, number, load, over)) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        for number in range(rounds):
            time.sleep(chance.uniform(*UP_S))
            for victim in ["service", *_others(number)]:
                kills[victim] += here.kill(victim)
            here.restart()
            print(f"  round {number + 1}: {len(load.accepted)} works accepted", file=sys.stderr, flush=True)
        over.set()
        for client in clients:
            client.join()
        here.until(lambda: not _open(here.database), ENDS_WITHIN_S)
        return _findings(here, load, kills)


def _others(number: int) -> Iterator[str]:
    """Who else dies in this round."""
    if other := {1: "workers", 2: "dispatcher", 3: "device client"}.get(number % 4):
        yield other


def _hand_in(here: Processes, number: int, load: Load, over: threading.Event) -> None:
    """A client that never gives up."""
    queue = RemoteQueue(here.url, here.token)
    made = 0
    while not over.wait(PAUSE_S):
        made += 1
        order = _for_the_lab(f"{number}.{made}") if made % 4 == 0 else _for_the_site(f"{number}.{made}")
        while True:
            try:
                work = queue.create(order)
            except ConqureError as error:
                load.repeated += 1
                if not error.transient:
                    load.errors.append(f"{type(error).__name__}: {error}")
                    break
            else:
                load.accepted[work.work_id] = order.packed.payload
                break
    queue.close()


def _for_the_site(name: str) -> Order:
    task = QuantumTask(BELL, device_id="sv0", shots=100, task_id=name)
    return Order(Packed(task.to_json().encode(), WorkloadFormat.TASK, "sv0"), Priority.MEDIUM)


def _for_the_lab(name: str) -> Order:
    return Order(Packed(name.encode(), WorkloadFormat.OPAQUE, "lab0"), Priority.MEDIUM)


@contextmanager
def closing_sqlite(path: Path) -> Iterator[sqlite3.Connection]:
    database = sqlite3.connect(path, timeout=60)
    try:
        yield database
    finally:
        database.close()


def _open(path: Path) -> int:
    with closing_sqlite(path) as database:
        final = "('DONE', 'CANCELED', 'ERROR')"
        return int(database.execute(f"SELECT count(*) FROM works WHERE status NOT IN {final}").fetchone()[0])


def _findings(here: Processes, load: Load, kills: Counter[str]) -> Findings:
    with closing_sqlite(here.database) as database:
        rows = database.execute("SELECT work_id, status, workload, results, attempts FROM works").fetchall()
        works = {row[0]: row[1:] for row in rows}
        changes = database.execute("SELECT work_id, was, became FROM drill").fetchall()
        parts = database.execute("SELECT content, data FROM payloads ORDER BY content, part")
        payloads: dict[str, bytes] = {}
        for content, data in parts:
            payloads[content] = payloads.get(content, b"") + data
    done = Counter(work_id for work_id, _, became in changes if became == "DONE")
    final = ("DONE", "CANCELED", "ERROR")
    there = {work_id: works[work_id] for work_id in load.accepted if work_id in works}
    right = [work_id for work_id, work in there.items() if _is_right(load.accepted[work_id], *work[:3], payloads)]
    return Findings(
        accepted=len(load.accepted),
        kills=kills,
        attempts=Counter(work[3] for work in there.values()),
        lost=len(load.accepted) - len(there),
        unfinished=sum(work[0] not in final for work in there.values()),
        done_twice=sum(number > 1 for number in done.values()),
        reopened=sum(was in final for _, was, _ in changes),
        wrong=len(there) - len(right),
        failed=sum(work[0] == "ERROR" for work in there.values()),
        refused=len(load.errors),
    )


def _is_right(payload: bytes, status: str, workload: str, results: str, payloads: dict[str, bytes]) -> bool:
    """Its workload is the client's, and its results, if it is DONE, are those of this workload."""
    if workload != content_hash(payload) or payloads.get(workload) != payload:
        return False
    if status != "DONE":
        return True
    found = payloads.get(results, b"")
    if not payload.startswith(b"{"):
        return found == b"ran " + payload
    with suppress(ConqureError):
        result = QuantumResult.from_json(found)
        return result.task_id == json.loads(payload)["task_id"] and sum(result.counts[0].values()) == 100
    return False
