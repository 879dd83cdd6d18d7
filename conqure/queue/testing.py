"""For authors of stores: the contract as a test suite.

Give it your store, and the same works through another object of it::

    class TestMyStore(StoreContract):
        @pytest.fixture
        def store(self): ...

        @pytest.fixture
        def another(self, store): ...

Needs pytest and hypothesis.
"""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qpu_executors.errors import ConqureError, UnknownWork, WorkConflict
from qpu_executors.records import Priority

from .memory import MemoryStore
from .store import Store, WorkQuery
from .work import FINAL, WorkloadFormat, WorkRecord, WorkStatus, content_hash, new_work_id

CREATED, READY, EXECUTING, UPLOADING, DONE, CANCELED, ERROR = WorkStatus
_clock = itertools.count(1000)
_same_store = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])


def ready_work(**facts: Any) -> WorkRecord:
    """A work that waits, each later than the one before.

    >>> ready_work(owner="ada").status
    <WorkStatus.READY: 'READY'>
    """
    now = float(next(_clock))
    known: dict[str, Any] = {"owner": "ada", "device_id": "ion0", "status": READY, "created_at": now, "ready_at": now}
    return WorkRecord(**({"work_id": new_work_id()} | known | facts))


def ids(works: Sequence[WorkRecord]) -> list[str]:
    return [work.work_id for work in works]


