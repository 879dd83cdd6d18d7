"""Works from one store into another, and out of a store as text.

Copying may be repeated: what is there already is left alone, so a copy that was broken off goes on where it was.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

from qpu_executors.errors import ConqureError, StoreError, UnknownWork

from .store import EVERY_WORK, Store, WorkQuery, open_store
from .work import WorkRecord, content_hash

PAGE = 500  # works that are read at once

Progress = Callable[["Migrated"], None]


@dataclass
class Migrated:
    """What was done.

    Attributes:
        works: all that the source has; ``copied`` of them are new in the target.
        payloads, payload_bytes: copied with them.
        missing: works whose workload or results the source does not have (any longer).
        differing: works that both have and that are not the same; the target's are left as they are.
        accounts: users, devices and tokens that are new in the target; between databases only.
    """

    works: int = 0
    copied: int = 0
    payloads: int = 0
    payload_bytes: int = 0
    missing: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    accounts: int = 0


def every_work(store: Store, query: WorkQuery = EVERY_WORK) -> Iterator[WorkRecord]:
    """All works that fit, newest first, read page by page."""
    while page := store.find(query, PAGE):
        yield from page
        query = replace(query, before=(page[-1].created_at, page[-1].work_id))


def open_existing(url: str) -> Store:
    """Open a store of which something is there already; a mistyped name must not look like an empty store."""
    kind, _, rest = url.partition(":")
    place = Path(url if not rest else rest.removeprefix("///")).expanduser()
    if kind in ("tinydb", "sqlite") or not rest:
        there = place / "works.json" if kind == "tinydb" else place
        if not there.exists():
            raise StoreError(f"there is no store {url}: {there} does not exist.")
    return open_store(url)


def migrate(source: Store, target: Store, progress: Progress = lambda done: None) -> Migrated:
    """Copy all works and their payloads, and look afterwards whether all are there.

    Nothing else should change the source meanwhile: stop the service and the programs that use it.

    Args:
        progress: called with what was done so far, about once for each hundred works.

    Raises:
        StoreError: a payload does not have the hash that is its name, or a work is not there at the end.

    >>> from conqure.queue.memory import MemoryStore
    >>> migrate(MemoryStore(), MemoryStore()).works
    0
    """
    done = Migrated()
    kept: set[str] = set()
    for work in every_work(source):
        there = _get(target, work.work_id)
        if there is None:
            _copy(work, source, target, kept, done)
        elif there != work:
            done.differing.append(work.work_id)
        done.works += 1
        if done.works % 100 == 0:
            progress(done)
    done.accounts = _copy_accounts(source, target)
    _check(source, target, done)
    progress(done)
    return done


def _copy(work: WorkRecord, source: Store, target: Store, kept: set[str], done: Migrated) -> None:
    """The payloads first: a work that is there has them."""
    for content in {work.workload, work.results} - {""} - kept:
        try:
            payload = source.payload(content)
        except UnknownWork:
            done.missing.append(work.work_id)
            continue
        if not content_hash(payload) == target.keep(payload) == content:
            raise StoreError(f"the payload {content} of {source.url} is damaged: its bytes do not have its name.")
        kept.add(content)
        done.payloads += 1
        done.payload_bytes += len(payload)
    target.add(work)
    done.copied += 1


def _check(source: Store, target: Store, done: Migrated) -> None:
    """Both lists are in the same order: go along them together."""
    theirs = every_work(target)
    differing = set(done.differing)
    found = 0
    for work in every_work(source):
        found += 1
        same = next((other for other in theirs if other.work_id == work.work_id), None)
        if same != work and work.work_id not in differing:
            raise StoreError(
                f"work {work.work_id} of {source.url} is not the same in {target.url}. Is somebody using one of them? "
                "Stop that, and repeat the command."
            )
    if found != done.works:
        raise StoreError(f"{source.url} has {found} works now and had {done.works}: it is in use. Repeat the command.")


def _get(store: Store, work_id: str) -> WorkRecord | None:
    try:
        return store.get(work_id)
    except UnknownWork:
        return None


def _copy_accounts(source: Store, target: Store) -> int:
    if not (hasattr(source, "engine") and hasattr(target, "engine")):
        return 0
    from .stores.sql.accounts import copy_accounts

    return copy_accounts(source, target)


def export(store: Store, file: TextIO, payloads: bool = False, folder: Path | None = None) -> int:
    """Write each work as a line of JSON, newest first; returns how many.

    Args:
        payloads: also ``workload_base64`` and ``results_base64`` in each line; or, if given,
        folder: each payload as a file in it, named by its hash.
    """
    n = 0
    for work in every_work(store):
        n += 1
        line: dict[str, Any] = work.describe()
        for name in ("workload", "results") if payloads or folder else ():
            content = getattr(work, name)
            try:
                payload = store.payload(content) if content else None
            except ConqureError:
                payload = None
            if folder is None:
                line[f"{name}_base64"] = None if payload is None else base64.b64encode(payload).decode()
            elif payload is not None:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                (folder / content).write_bytes(payload)
        file.write(json.dumps(line, separators=(",", ":")) + "\n")
    return n
