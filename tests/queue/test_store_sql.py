"""What only the stores in databases do: group commit, schemas, servers that go away, passwords that stay hidden."""

from __future__ import annotations

import asyncio
import gc
import itertools
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from conqure.queue.store import open_store
from conqure.queue.stores import migrations
from conqure.queue.stores.sql import SQLStore, schema
from conqure.queue.stores.sql.connecting import connect, read_url
from conqure.queue.stores.tables import metadata, users
from conqure.queue.testing import ids, ready_work
from conqure.queue.work import WorkStatus, new_work_id
from qpu_executors.errors import MissingPackage, StoreError, WorkConflict

from .conftest import SERVERS
from .databases import PASSWORD, Server

DATABASES = ("sqlite", *SERVERS)


@pytest.fixture(params=DATABASES)
def url(request: Any, tmp_path: Path) -> str:
    kind: str = request.param
    return f"sqlite:{tmp_path}/works.db" if kind == "sqlite" else str(request.getfixturevalue(kind))


@pytest.fixture
def database(url: str) -> Iterator[SQLStore]:
    store = SQLStore(url)
    yield store
    store.close()


@pytest.fixture
def commits(database: SQLStore) -> list[int]:
    """Grows by one with each transaction that is committed."""
    seen: list[int] = []
    if database.engine.dialect.name == "sqlite":  # where some go past SQLAlchemy

        def note(statement: str) -> None:
            if statement == "COMMIT":
                seen.append(1)

        sa.event.listen(database.engine, "checkout", lambda driver, *_: driver.set_trace_callback(note))
    else:
        sa.event.listen(database.engine, "commit", lambda connection: seen.append(1))
    return seen


def user(name: str) -> dict[str, Any]:
    keys = {"user_id": name, "created_at": 1.0, "is_admin": False, "is_active": True}
    return keys


# -- one commit for many --


def test_changes_that_arrive_together_are_committed_together(database: SQLStore, commits: list[int]) -> None:
    works = [ready_work() for _ in range(500)]
    futures = [database.later("add", work, b"same program") for work in works]
    added = [future.result(60) for future in futures]
    assert ids(added) == ids(works)
    assert len(commits) < 100
    assert len(database.find(limit=1000)) == 500


def test_threads_that_wait_for_each_other_share_a_commit(database: SQLStore, commits: list[int]) -> None:
    held, go = threading.Event(), threading.Event()

    def slow(connection: Any) -> None:
        held.set()
        go.wait(30)

    with ThreadPoolExecutor(11) as threads:
        first = threads.submit(database.write, slow)
        held.wait(30)
        adds = [threads.submit(database.add, ready_work()) for _ in range(10)]
        while len(database._commits._waiting) < 10:
            assert not wait([first], 0.01).done
        go.set()
        assert len({add.result().work_id for add in adds}) == 10
    assert len(commits) == 2


def test_one_that_fails_does_not_disturb_the_others(database: SQLStore) -> None:
    taken = database.add(ready_work(), b"one")
    for _ in range(5):
        good, late = ready_work(), ready_work()
        futures = [
            database.later("add", good, b"good"),
            database.later("add", taken, b"another"),
            database.later("move", new_work_id(), WorkStatus.DONE, 1.0),
            database.later("ask_cancel", good.work_id, 2.0, "why not"),
            database.later("add", late),
            database.later("add", late),
            database.later("add", work=ready_work(), workload=b"by keyword"),
        ]
        errors = [type(future.exception(30)).__name__ for future in futures]
        assert errors == ["NoneType", "WorkConflict", "UnknownWork", "NoneType", "NoneType", "NoneType", "NoneType"]
        assert database.get(good.work_id).status is WorkStatus.CANCELED
        assert database.payload(database.get(good.work_id).workload) == b"good"
        assert futures[4].result() == futures[5].result() == database.get(late.work_id)


