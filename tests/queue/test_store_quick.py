"""SQLite by the short way (`quick`) and by SQLAlchemy: the same rows, the same records, the same answers."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conqure.queue.stores.sql import SQLStore, queries, quick
from conqure.queue.stores.sql.changes import PART, add_all
from conqure.queue.stores.sql.rows import record
from conqure.queue.stores.tables import payloads, works
from conqure.queue.testing import ready_work
from conqure.queue.work import WorkloadFormat, WorkRecord, WorkStatus, content_hash, new_work_id
from qpu_executors.errors import StoreError, WorkConflict
from qpu_executors.records import Priority

LARGEST = 2**63 - 1  # that SQLite keeps exactly


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SQLStore, SQLStore]]:
    """One store is written to by the short way, the other by SQLAlchemy."""
    folder = tmp_path_factory.mktemp("quick")
    stores = SQLStore(f"sqlite:{folder}/quick.db"), SQLStore(f"sqlite:{folder}/ordinary.db")
    yield stores
    for store in stores:
        store.close()


def add_by_sqlalchemy(store: SQLStore, *wanted: tuple[WorkRecord, bytes | None]) -> list[Any]:
    return store.write(lambda connection: add_all(connection, wanted))


def add_quickly(store: SQLStore, *wanted: tuple[WorkRecord, bytes | None]) -> list[Any]:
    database = opened(store)
    try:
        with quick.transaction(database):
            return quick.add_all(database, wanted)
    finally:
        database.close()


def opened(store: SQLStore) -> sqlite3.Connection:
    return sqlite3.connect(store.url.removeprefix("sqlite:"), timeout=30, isolation_level=None)


def rows(store: SQLStore, table: str, *keys: str) -> list[tuple[Any, ...]]:
    """What a table holds of these works or contents, with the type that SQLite gave each value."""
    database = opened(store)
    columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
    both = ", ".join(f"{name}, typeof({name})" for name in columns)
    wanted = f"SELECT {both} FROM {table} WHERE {columns[0]} IN ({', '.join('?' * len(keys))}) ORDER BY 1, 3"
    found = database.execute(wanted, keys).fetchall()
    database.close()
    return found


def read_by_sqlalchemy(store: SQLStore, work_id: str) -> WorkRecord:
    return record(store._read(queries.ONE, {"id": work_id})[0])


PRINTABLE = st.characters(exclude_categories=["C", "Z"]) | st.just(" ")


def text(longest: int) -> st.SearchStrategy[str]:
    return st.text(PRINTABLE, max_size=longest) | st.sampled_from(["", "x" * longest, "ä⟨ψ|", "a'b\"c"])


def time_or_none() -> st.SearchStrategy[float | None]:
    return st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**9), 10**9).map(float)


count = st.integers(0, LARGEST) | st.sampled_from([0, 1, 2**31, LARGEST])
plain = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=32)
json_value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda value: st.lists(value, max_size=3) | st.dictionaries(st.text(max_size=5), value, max_size=3),
    max_leaves=6,
)
record_of_any_kind = st.builds(
    WorkRecord,
    work_id=st.uuids().map(str),
    owner=text(256),
    device_id=text(256),
    priority=st.sampled_from(Priority),
    status=st.sampled_from(WorkStatus),
    format=st.sampled_from(WorkloadFormat),
    workload=st.sampled_from(["", content_hash(b"x")]),
    workload_size=count,
    results=st.sampled_from(["", content_hash(b"y")]),
    results_size=count,
    name=text(200),
    n_qubits=count,
    n_rows=count,
    shots=count,
    program_id=plain,
    loop=text(200),
    convergence=st.none() | st.floats(0, 1),
    source=text(32),
    created_at=st.floats(allow_nan=False, allow_infinity=False),
    ready_at=time_or_none(),
    started_at=time_or_none(),
    ended_at=time_or_none(),
    attempts=count,
    claimed_by=text(256),
    lease_until=time_or_none(),
    cancel_requested=st.booleans(),
    ran_on=text(256),
    engine=plain,
    slurm_job_id=plain,
    error=st.text(max_size=50) | st.sampled_from(["\0", "\ud800", "x" * 5000]),
    error_kind=plain,
    metadata=st.dictionaries(st.text(max_size=9), json_value, max_size=4),
)


# -- records --


@pytest.mark.slow
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(work=record_of_any_kind, workload=st.none() | st.binary(max_size=64))
def test_any_record_is_the_same_however_it_was_written_and_read(
    both: tuple[SQLStore, SQLStore], work: WorkRecord, workload: bytes | None
) -> None:
    work = work.replace(work_id=new_work_id())
    by_quick, by_sqlalchemy = add_quickly(both[0], (work, workload)), add_by_sqlalchemy(both[1], (work, workload))
    assert by_quick == by_sqlalchemy
    found = [read(store, work.work_id) for store in both for read in (SQLStore.get, read_by_sqlalchemy)]
    assert found[0] == found[1] == found[2] == found[3]
    assert [type(value) for value in found[0].describe().values()] == [
        type(value) for value in found[1].describe().values()
    ]
    expected = work if workload is None else work.replace(workload=content_hash(workload), workload_size=len(workload))
    assert found[0].replace(error="") == expected.replace(error="")  # an error is kept as far as a database can
    assert rows(both[0], "works", work.work_id) == rows(both[1], "works", work.work_id)


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 3 * PART + 7])
def test_a_payload_is_kept_in_the_same_parts(both: tuple[SQLStore, SQLStore], size: int) -> None:
    work, workload = ready_work(), bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    add_quickly(both[0], (work, workload))
    add_by_sqlalchemy(both[1], (work, workload))
    content = content_hash(workload)
    for store in both:
        assert store.payload(content) == workload
        parts = store._read(queries.PARTS, {"content": content})
        assert b"".join(part for (part,) in parts) == workload
    assert rows(both[0], "payloads", content) == rows(both[1], "payloads", content)


def test_the_short_way_names_all_columns_of_the_tables(both: tuple[SQLStore, SQLStore]) -> None:
    for table, statement in ((works, quick._ADD), (payloads, quick._KEEP)):
        assert all(f"{column.name}" in statement for column in table.columns)
        assert statement.count("?") == len(table.columns)


# -- what adding answers --


def wanted() -> list[tuple[WorkRecord, bytes | None]]:
    """Works of which some are there already, twice among themselves, or another's."""
    first, second, third = ready_work(), ready_work(), ready_work(status=WorkStatus.CREATED)
    return [
        (first, b"one"),
        (second, b"same program"),
        (first, b"one"),
        (first, b"two"),
        (second.replace(owner="eve@lab.example"), b"same program"),
        (second.replace(name="another name"), b"same program"),
        (third, None),
        (third, None),
        (third, b"late"),
        (ready_work(), b"same program"),
    ]


