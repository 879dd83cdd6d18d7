"""What only the store in files does: one file for all records, safe for several programs, kept when it is torn."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from conqure.queue.store import open_store
from conqure.queue.stores.tiny import TinyStore
from conqure.queue.testing import ids, ready_work
from conqure.queue.work import WorkStatus, content_hash
from qpu_executors.errors import StoreError, UnknownWork


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[TinyStore]:
    store = TinyStore(tmp_path / "works")
    yield store
    store.close()


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Grows with each file that is written."""
    from conqure.queue.stores.tiny import files, storage

    written: list[Path] = []
    really = files.write_whole
    for module in (files, storage):
        monkeypatch.setattr(module, "write_whole", lambda file, content: (written.append(file), really(file, content)))
    return written


def test_records_and_payloads_are_files_that_only_their_owner_reads(tiny: TinyStore) -> None:
    work = tiny.add(ready_work(name="Bell"), b"the bytes")
    index = json.loads((tiny.folder / "works.json").read_text())
    assert index["works"][work.work_id]["name"] == "Bell"
    assert b"the bytes" not in (tiny.folder / "works.json").read_bytes()
    assert (tiny.folder / "payloads" / work.workload[:2] / work.workload).read_bytes() == b"the bytes"
    for place in (tiny.folder, *tiny.folder.rglob("*")):
        assert place.stat().st_mode & 0o777 == (0o700 if place.is_dir() else 0o600), place
    assert not list(tiny.folder.rglob("*.part"))


def test_a_verb_writes_the_records_once(tiny: TinyStore, writes: list[Path]) -> None:
    works = [tiny.add(ready_work()) for _ in range(5)]
    del writes[:]
    tiny.claim(ids(works), "me", 10.0, 2000.0)
    assert len(writes) == 1
    tiny.renew("me", 10.0, 2001.0)
    assert len(writes) == 2
    tiny.move(works[0].work_id, WorkStatus.DONE, 2002.0, results=b"counts")
    assert [file.name for file in writes[2:]] == [content_hash(b"counts"), "works.json"]
    tiny.purge(3000.0)
    assert len(writes) == 5
    for look in (tiny.find, tiny.lines, tiny.counts, lambda: tiny.claim(ids(works), "me", 1.0, 3.0)):
        look()
    with pytest.raises(UnknownWork):
        tiny.get("0" * 32)
    assert len(writes) == 5


def test_an_unchanged_file_is_not_read_again(tiny: TinyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    from conqure.queue.stores.tiny import storage

    work, other = tiny.add(ready_work()), TinyStore(tiny.folder)
    parsed: list[int] = []
    really = storage._loads
    monkeypatch.setattr(storage, "_loads", lambda content: (parsed.append(1), really(content))[1])
    for _ in range(3):
        assert tiny.find() == [work]
        tiny.ask_cancel(tiny.add(ready_work(owner="grace")).work_id, 2.0)
        tiny.purge(3.0)
    assert parsed == []
    assert ids(other.find()) == [work.work_id]
    assert ids(other.find()) == [work.work_id]
    assert parsed == [1]


def test_a_change_of_the_same_length_at_the_same_time_is_seen(tiny: TinyStore) -> None:
    """What a clock that ticks slowly and a file system that uses a number again cannot tell apart."""
    work, other = tiny.add(ready_work(name="aaaa")), TinyStore(tiny.folder)
    assert other.get(work.work_id).name == "aaaa"
    before = os.stat(tiny.folder / "works.json")
    with tiny._lock:
        tiny._put(work.replace(name="bbbb"))
    os.utime(tiny.folder / "works.json", ns=(before.st_atime_ns, before.st_mtime_ns))
    seen = other._storage._seen
    assert seen is not None
    other._storage._seen = seen._replace(mark=(os.stat(tiny.folder / "works.json").st_ino, *seen.mark[1:]))
    assert other.get(work.work_id).name == "bbbb"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"works": {}}', b"\x00" * 500, b'{"store": {"1": {}}}'])
def test_a_damaged_file_is_said_and_kept(tiny: TinyStore, content: bytes) -> None:
    work = tiny.add(ready_work(), b"program")
    file = tiny.folder / "works.json"
    file.write_bytes(content)
    for ask in (
        tiny.find,
        lambda: tiny.add(ready_work()),
        lambda: tiny.get(work.work_id),
        lambda: tiny.purge(9e9),
        lambda: open_store(tiny.url),
    ):
        with pytest.raises(StoreError, match=r"cannot be read as a table of works.*Restore it"):
            ask()
    assert file.read_bytes() == content
    assert tiny.payload(work.workload) == b"program"


