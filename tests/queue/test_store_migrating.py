"""Works from any store into any other, and what `conqure store` says."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from conqure.cli import app
from conqure.queue.memory import MemoryStore
from conqure.queue.migrating import every_work, export, migrate
from conqure.queue.store import Store, WorkQuery, open_store
from conqure.queue.stores.sql import SQLStore
from conqure.queue.stores.tables import devices, tokens, users
from conqure.queue.testing import ids, ready_work
from conqure.queue.work import WorkRecord, WorkStatus, content_hash
from qpu_executors.errors import StoreError


def fill(store: Store) -> list[WorkRecord]:
    """Works in all states, with payloads that are shared, large, empty and lost."""
    works = [
        store.add(ready_work(owner=f"user{i % 3}", metadata={"i": i}), f"program {i % 5}".encode()) for i in range(12)
    ]
    works.append(store.add(ready_work(status="CREATED", ready_at=None)))
    works.append(store.add(ready_work(source="parsl"), bytes(3 * 2**20)))
    store.claim(ids(works[:6]), "me", 30.0, 2000.0)
    for work, status in zip(works[:5], ("DONE", "ERROR", "CANCELED", "UPLOADING", "READY"), strict=True):
        store.move(work.work_id, WorkStatus(status), 2001.0, results=b"" if status == "DONE" else None, error="why")
    store.ask_cancel(works[5].work_id, 2002.0)
    return list(every_work(store))


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Store]:
    store = open_store(f"tinydb:{tmp_path}/from")
    yield store
    store.close()


def test_a_copy_is_like_the_original(source: Store, store: Store) -> None:
    works = fill(source)
    progress: list[int] = []
    done = migrate(source, store, lambda done: progress.append(done.works))
    assert (done.works, done.copied, done.missing, done.differing) == (14, 14, [], [])
    assert done.payloads == 7
    assert progress[-1] == 14
    assert list(every_work(store)) == works
    for work in works:
        for content in {work.workload, work.results} - {""}:
            assert store.payload(content) == source.payload(content)
    again = migrate(source, store)
    assert (again.works, again.copied, again.payloads) == (14, 0, 0)
    assert migrate(store, MemoryStore()).copied == 14


def test_a_copy_that_was_broken_off_goes_on(source: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    works = fill(source)
    target = open_store(f"sqlite:{tmp_path}/to.db")
    really, added = target.add, []

    def fail_at_the_fifth(work: WorkRecord) -> WorkRecord:
        added.append(work)
        if len(added) == 5:
            raise KeyboardInterrupt
        return really(work)

    monkeypatch.setattr(target, "add", fail_at_the_fifth)
    with pytest.raises(KeyboardInterrupt):
        migrate(source, target)
    monkeypatch.undo()
    assert len(target.find()) == 4
    assert migrate(source, target).copied == 10
    assert list(every_work(target)) == works
    target.close()


def test_what_differs_in_the_target_is_left_and_named(source: Store, store: Store) -> None:
    fill(source)
    other = store.add(ready_work(device_id="elsewhere"))
    migrate(source, store)
    (waiting,) = source.waiting(["ion0"], 1)
    ended = store.ask_cancel(waiting.work_id, 5000.0)
    done = migrate(source, store)
    assert done.differing == [waiting.work_id]
    assert store.get(waiting.work_id) == ended
    assert store.get(other.work_id) == other


def test_a_lost_payload_is_named_and_a_damaged_one_ends_the_copy(source: Any) -> None:
    work = source.add(ready_work(), b"program")
    file = source.folder / "payloads" / work.workload[:2] / work.workload
    file.write_bytes(b"damaged")
    with pytest.raises(StoreError, match="damaged"):
        migrate(source, MemoryStore())
    file.unlink()
    target = MemoryStore()
    assert migrate(source, target).missing == [work.work_id]
    assert target.get(work.work_id) == work


def test_a_source_that_is_in_use_is_noticed(store: Store, source: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(source)
    really, added = store.add, []

    def add(work: WorkRecord) -> WorkRecord:
        if not added:
            added.append(source.add(ready_work()))
        return really(work)

    monkeypatch.setattr(store, "add", add)
    with pytest.raises(StoreError, match=r"Is somebody using|is in use"):
        migrate(source, store)


def test_databases_also_exchange_users_devices_and_tokens(
    sqlite_store: SQLStore, postgresql: str, mariadb: str
) -> None:
    def account(connection: Any) -> None:
        connection.execute(users.insert(), {"user_id": "ada", "password": "scrypt…", "created_at": 1.0})
        row = {"uuid": "u", "name": "ion0", "configuration": content_hash(b"soc"), "created_at": 1.0, "site": "lab"}
        connection.execute(devices.insert(), row)
        row = {"token_id": "t", "user_id": "ada", "kind": "login", "created_at": 1.0, "expires_at": 2.0}
        connection.execute(tokens.insert(), row)

    sqlite_store.keep(b"soc")
    sqlite_store.write(account)
    works = fill(sqlite_store)
    last: Store = sqlite_store
    for url in (postgresql, mariadb):
        store = SQLStore(url)
        assert (migrate(last, store).accounts, migrate(last, store).accounts) == (3, 0)
        assert store.payload(content_hash(b"soc")) == b"soc"
        assert list(every_work(store)) == works
        with store.engine.execution_options(reading=True).connect() as connection:
            for table in (users, devices, tokens):
                with sqlite_store.engine.execution_options(reading=True).connect() as first:
                    assert connection.execute(table.select()).all() == first.execute(table.select()).all()
        store.close()


def test_works_are_written_out_as_lines_of_json(source: Store, tmp_path: Path) -> None:
    works = fill(source)
    plain, whole, beside = io.StringIO(), io.StringIO(), io.StringIO()
    assert export(source, plain) == export(source, whole, payloads=True) == 14
    export(source, beside, folder=tmp_path / "payloads")
    lines = [json.loads(line) for line in plain.getvalue().splitlines()]
    assert [WorkRecord.from_values(line) for line in lines] == works
    for work, line in zip(works, map(json.loads, whole.getvalue().splitlines()), strict=True):
        assert WorkRecord.from_values(line) == work
        for name in ("workload", "results"):
            content = getattr(work, name)
            assert (line[f"{name}_base64"] is None) == (not content)
            if content:
                assert base64.b64decode(line[f"{name}_base64"]) == source.payload(content)
                assert (tmp_path / "payloads" / content).read_bytes() == source.payload(content)
    assert beside.getvalue() == plain.getvalue()


def test_every_work_is_found_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conqure.queue.migrating.PAGE", 3)
    store = MemoryStore()
    for _ in range(10):
        store.add(ready_work())
    assert list(every_work(store)) == store.find()
    assert len(list(every_work(store, WorkQuery(owner="grace")))) == 0


# -- the commands --


def conqure(*words: str) -> Result:
    return CliRunner().invoke(app, ["store", *words])


@pytest.mark.slow
def test_a_store_is_moved_with_one_command(source: Store, tmp_path: Path) -> None:
    works = fill(source)
    moved = conqure("migrate", source.url, f"sqlite:{tmp_path}/to.db")
    assert moved.exit_code == 0, moved.output
    assert "14 works are in" in moved.output
    assert f"export CONQURE_STORE='sqlite:{tmp_path}/to.db'" in moved.output
    target = open_store(f"{tmp_path}/to.db")
    assert list(every_work(target)) == works
    target.ask_cancel(target.waiting(["ion0"], 1)[0].work_id, 3000.0)
    target.close()
    again = conqure("migrate", source.url, f"{tmp_path}/to.db", "--json")
    assert again.exit_code == 1
    assert len(json.loads(again.stdout)["differing"]) == 1
    assert "differ" in conqure("migrate", source.url, f"{tmp_path}/to.db").output


def test_a_store_says_what_it_holds(store_url: str, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    if store_url == "memory:":
        pytest.skip("it is gone with its process")
    fill(store)
    monkeypatch.setenv("CONQURE_STORE", store_url)
    about = json.loads(conqure("info", "--json").stdout)
    assert about["works"] == {
        "READY": 8, "CREATED": 1, "DONE": 1, "ERROR": 1, "CANCELED": 1, "UPLOADING": 1, "EXECUTING": 1
    }  # fmt: skip
    assert about["kind"] == store_url.partition(":")[0]
    assert (about["version"], about["payloads"]) == (1, 7)
    assert about["payload_bytes"] == 3 * 2**20 + 5 * len("program 0")
    text = conqure("info").output
    assert "payloads" in text
    assert "open%20sesame" not in text + str(about)


def test_old_works_are_forgotten_by_a_command(source: Store) -> None:
    now = time.time()
    for days in (1, 40, 50):
        work = source.add(ready_work(), f"{days}".encode())
        source.claim([work.work_id], "me", None, now)
        source.move(work.work_id, WorkStatus.ERROR if days == 50 else WorkStatus.DONE, now - days * 86_400)
    url = ["--store", source.url]
    assert "2 works would be forgotten" in conqure("purge", "--older-than", "30d", "--dry-run", *url).output
    assert "1 works are forgotten" in conqure("purge", "--older-than", "4w", "--status", "ERROR", *url).output
    assert json.loads(conqure("purge", "--older-than", "720h", "--json", *url).stdout)["works"] == 1
    assert len(source.find()) == 1
    assert conqure("purge", "--older-than", "soon", *url).exit_code == 2
    assert "CANCELED, DONE, ERROR" in conqure("purge", "--older-than", "1d", "--status", "READY", *url).output


def test_works_are_exported_by_a_command(source: Store, tmp_path: Path) -> None:
    works = fill(source)
    printed = conqure("export", "--store", source.url)
    assert [json.loads(line)["work_id"] for line in printed.stdout.splitlines()] == ids(works)
    done = conqure("export", "--store", source.url, "--out", str(tmp_path / "w.jsonl"), "--payloads")
    assert "14 works are in" in done.output
    assert "workload_base64" in (tmp_path / "w.jsonl").read_text()


@pytest.mark.parametrize("url", ["tinydb:{}/nothing", "sqlite:{}/nothing.db", "{}/nothing.db"])
def test_a_mistyped_store_is_not_made(url: str, tmp_path: Path) -> None:
    for words in (["info", "--store", url.format(tmp_path)], ["migrate", url.format(tmp_path), "memory:"]):
        failed = conqure(*words)
        assert failed.exit_code == 1
        assert "does not exist" in failed.output
    assert list(tmp_path.iterdir()) == []