def test_adding_answers_alike_when_works_are_there_already(both: tuple[SQLStore, SQLStore]) -> None:
    order = wanted()
    for each in order:
        assert answers(add_quickly(both[0], each)) == answers(add_by_sqlalchemy(both[1], each))
    again = answers(add_quickly(both[0], *order))
    assert again == answers(add_by_sqlalchemy(both[1], *order))
    assert {kind for kind, _ in again} == {"WorkRecord", "WorkConflict"}
    together = wanted()
    assert answers(add_quickly(both[0], *together)) == answers(add_by_sqlalchemy(both[1], *together))
    keys = {"works": [work.work_id for work, _ in together], "payloads": [content_hash(x) for _, x in together if x]}
    for table, mine in keys.items():
        assert rows(both[0], table, *mine) == rows(both[1], table, *mine) != []


def answers(outcomes: list[Any]) -> list[tuple[str, Any]]:
    return [(type(each).__name__, str(each) if isinstance(each, WorkConflict) else each) for each in outcomes]


@pytest.mark.parametrize("fault", [{"shots": 2**63}, {"engine": "\ud800"}, {"attempts": -(2**70)}])
def test_what_cannot_be_kept_fails_alike_and_leaves_the_others(tmp_path: Path, fault: dict[str, Any]) -> None:
    bad = ready_work().replace(**fault)
    with_sqlalchemy, quickly = SQLStore(f"sqlite:{tmp_path}/ordinary.db"), SQLStore(f"sqlite:{tmp_path}/quick.db")
    good = [ready_work() for _ in range(4)]
    futures = [quickly.later("add", work, b"x") for work in (*good[:2], bad, *good[2:])]
    with pytest.raises(Exception) as by_quick:  # which one it is, is compared
        futures[2].result(30)
    with pytest.raises(Exception) as by_sqlalchemy:
        with_sqlalchemy.write(lambda connection: add_all(connection, [(bad, b"x")]))
    assert type(by_quick.value) is type(by_sqlalchemy.value)
    assert str(by_quick.value).replace("quick.db", "ordinary.db") == str(by_sqlalchemy.value)
    assert [futures[n].result(30) for n in (0, 1, 3, 4)] == [quickly.get(work.work_id) for work in good]
    assert len(quickly.find()) == 4
    assert with_sqlalchemy.find() == []
    for store in (with_sqlalchemy, quickly):
        store.close()