def test_a_cut_file_is_said_and_kept(tiny: TinyStore) -> None:
    tiny.add(ready_work())
    file = tiny.folder / "works.json"
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    with pytest.raises(StoreError, match="mv "):
        tiny.add(ready_work())
    file.write_bytes(whole)
    assert len(tiny.find()) == 1
    assert tiny.add(ready_work()) in tiny.find()


def test_a_damaged_payload_is_not_given_out(tiny: TinyStore) -> None:
    work = tiny.add(ready_work(), b"program")
    (tiny.folder / "payloads" / work.workload[:2] / work.workload).write_bytes(b"prog")
    with pytest.raises(StoreError, match="damaged"):
        tiny.payload(work.workload)


def test_a_file_of_a_newer_version_is_refused(tiny: TinyStore) -> None:
    tiny.add(ready_work())
    file = tiny.folder / "works.json"
    file.write_text(file.read_text().replace('"version":1', '"version":2'))
    with pytest.raises(StoreError, match=r"newer CONQURE.*pip install --upgrade conqure"):
        open_store(tiny.url)


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="Name another"):
        TinyStore(tmp_path / "works")


def test_a_full_disk_changes_nothing(tiny: TinyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tiny.add(ready_work(), b"program")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    heard: list[object] = []
    tiny.listeners.append(heard.append)
    with pytest.raises(StoreError, match="No space left on device"):
        tiny.ask_cancel(work.work_id, 2.0)
    with pytest.raises(StoreError, match="No space left on device"):
        tiny.add(ready_work(), b"another")
    monkeypatch.undo()
    assert heard == []
    assert tiny.get(work.work_id) == work
    assert not list(tiny.folder.rglob("*.part"))
    assert tiny.ask_cancel(work.work_id, 2.0).status is WorkStatus.CANCELED


def test_two_stores_on_one_folder_take_turns(tiny: TinyStore) -> None:
    """A POSIX lock ends when its process closes the file anywhere, and does not hold between threads: ours does."""
    other = TinyStore(tiny.folder / ".." / tiny.folder.name)
    with ThreadPoolExecutor(1) as threads:
        with tiny._storage.changing():
            waiting = threads.submit(other.add, ready_work())
            assert not wait([waiting], 0.2).done
        assert waiting.result(30) in tiny.find()


def test_another_program_waits_for_the_lock(tiny: TinyStore) -> None:
    program = (
        "import sys; from conqure.queue.store import open_store; from conqure.queue.work import *\n"
        "s = open_store(sys.argv[1]); print('open', flush=True); print(s.add(WorkRecord(new_work_id(), 'ada')).work_id)"
    )
    with tiny._storage.changing():
        child = subprocess.Popen([sys.executable, "-c", program, tiny.url], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.3)
    said, _ = child.communicate(timeout=30)
    assert ids(tiny.find()) == [said.strip()]


def test_readers_see_only_what_is_durable(tiny: TinyStore) -> None:
    work = tiny.add(ready_work())
    seen: list[WorkStatus] = []
    with tiny._lock:
        tiny._put(work.replace(status=WorkStatus.EXECUTING))
        assert tiny.get(work.work_id).status is WorkStatus.EXECUTING
        reader = threading.Thread(target=lambda: seen.append(tiny.get(work.work_id).status))
        reader.start()
        reader.join(30)
    assert seen == [WorkStatus.READY]
    assert tiny.get(work.work_id).status is WorkStatus.EXECUTING


def test_too_many_works_are_said_once_with_the_way_out(
    tiny: TinyStore, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conqure.queue.stores.tiny.store.CEILING", 3)
    with caplog.at_level(logging.WARNING):
        for _ in range(6):
            tiny.add(ready_work())
    (record,) = caplog.records
    assert f"conqure store migrate {tiny.url} sqlite:{tiny.folder}.db" in record.getMessage()


def test_what_was_left_unfinished_is_cleared_by_a_purge(tiny: TinyStore) -> None:
    work = tiny.add(ready_work(), b"program")
    left = [tiny.folder / "works.json.1-ab.part", tiny.folder / "payloads" / work.workload[:2] / "cd.1-ab.part"]
    for file in left:
        file.write_bytes(b"torn")
    assert tiny.describe()["payloads"] >= 1
    tiny.purge(1.0)
    assert not any(file.exists() for file in left)
    assert tiny.payload(work.workload) == b"program"