@pytest.mark.parametrize("error", [RuntimeError("a mistake"), WorkConflict("too late")])
def test_a_change_that_raises_leaves_nothing_and_nobody_behind(database: SQLStore, error: Exception) -> None:
    def add_and_fail(connection: Any) -> None:
        connection.execute(users.insert(), user("eve@lab.example"))
        raise error

    with ThreadPoolExecutor(8) as threads:
        failing = [threads.submit(database.write, add_and_fail) for _ in range(4)]
        adds = [threads.submit(database.add, ready_work(), b"x") for _ in range(20)]
        assert all(failed.exception() is error for failed in failing)
        assert len({add.result().work_id for add in adds}) == 20
    with database.engine.execution_options(reading=True).connect() as connection:
        assert connection.execute(users.select()).all() == []
    assert len(database.find()) == 20


def test_a_value_that_the_database_refuses_harms_only_its_own_work(database: SQLStore) -> None:
    def twice(connection: Any) -> None:
        connection.execute(users.insert(), [user("ada@lab.example")] * 2)

    futures = [database.later("add", ready_work()) for _ in range(3)]
    with pytest.raises(StoreError) as refused:
        database.write(twice)
    assert "ada@lab.example'" not in str(refused.value) or "Duplicate" in str(refused.value)
    assert PASSWORD not in str(refused.value)
    assert len({future.result(30).work_id for future in futures}) == 3


def test_a_server_awaits_its_changes_without_a_thread_for_each(database: SQLStore) -> None:
    async def create() -> list[Any]:
        return await asyncio.gather(
            *(asyncio.wrap_future(database.later("add", ready_work(), b"w")) for _ in range(200))
        )

    heard: list[Any] = []
    database.listeners.append(heard.append)
    created = asyncio.run(create())
    assert len(database.find(limit=500)) == len(created) == len(heard) == 200
    assert sum(thread.name == "works-writer" for thread in threading.enumerate()) == 1


def test_a_change_that_nobody_awaits_any_more_is_left_out(database: SQLStore) -> None:
    held, go = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(database.write, lambda connection: (held.set(), go.wait(30)))
        held.wait(30)
        work, other = ready_work(), ready_work()
        future = database.later("add", work)
        assert future.cancel()
        after = database.later("add", other)
        go.set()
        assert after.result(30) == other
        first.result()
    assert ids(database.find()) == [other.work_id]


def test_close_commits_what_was_handed_over(url: str) -> None:
    store = SQLStore(url)
    works = [ready_work() for _ in range(50)]
    futures = [store.later("add", work) for work in works]
    store.close()
    assert [future.result(0) for future in futures] == works
    for ask in (store.lines, lambda: store.add(ready_work()), lambda: store.later("add", ready_work())):
        with pytest.raises(StoreError, match="closed"):
            ask()
    again = SQLStore(url)
    assert len(again.find()) == 50
    again.close()


def test_a_listener_that_fails_harms_nobody(database: SQLStore, caplog: pytest.LogCaptureFixture) -> None:
    def fail(work: Any) -> None:
        raise RuntimeError("a mistake of the listener")

    database.listeners.append(fail)
    work = database.add(ready_work())
    assert database.later("ask_cancel", work.work_id, 2.0).result(30).status is WorkStatus.CANCELED
    assert "a mistake of the listener" in caplog.text


def test_a_purge_and_those_who_add_the_same_payload_lose_nothing(url: str) -> None:
    """Each payload is needed again just when it is forgotten."""
    stores = [SQLStore(url) for _ in range(2)]
    payloads = [f"program {i}".encode() for i in range(5)]
    stop = threading.Event()

    def purge() -> None:
        while not stop.is_set():
            stores[0].purge(1e9)

    def add() -> None:
        try:
            for payload in payloads * 12:
                work = stores[1].add(ready_work(status="CREATED"), payload)
                assert stores[1].payload(work.workload) == payload
                stores[1].ask_cancel(work.work_id, 2.0)
        finally:
            stop.set()

    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(purge), threads.submit(add)]:
            done.result(90)
    for store in stores:
        store.close()