def test_what_a_column_must_have_is_asked_for_by_the_short_way_too(sqlite_store: SQLStore) -> None:
    for nothing in (None, float("nan")):  # SQLite takes the second for NULL
        with pytest.raises(StoreError, match=r"NOT NULL constraint failed: works\.created_at"):
            sqlite_store.add(ready_work().replace(created_at=nothing), b"x")
    assert sqlite_store.find() == []


def add_and_fail(database: sqlite3.Connection, error: type[BaseException]) -> None:
    with quick.transaction(database):
        quick.add_all(database, [(ready_work(), b"x")])
        raise error


def test_a_transaction_that_fails_leaves_nothing_and_the_connection_goes_on(sqlite_store: SQLStore) -> None:
    database = opened(sqlite_store)
    for error in (ZeroDivisionError, KeyboardInterrupt):
        with pytest.raises(error):
            add_and_fail(database, error)
        assert not database.in_transaction
    assert sqlite_store.find() == []
    database.execute("BEGIN IMMEDIATE")  # one that has begun already is gone on with
    with quick.transaction(database):
        quick.add_all(database, [(work := ready_work(), b"x")])
    assert sqlite_store.find() == [work.replace(workload=content_hash(b"x"), workload_size=1)]
    database.close()


# -- reading --


def test_what_is_not_there_is_said_so_alike(sqlite_store: SQLStore) -> None:
    reads = quick.QuickReads(sqlite_store.url.removeprefix("sqlite:"), 30.0)
    for odd in (new_work_id(), "", "x", "\0", "'; DROP TABLE works; --", "x" * 10_000):
        assert reads.get(odd) is None
        assert reads.payload(odd) is None
        assert sqlite_store._read(queries.ONE, {"id": odd}) == []
    reads.close()


def test_threads_read_at_once_and_see_what_was_written_last(sqlite_store: SQLStore) -> None:
    work = sqlite_store.add(ready_work(), b"x")
    over = threading.Event()

    def read() -> int:
        n, last = 0, 0.0
        while not over.is_set():
            seen = sqlite_store.get(work.work_id)
            assert seen.lease_until is None or seen.lease_until >= last
            last = seen.lease_until or 0.0
            assert sqlite_store.payload(work.workload) == b"x"
            n += 1
        return n

    with ThreadPoolExecutor(4) as threads:
        reading = [threads.submit(read) for _ in range(4)]
        sqlite_store.claim([work.work_id], "me", 1.0, 0.0)
        for now in range(1, 30):
            sqlite_store.renew("me", 1.0, float(now))
            assert sqlite_store.get(work.work_id).lease_until == now + 1.0
        over.set()
        assert all(each.result(30) for each in reading)
    assert sqlite_store._quick is not None
    assert 1 <= len(sqlite_store._quick._idle) <= 5  # no more than read at once


def test_reading_a_database_that_is_gone_names_it(tmp_path: Path) -> None:
    store = SQLStore(f"sqlite:{tmp_path}/works.db")
    work = store.add(ready_work(), b"x")
    database = opened(store)
    database.executescript("DROP TABLE works; DROP TABLE payloads")
    database.close()
    for ask in (lambda: store.get(work.work_id), lambda: store.payload(work.workload), store.find):
        with pytest.raises(StoreError, match=r"works\.db: no such table"):
            ask()
    store.close()
    for ask in (lambda: store.get(work.work_id), lambda: store.payload(work.workload), store.find):
        with pytest.raises(StoreError, match="is closed"):
            ask()
