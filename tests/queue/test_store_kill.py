"""Programs that are killed while they write: what they were told is kept, and others go on."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from conqure.queue.migrating import every_work
from conqure.queue.store import open_store
from conqure.queue.work import WorkStatus, content_hash

# Adds works, claims and ends them, and prints what it was told, once it is durable.
PROGRAM = """
import sys, threading, time
from conqure.queue.store import open_store
from conqure.queue.work import WorkRecord, WorkStatus, new_work_id
store = open_store(sys.argv[1])
lock = threading.Lock()

def say(*words):
    with lock:
        sys.stdout.write(" ".join(words) + "\\n")
        sys.stdout.flush()

def work(me):
    while True:
        new = WorkRecord(new_work_id(), "ada", status="READY", created_at=time.time(), ready_at=time.time())
        payload = new.work_id.encode() * 50
        if hasattr(store, "later"):
            store.later("add", new, payload).result()
        else:
            store.add(new, payload)
        say("READY", new.work_id)
        if store.claim([new.work_id], me, None, time.time()):
            store.move(new.work_id, WorkStatus.DONE, time.time(), claim=(me, 1), results=payload[::-1])
            say("DONE", new.work_id)

say("started")
for i in range(int(sys.argv[2])):
    threading.Thread(target=work, args=[f"thread {i}"]).start()
"""


class Writer:
    """The program, and what it was told until it was killed."""

    def __init__(self, url: str, threads: int) -> None:
        command = [sys.executable, "-c", PROGRAM, url, str(threads)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "started\n"

    def kill(self) -> list[list[str]]:
        self.process.kill()
        said, _ = self.process.communicate(timeout=30)
        return [line.split() for line in said.splitlines(keepends=True) if line.endswith("\n")]


@pytest.fixture(params=["tinydb", "sqlite", "mariadb", "postgresql"])
def lasting_url(request: Any, tmp_path: Path) -> str:
    kind: str = request.param
    if kind in ("mariadb", "postgresql"):
        return str(request.getfixturevalue(kind))
    return {"tinydb": f"tinydb:{tmp_path}/works", "sqlite": f"sqlite:{tmp_path}/works.db"}[kind]


def check(url: str, told: dict[str, str]) -> None:
    """Each work that somebody was told of is there, whole, and at least as far as he was told."""
    store = open_store(url)
    found = {work.work_id: work for work in every_work(store)}
    assert set(told) <= set(found), f"{len(set(told) - set(found))} of {len(told)} acknowledged works are lost"
    for work_id, status in told.items():
        work = found[work_id]
        assert status == "READY" or work.status is WorkStatus.DONE
    for work in found.values():
        assert content_hash(store.payload(work.workload)) == work.workload
        if work.status is WorkStatus.DONE:
            assert store.payload(work.results) == store.payload(work.workload)[::-1]
    store.close()


@pytest.mark.slow
def test_what_was_acknowledged_before_kill_9_is_kept(lasting_url: str) -> None:
    dice = random.Random(5)
    told: dict[str, str] = {}
    for round_ in range(6):
        writer = Writer(lasting_url, threads=1 + 3 * (round_ % 2))
        time.sleep(dice.uniform(0.0, 0.3))  # the moment of the kill is what is tried
        told |= {work_id: status for status, work_id in writer.kill()}
    assert len(told) > 10
    check(lasting_url, told)


@pytest.mark.slow
def test_programs_that_write_at_once_lose_nothing_when_one_is_killed(lasting_url: str) -> None:
    told: dict[str, str] = {}
    steady = Writer(lasting_url, threads=1)
    for _ in range(3):
        writer = Writer(lasting_url, threads=2)
        time.sleep(0.2)
        told |= {work_id: status for status, work_id in writer.kill()}
    told |= {work_id: status for status, work_id in steady.kill()}
    assert len(told) > 10
    check(lasting_url, told)