# -- as many as there may be --


@pytest.mark.slow
def test_a_line_is_as_quick_with_many_works_as_with_few(database: SQLStore) -> None:
    """Counted in rows that the database looks at, not in seconds: 5,000 works wait, some have their turn."""
    works = [ready_work(device_id=f"ion{i % 2}", priority=("HIGH", "LOW")[i % 2]) for i in range(5000)]
    wait([database.later("add", work) for work in works], 100)
    assert ids(database.waiting(["ion1"], 2)) == [works[1].work_id, works[3].work_id]
    assert database.lines() == ["ion0", "ion1"]
    if database.engine.dialect.name == "mariadb":
        assert rows_read(database, lambda: database.waiting(["ion0", "ion1"], 2)) < 100
        assert rows_read(database, database.lines) < 100


def rows_read(store: SQLStore, ask: Callable[[], Any]) -> int:
    def count() -> int:
        with store.engine.connect() as connection:
            found = connection.exec_driver_sql("SHOW GLOBAL STATUS LIKE 'Handler_read%%'").fetchall()
        return sum(int(n) for _, n in found)

    quiet = -(count() - count())
    before = count()
    ask()
    return count() - before - quiet


# -- the schema --


def test_a_database_made_by_the_migrations_is_like_one_made_at_once(url: str) -> None:
    engine = connect(read_url(url))
    metadata.drop_all(engine)
    schema._version.drop(engine, checkfirst=True)
    with engine.begin() as connection:
        migrations.upgrade(connection)
    with engine.execution_options(reading=True).connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)
        assert schema.version_of(connection) == schema.VERSION
    engine.dispose()
    assert [change for change in found if "alembic_version" not in str(change)] == []
    store = SQLStore(url)
    assert store.add(ready_work(), b"x") in store.find()
    store.close()