class StoreContract:
    """What every store does, wherever it keeps its works."""

    # -- a work and its payloads --

    def test_a_work_is_kept_as_it_was_added(self, store: Store, another: Store) -> None:
        work = ready_work(
            owner="Žofie@lab.example",
            priority="HIGH",
            format="dax",
            name="Bell ⟨Φ⁺⟩",
            loop="vqe",
            convergence=0.25,
            n_qubits=7,
            n_rows=3,
            shots=1000,
            program_id="a" * 64,
            created_at=1.7e9 + 0.1234567,
            metadata={"temperature": 4.2, "ions": ["Yb"], "none": None},
        )
        kept = store.add(work, b"program")
        assert kept == work.replace(workload=content_hash(b"program"), workload_size=7)
        assert store.get(work.work_id) == another.get(work.work_id) == kept
        assert another.payload(kept.workload) == b"program"

    @pytest.mark.parametrize("size", [0, 1, 2**20 - 1, 2**20, 2**20 + 1, 5 * 2**20 + 17])
    def test_a_payload_of_any_size_comes_back_as_it_was(self, store: Store, another: Store, size: int) -> None:
        payload = (bytes(range(256)) * (size // 256 + 1))[:size]
        work = store.add(ready_work(), payload)
        assert (work.workload, work.workload_size) == (content_hash(payload), size)
        assert another.payload(work.workload) == payload

    def test_a_payload_is_kept_once(self, store: Store) -> None:
        first, second = store.add(ready_work(), b"same"), store.add(ready_work(), b"same")
        assert first.workload == second.workload == store.keep(b"same") == content_hash(b"same")
        assert store.payload(first.workload) == b"same"

    def test_what_is_not_there_is_unknown(self, store: Store) -> None:
        nothing = new_work_id()
        for ask in (
            lambda: store.get(nothing),
            lambda: store.payload("0" * 64),
            lambda: store.payload("../../etc/passwd"),
            lambda: store.move(nothing, READY, 1.0),
            lambda: store.ask_cancel(nothing, 1.0),
        ):
            with pytest.raises(UnknownWork):
                ask()
        assert store.claim([nothing], "me", None, 1.0) == []

    def test_adding_again_changes_nothing(self, store: Store) -> None:
        work = ready_work()
        kept = store.add(work, b"program")
        (claimed,) = store.claim([work.work_id], "me", None, 2000.0)
        heard = listening(store)
        assert store.add(work, b"program") == claimed != kept
        assert heard == []
        assert ids(store.find()) == [work.work_id]

    def test_a_work_id_belongs_to_one_work(self, store: Store) -> None:
        work = ready_work()
        kept = store.add(work, b"program")
        with pytest.raises(WorkConflict, match="taken"):
            store.add(work, b"another program")
        with pytest.raises(WorkConflict, match="taken"):
            store.add(work.replace(owner="eve"), b"program")
        assert store.get(work.work_id) == kept

    def test_a_text_that_no_file_takes_is_kept_readable(self, store: Store, another: Store) -> None:
        work = store.add(ready_work())
        store.claim([work.work_id], "me", None, 2000.0)
        store.move(work.work_id, ERROR, 2001.0, error="zero \0, half a pair \ud800, four bytes 🧲")
        assert "zero" in another.get(work.work_id).error
        assert "four bytes 🧲" in another.get(work.work_id).error

    # -- the status --

    def test_a_work_goes_its_way(self, store: Store, another: Store) -> None:
        work = store.add(ready_work(status=CREATED, ready_at=None))
        store.move(work.work_id, READY, 2000.0, workload=b"late", n_qubits=3)
        store.claim([work.work_id], "me", 30.0, 2001.0)
        store.move(work.work_id, UPLOADING, 2002.0, claim=("me", 1))
        done = store.move(work.work_id, DONE, 2003.0, claim=("me", 1), results=b"counts", ran_on="ion0", engine="dask")
        assert another.get(work.work_id) == done
        assert (done.ready_at, done.started_at, done.ended_at) == (2000.0, 2001.0, 2003.0)
        assert (done.n_qubits, done.ran_on, done.engine, done.lease_until) == (3, "ion0", "dask", None)
        assert (another.payload(done.workload), another.payload(done.results)) == (b"late", b"counts")
        assert (done.workload_size, done.results_size) == (4, 6)

    @pytest.mark.parametrize("end", sorted(FINAL))
    def test_a_final_work_stays_as_it_is(self, store: Store, end: WorkStatus) -> None:
        work = store.add(ready_work())
        store.claim([work.work_id], "me", None, 2000.0)
        ended = store.move(work.work_id, end, 2001.0)
        for status in WorkStatus:
            with pytest.raises(WorkConflict, match="cannot become"):
                store.move(work.work_id, status, 2002.0, results=b"too late")
        assert store.claim([work.work_id], "me", None, 2002.0) == []
        assert store.ask_cancel(work.work_id, 2002.0) == ended == store.get(work.work_id)

    def test_a_redelivered_work_is_in_its_old_place(self, store: Store) -> None:
        first, second = store.add(ready_work()), store.add(ready_work())
        store.claim([first.work_id], "me", 30.0, 2000.0)
        back = store.move(first.work_id, READY, 2010.0, claim=("me", 1))
        assert (back.ready_at, back.claimed_by, back.lease_until, back.attempts) == (first.ready_at, "", None, 1)
        assert ids(store.waiting(["ion0"], 5)) == [first.work_id, second.work_id]
        (again,) = store.claim([first.work_id], "you", None, 2011.0)
        assert (again.attempts, again.started_at) == (2, 2011.0)

    def test_a_late_answer_changes_nothing(self, store: Store, another: Store) -> None:
        work = store.add(ready_work())
        store.claim([work.work_id], "me", 30.0, 2000.0)
        store.move(work.work_id, READY, 2040.0)
        (current,) = another.claim([work.work_id], "me", 30.0, 2041.0)
        with pytest.raises(WorkConflict, match="no longer yours"):
            store.move(work.work_id, DONE, 2042.0, claim=("me", 1), results=b"late")
        with pytest.raises(WorkConflict, match="no longer yours"):
            store.move(work.work_id, DONE, 2042.0, claim=("you", 2), results=b"another's")
        assert store.get(work.work_id) == current
        assert store.move(work.work_id, DONE, 2043.0, claim=("me", 2)).status is DONE

    def test_cancel_ends_what_waits_and_asks_what_runs(self, store: Store) -> None:
        created = store.add(ready_work(status=CREATED, ready_at=None))
        waits, runs = store.add(ready_work()), store.add(ready_work())
        store.claim([runs.work_id], "me", None, 2000.0)
        ended = store.ask_cancel(waits.work_id, 2001.0, "not needed")
        assert (ended.status, ended.error, ended.ended_at) == (CANCELED, "not needed", 2001.0)
        assert store.ask_cancel(created.work_id, 2001.0).error == "canceled by its owner"
        asked = store.ask_cancel(runs.work_id, 2001.0)
        assert (asked.status, asked.cancel_requested) == (EXECUTING, True)
        assert store.get(runs.work_id) == asked
        assert store.waiting(["ion0"], 5) == []
        assert store.move(runs.work_id, CANCELED, 2002.0, error="canceled by its owner").status is CANCELED

    # -- lines and claims --

    def test_of_each_line_and_priority_the_first_wait(self, store: Store) -> None:
        for device_id, priority in itertools.product(("ion0", "tag:ion", "ion1"), Priority):
            for _ in range(3):
                store.add(ready_work(device_id=device_id, priority=priority))
        heads = store.waiting(["ion0", "tag:ion", "nobody's"], 2)
        assert len(heads) == 12
        assert {work.device_id for work in heads} == {"ion0", "tag:ion"}
        assert heads == sorted(heads, key=lambda work: (work.priority.rank, work.ready_at, work.work_id))
        assert store.lines() == ["ion0", "ion1", "tag:ion"]
        assert store.waiting([], 2) == []

    def test_first_come_is_first_by_the_time_it_was_ready(self, store: Store) -> None:
        late = store.add(ready_work(ready_at=5000.5))
        twins = [store.add(ready_work(ready_at=4000.0)) for _ in range(4)]
        assert ids(store.waiting(["ion0"], 9)) == [*sorted(ids(twins)), late.work_id]

    def test_lines_differ_by_every_character(self, store: Store) -> None:
        names = ["ION0", "ion0", "ion0 ", "iön0"]
        for name in names:
            store.add(ready_work(device_id=name))
        assert sorted(store.lines()) == sorted(names)
        assert [len(store.waiting([name], 9)) for name in names] == [1, 1, 1, 1]
        assert len(store.find(WorkQuery(device_id="ion0"))) == 1
        assert len(store.counts()) == 4

    def test_a_claim_takes_what_is_ready_in_the_order_asked(self, store: Store, another: Store) -> None:
        works = [store.add(ready_work()) for _ in range(4)]
        store.ask_cancel(works[1].work_id, 2000.0)
        asked = [*reversed(ids(works)), works[0].work_id]
        got = store.claim(asked, "me", 30.0, 2000.0)
        assert ids(got) == [works[i].work_id for i in (3, 2, 0)]
        for work in got:
            assert (work.status, work.claimed_by, work.lease_until) == (EXECUTING, "me", 2030.0)
            assert (work.started_at, work.attempts) == (2000.0, 1)
            assert another.get(work.work_id) == work
        assert another.claim(asked, "you", None, 2001.0) == []
        assert store.lines() == []

    def test_many_are_claimed_at_once(self, store: Store) -> None:
        works = [store.add(ready_work()) for _ in range(60)]
        assert ids(store.claim(ids(works), "me", None, 2000.0)) == ids(works)

    def test_two_claimers_never_get_one_work(self, store: Store, another: Store) -> None:
        works = [store.add(ready_work()) for _ in range(40)]
        start = threading.Barrier(4)

        def claim(which: Store, by: str) -> list[str]:
            start.wait()
            got: list[str] = []
            while heads := which.waiting(["ion0"], 3):
                got += ids(which.claim(ids(heads), by, None, 2000.0))
            return got

        with ThreadPoolExecutor(4) as threads:
            claimers = [threads.submit(claim, (store, another)[i % 2], f"claimer {i}") for i in range(4)]
            got = {f"claimer {i}": claimer.result() for i, claimer in enumerate(claimers)}
        assert sorted(itertools.chain(*got.values())) == sorted(ids(works))
        for work in store.find(limit=100):
            assert (work.status, work.attempts) == (EXECUTING, 1)
            assert work.work_id in got[work.claimed_by]

    def test_a_lease_is_renewed_or_over(self, store: Store) -> None:
        mine, yours, endless = (store.add(ready_work()) for _ in range(3))
        store.claim([mine.work_id], "me", 10.0, 2000.0)
        store.claim([yours.work_id], "you", 10.0, 2000.0)
        store.claim([endless.work_id], "them", None, 2000.0)
        store.move(mine.work_id, UPLOADING, 2001.0)
        heard = listening(store)
        (renewed,) = store.renew("me", 30.0, 2005.0)
        assert (renewed.work_id, renewed.lease_until, renewed.status) == (mine.work_id, 2035.0, UPLOADING)
        assert heard == []
        assert store.expired(2009.0) == []
        assert ids(store.expired(2011.0)) == [yours.work_id]
        assert sorted(ids(store.expired(2036.0))) == sorted([mine.work_id, yours.work_id])
        assert len(store.expired(2036.0, most=1)) == 1
        store.move(mine.work_id, DONE, 2036.0)
        assert store.renew("me", 30.0, 2037.0) == []

    def test_recorded_tasks_are_in_no_line(self, store: Store) -> None:
        recorded = [store.add(ready_work(source=source)) for source in ("parsl", "dask", "openmpq", "threads")]
        queued = store.add(ready_work(device_id="ion1"))
        assert store.lines() == ["ion1"]
        assert store.waiting(["ion0", "ion1"], 9) == [queued]
        assert store.claim(ids(recorded), "me", None, 2000.0) == []
        assert store.counts() == {"ion1": {READY: 1}}
        assert len(store.find()) == 5
        assert store.find(WorkQuery(source="dask")) == [recorded[1]]
        assert store.move(recorded[0].work_id, EXECUTING, 2000.0).status is EXECUTING
        assert store.counts() == {"ion1": {READY: 1}}

    def test_what_is_not_final_is_counted(self, store: Store) -> None:
        works = [store.add(ready_work()) for _ in range(5)]
        store.add(ready_work(device_id="any", status=CREATED))
        store.claim(ids(works[:2]), "me", None, 2000.0)
        store.move(works[0].work_id, UPLOADING, 2001.0)
        store.ask_cancel(works[4].work_id, 2001.0)
        assert store.counts() == {"ion0": {READY: 2, EXECUTING: 1, UPLOADING: 1}, "any": {CREATED: 1}}

    # -- finding --

    def test_works_are_found_newest_first_page_by_page(self, store: Store) -> None:
        works = [store.add(ready_work(created_at=float(i // 3))) for i in range(20)]
        newest = sorted(works, key=lambda work: (work.created_at, work.work_id), reverse=True)
        assert store.find() == newest
        pages, before = [], None
        while page := store.find(WorkQuery(before=before), limit=7):
            pages += page
            before = (page[-1].created_at, page[-1].work_id)
        assert pages == newest

    def test_works_are_found_by_what_they_are(self, store: Store) -> None:
        works = [
            store.add(ready_work(owner=owner, device_id=device_id, priority=priority, loop=loop))
            for owner, device_id, (priority, loop) in itertools.product(
                ("ada", "grace"), ("ion0", "ion1"), (("HIGH", "vqe"), ("LOW", ""))
            )
        ]
        store.claim([works[0].work_id], "me", None, 2000.0)
        everything = store.find()

        def check(query: WorkQuery, fits: Callable[[WorkRecord], bool]) -> None:
            found = store.find(query)
            assert found == [work for work in everything if fits(work)] != []

        check(WorkQuery(owner="grace"), lambda w: w.owner == "grace")
        check(WorkQuery(device_id="ion1"), lambda w: w.device_id == "ion1")
        check(WorkQuery(statuses=(EXECUTING,)), lambda w: w.status is EXECUTING)
        check(WorkQuery(statuses=(EXECUTING, READY)), lambda w: True)
        check(WorkQuery(priority=Priority.LOW), lambda w: w.priority is Priority.LOW)
        check(WorkQuery(loop="vqe"), lambda w: w.loop == "vqe")
        check(WorkQuery(since=works[4].created_at), lambda w: w.created_at >= works[4].created_at)
        both = WorkQuery(owner="ada", device_id="ion0", statuses=(READY,), source="queue", since=0.0)
        check(both, lambda w: (w.owner, w.device_id, w.status) == ("ada", "ion0", READY))
        assert store.find(WorkQuery(owner="ad")) == store.find(WorkQuery(statuses=(DONE,))) == []

    # -- forgetting --

    def test_a_purge_forgets_what_is_old_and_final(self, store: Store, another: Store) -> None:
        works = [store.add(ready_work(), f"program {i}".encode()) for i in range(6)]
        store.claim(ids(works[:5]), "me", None, 2000.0)
        ends = (DONE, CANCELED, ERROR, DONE)
        for work, status, now in zip(works, ends, (3000.0, 3000.0, 3000.0, 4000.0), strict=False):
            store.move(work.work_id, status, now, results=f"results {now}".encode())
        assert store.purge(3500.0, [DONE], dry_run=True) == 1
        assert store.purge(3500.0, [DONE, EXECUTING, READY], dry_run=True) == 1
        assert len(store.find()) == 6
        assert store.purge(3500.0, [DONE]) == 1
        assert store.purge(3500.0) == 2
        assert ids(another.find()) == [works[i].work_id for i in (5, 4, 3)]
        assert store.purge(3500.0) == 0

    def test_a_purge_keeps_the_payloads_that_somebody_needs(self, store: Store) -> None:
        shared, own = b"shared program", b"own program"
        old = [store.add(ready_work(), shared), store.add(ready_work(), own)]
        young = store.add(ready_work(), shared)
        orphan = store.keep(b"nobody's")
        store.claim(ids([*old, young]), "me", None, 2000.0)
        for work in old:
            store.move(work.work_id, DONE, 3000.0, results=work.work_id.encode())
        store.move(young.work_id, DONE, 4000.0, results=b"young results")
        store.purge(3500.0)
        assert store.payload(content_hash(shared)) == shared
        assert store.payload(content_hash(b"young results")) == b"young results"
        for gone in (content_hash(own), orphan, *(content_hash(work.work_id.encode()) for work in old)):
            with pytest.raises(UnknownWork):
                store.payload(gone)
        assert store.add(ready_work(), own).workload == content_hash(own)
        assert store.payload(content_hash(own)) == own

    # -- who listens --

    def test_listeners_hear_each_change_once_it_is_durable(self, store: Store, another: Store) -> None:
        heard: list[WorkStatus] = []

        def hear(work: WorkRecord) -> None:
            assert another.get(work.work_id) == work
            assert threading.current_thread() is threading.main_thread()
            heard.append(work.status)

        store.listeners.append(hear)
        work = store.add(ready_work(status=CREATED, ready_at=None))
        store.move(work.work_id, READY, 2000.0)
        store.claim([work.work_id], "me", None, 2001.0)
        store.ask_cancel(work.work_id, 2002.0)
        store.move(work.work_id, CANCELED, 2003.0)
        with pytest.raises(WorkConflict):
            store.move(work.work_id, DONE, 2004.0)
        assert heard == [CREATED, READY, EXECUTING, EXECUTING, CANCELED]

    def test_a_listener_may_ask_and_change(self, store: Store) -> None:
        def claim(work: WorkRecord) -> None:
            if work.status is READY and store.waiting([work.device_id], 1):
                store.claim([work.work_id], "listener", None, 2000.0)

        store.listeners.append(claim)
        work = store.add(ready_work())
        assert store.get(work.work_id).claimed_by == "listener"

    def test_many_threads_lose_nothing(self, store: Store, another: Store) -> None:
        def add(number: int) -> list[str]:
            which = (store, another)[number % 2]
            return [which.add(ready_work(owner=f"user {number}"), f"{number}.{i}".encode()).work_id for i in range(8)]

        with ThreadPoolExecutor(6) as threads:
            added = list(itertools.chain(*threads.map(add, range(6))))
        found = {work.work_id: work for work in store.find(limit=100)}
        assert sorted(found) == sorted(added)
        for work in found.values():
            assert content_hash(another.payload(work.workload)) == work.workload

    # -- and whatever comes --

    @_same_store
    @given(steps=st.lists(st.tuples(st.integers(0, 3), st.sampled_from(WorkStatus), st.integers(0, 2)), max_size=14))
    def test_the_status_goes_forward_or_back_to_ready(
        self, store: Store, steps: list[tuple[int, WorkStatus, int]]
    ) -> None:
        works = [store.add(ready_work(status=CREATED, ready_at=None)) for _ in range(4)]
        for which, status, how in steps:
            work_id, now = works[which].work_id, float(next(_clock))
            before = store.get(work_id)
            after = _answer(store, "mcx"[how], _Facts(work_id, now, status=status))
            now_is = store.get(work_id)
            if now_is.status is not before.status:
                assert before.status.may_become(now_is.status), after
                assert not before.status.is_final
            if before.status.is_final or isinstance(after, str):
                assert now_is == before

    @_same_store
    @given(steps=st.lists(st.tuples(st.sampled_from("aammmccrxgplwf"), st.integers(0, 255)), max_size=25))
    def test_it_does_what_the_plainest_store_does(self, store: Store, steps: list[tuple[str, int]]) -> None:
        """The same verbs to this store and to `MemoryStore`: same answers, same errors."""
        plain, mark = MemoryStore(), uuid.uuid4().hex[:8]
        lines = [f"{mark} {i}" for i in range(3)]
        known: list[str] = []
        for verb, n in steps:
            work_id = known[n % len(known)] if known and (verb != "a" or n > 200) else new_work_id()
            facts = _Facts(work_id, float(next(_clock)), n, mark, lines, known, list(WorkStatus)[n % 7])
            assert _answer(store, verb, facts) == _answer(plain, verb, facts)
            if verb == "a" and work_id not in known:
                known.append(work_id)
        everything = WorkQuery(owner=mark)
        assert store.find(everything) == plain.find(everything)
        assert {line: n for line, n in store.counts().items() if line in lines} == plain.counts()


@dataclass(frozen=True)
class _Facts:
    """What a verb is about; ``n`` stands for all that may differ."""

    work_id: str
    now: float
    n: int = 0
    mark: str = ""
    lines: Sequence[str] = ()
    known: Sequence[str] = ()
    status: WorkStatus = READY

    @property
    def payload(self) -> bytes:
        return f"{self.mark} {self.n % 4}".encode()

    def new_work(self) -> WorkRecord:
        n = self.n
        return ready_work(
            work_id=self.work_id,
            owner=self.mark,
            device_id=self.lines[n % 3],
            priority=list(Priority)[n % 3],
            status=(READY, CREATED)[n % 7 == 0],
            source=("queue", "dask")[n % 5 == 0],
            format=list(WorkloadFormat)[n % 4],
            created_at=self.now,
            ready_at=self.now,
        )


def _answer(store: Store, verb: str, facts: _Facts) -> Any:
    """What a store answers, or the kind of its error."""
    try:
        return _ask(store, verb, facts)
    except ConqureError as error:
        return error.kind


def _ask(store: Store, verb: str, facts: _Facts) -> Any:
    work_id, now, n, by = facts.work_id, facts.now, facts.n, f"{facts.mark} {facts.n % 2}"
    match verb:
        case "a":
            return store.add(facts.new_work(), facts.payload)
        case "m":
            return store.move(work_id, facts.status, now, results=facts.payload, n_rows=n)
        case "f":
            return store.move(work_id, DONE, now, claim=(by, n % 3))
        case "c":
            return store.claim([work_id, *facts.known[n % 5 :]][:3], by, 9.0, now)
        case "r":
            return sorted(store.renew(by, 5.0, now), key=lambda work: work.work_id)
        case "x":
            return store.ask_cancel(work_id, now, "because" * (n % 2))
        case "g":
            return store.get(work_id)
        case "p":
            return store.payload(content_hash(facts.payload))
        case "l":
            return [line for line in store.lines() if line in facts.lines]
        case _:
            return store.waiting(facts.lines[n % 3 :], n % 4 + 1)


def listening(store: Store) -> list[WorkRecord]:
    """The list that will hold each work that changes from now on."""
    heard: list[WorkRecord] = []
    store.listeners.append(heard.append)
    return heard