def test_an_older_schema_is_brought_up_to_date(
    url: str, database: SQLStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    work = database.add(ready_work(), b"kept")
    folder = tmp_path / "100%"
    (folder / "versions").mkdir(parents=True)
    for name in ("env.py", "versions/v1.py"):
        (folder / name).write_text((migrations.FOLDER / name).read_text())
    (folder / "versions" / "v2.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\nrevision, down_revision = '2', '1'\n"
        "def upgrade():\n    op.create_table('later', sa.Column('n', sa.Integer()))\n"
    )
    monkeypatch.setattr(schema, "VERSION", 2)
    monkeypatch.setattr(migrations, "upgrade", lambda connection, u=migrations.upgrade: u(connection, folder=folder))
    with ThreadPoolExecutor(4) as threads:
        stores = list(threads.map(SQLStore, [url] * 4))
    with stores[0].engine.execution_options(reading=True).connect() as connection:
        assert schema.version_of(connection) == 2
        assert sa.inspect(connection).has_table("later")
    assert stores[1].payload(stores[1].get(work.work_id).workload) == b"kept"
    for store in stores:
        store.close()
    monkeypatch.undo()
    with pytest.raises(StoreError, match=r"newer CONQURE.*version 2.*pip install --upgrade conqure"):
        SQLStore(url)
    database.write(lambda connection: connection.exec_driver_sql("DROP TABLE later"))
    database.write(lambda connection: connection.exec_driver_sql("UPDATE alembic_version SET version_num = '1'"))


def test_an_open_store_needs_no_alembic(url: str, run_python: Callable[..., str]) -> None:
    open_store(url).close()
    program = f"""
        import sys
        from conqure.queue.store import open_store
        open_store({url!r}).close()
        print('alembic' in sys.modules)
    """
    assert run_python("import textwrap; exec(textwrap.dedent('''" + program + "'''))").strip() == "False"


@pytest.mark.slow
def test_programs_that_open_a_new_database_at_once_do_not_collide(url: str) -> None:
    engine = connect(read_url(url))
    metadata.drop_all(engine)
    schema._version.drop(engine, checkfirst=True)
    engine.dispose()
    program = (
        "import sys; from conqure.queue.store import open_store; from conqure.queue.work import *\n"
        "s = open_store(sys.argv[1]); s.add(WorkRecord(new_work_id(), 'ada'), b'x'); s.close()"
    )

    def run(_: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", program, url], capture_output=True, text=True, timeout=100)

    with ThreadPoolExecutor(6) as threads:
        assert [(done.returncode, done.stderr) for done in threads.map(run, range(6))] == [(0, "")] * 6
    store = SQLStore(url)
    assert len(store.find()) == 6
    store.close()


# -- databases that go away --


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mariadb", "postgresql"])
def test_a_store_goes_on_when_its_server_was_restarted(kind: str, request: pytest.FixtureRequest) -> None:
    url: str = request.getfixturevalue(kind)
    server: Server = request.getfixturevalue(f"{kind}_server")
    store = SQLStore(url)
    before = store.add(ready_work(), b"before")
    server.restart()
    after = store.add(ready_work(), b"after")
    assert {work.work_id for work in store.find()} == {before.work_id, after.work_id}
    server.restart()
    assert store.payload(before.workload) == b"before"
    assert ids(store.claim(store.lines() and ids(store.waiting(["ion0"], 9)), "me", None, 3000.0))
    store.close()


@pytest.mark.slow
# PyMySQL leaves a Unix socket that could not be connected to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", ["mariadb", "postgresql"])
def test_a_server_that_is_down_is_named_without_the_password(kind: str, request: pytest.FixtureRequest) -> None:
    url: str = request.getfixturevalue(kind)
    server: Server = request.getfixturevalue(f"{kind}_server")
    store = SQLStore(url)
    server.stop(signal.SIGKILL)
    try:
        futures = [store.later("add", ready_work()) for _ in range(20)]
        for ask in (lambda: store.add(ready_work()), store.find, lambda: SQLStore(url), futures[0].result):
            with pytest.raises(StoreError, match=r"Is the database up") as said:
                ask()
            for text in (str(said.value), repr(said.value)):
                assert kind in text
                assert PASSWORD not in text
                assert "open%20sesame" not in text
        assert all(future.exception(30) for future in futures)
        del futures, ask, said
    finally:
        server.start()
        gc.collect()
    assert store.add(ready_work()).status is WorkStatus.READY
    store.close()


def test_a_wrong_password_is_said_and_not_shown(mariadb: str, postgresql: str) -> None:
    for url in (mariadb, postgresql):
        with pytest.raises(StoreError) as said:
            open_store(url.replace("open%20sesame", "wrong-secret"))
        assert "wrong-secret" not in str(said.value)
        assert "conqure" in str(said.value)


def test_a_password_is_never_in_the_name_of_a_store(database: SQLStore, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = f"{database.url} {database!r} {database.engine!r}"
    assert PASSWORD not in shown
    assert "open%20sesame" not in shown
    monkeypatch.setenv("CONQURE_STORE_PASSWORD", PASSWORD)
    work = database.add(ready_work())
    again = open_store(database.url)
    assert again.get(work.work_id) == work
    again.close()


# -- SQLite --


def test_sqlite_is_durable_and_others_cannot_read_it(sqlite_store: SQLStore) -> None:
    file = Path(sqlite_store.url.removeprefix("sqlite:"))
    sqlite_store.add(ready_work(), b"x")
    with sqlite_store.engine.execution_options(reading=True).connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    for each in file.parent.glob("works.db*"):
        assert each.stat().st_mode & 0o077 == 0, each


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    file = tmp_path / "works.db"
    file.write_bytes(b"This is not a database, but somebody's notes. " * 100)
    with pytest.raises(StoreError, match="not a database"):
        open_store(str(file))
    assert file.read_bytes().startswith(b"This is not")
    with pytest.raises(StoreError, match="cannot be opened"):
        open_store(f"sqlite:{file}/below/works.db")


def test_another_program_may_write_between(sqlite_store: SQLStore) -> None:
    work = sqlite_store.add(ready_work())
    other = sqlite3.connect(sqlite_store.url.removeprefix("sqlite:"), timeout=30)
    other.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(sqlite_store.ask_cancel, work.work_id, 2.0)
        assert not wait([waiting], 0.2).done
        assert sqlite_store.get(work.work_id).status is WorkStatus.READY  # reading goes on
        other.execute("UPDATE works SET status = 'EXECUTING', claimed_by = 'other', attempts = 1")
        other.commit()
        assert waiting.result().cancel_requested
    other.close()


# -- URLs --


def test_a_store_is_opened_by_many_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for name, url in {
        "sqlite:a.db": f"sqlite:{tmp_path}/a.db",
        "a.sqlite": f"sqlite:{tmp_path}/a.sqlite",
        f"sqlite:///{tmp_path}/a.db": f"sqlite:{tmp_path}/a.db",
        f"{tmp_path}/new/a.db": f"sqlite:{tmp_path}/new/a.db",
        "sqlite:~/a.db": f"sqlite:{tmp_path}/a.db",
        "tinydb:~/works": f"tinydb:{tmp_path}/works",
        "tinydb:works": f"tinydb:{tmp_path}/works",
        "memory:": "memory:",
        None: f"tinydb:{tmp_path}/data/conqure/works",
    }.items():
        store = open_store(name)
        assert store.url == url
        store.close()
    monkeypatch.setenv("CONQURE_STORE", "b.db")
    store = open_store()
    assert store.url == f"sqlite:{tmp_path}/b.db"
    store.close()


@pytest.mark.parametrize("url", ["works", "oracle://scott:tiger@host/db", "tinydb:", "sqlite:", "http://lab.example"])
def test_what_is_no_store_is_answered_with_the_kinds(url: str) -> None:
    with pytest.raises(StoreError, match="tinydb:FOLDER(.|\n)*postgresql://USER@HOST/NAME") as said:
        open_store(url)
    assert "tiger" not in str(said.value)


def test_a_missing_package_is_said_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conqure.queue.stores.sql.connecting.find_spec", lambda name: None)
    with pytest.raises(MissingPackage, match=r"pip install 'conqure\[mariadb\]'"):
        open_store("mysql://ada@host/works")
    with pytest.raises(MissingPackage, match=r"pip install 'conqure\[postgresql\]'"):
        open_store("postgresql://ada@host/works")
    monkeypatch.setattr("conqure.queue.stores.find_spec", lambda name: None)
    for url in ("tinydb:works", "sqlite:works.db"):
        with pytest.raises(MissingPackage, match=r"pip install 'conqure\[queue\]'"):
            open_store(url)


def test_encryption_is_as_the_url_says() -> None:
    seen: list[dict[str, Any]] = []
    for query in ("ssl=true", "ssl_ca=/etc/ca.pem", "ssl_ca=/etc/ca.pem&ssl_check_hostname=false"):
        engine = connect(read_url(f"mariadb://ada@localhost/works?{query}"))
        sa.event.listen(engine, "do_connect", lambda dialect, record, args, keys: seen.append(dict(keys)) or 1 / 0)
        with pytest.raises(ZeroDivisionError):
            engine.connect()
    assert type(seen[0]["ssl"]).__name__ == "SSLContext"
    assert seen[1]["ssl"] == {"ca": "/etc/ca.pem"}
    assert seen[2]["ssl"]["check_hostname"] is False


def test_both_names_of_mariadb_are_the_same_database(mariadb: str) -> None:
    stores = [open_store(mariadb), open_store(mariadb.replace("mariadb:", "mysql:"))]
    works = [store.add(ready_work(device_id=f"ion{i}"), b"x") for i, store in enumerate(stores)]
    assert all(sorted(ids(store.find())) == sorted(ids(works)) for store in stores)
    assert list(itertools.chain(*(store.lines() for store in stores))) == ["ion0", "ion1"] * 2
    for store in stores:
        store.close()
