"""The store: what `MemoryStore` does, with a table of TinyDB as its dictionary."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tinydb.table import Table

from qpu_executors.errors import StoreError

from ...memory import MemoryStore
from ...work import FINAL, WorkRecord, WorkStatus
from .files import UNFINISHED, PayloadFiles, make_folder
from .lock import lock_of
from .storage import VERSION, LockedStorage

CEILING = 2_000  # works; every change writes all of them, see the figures in docs/queue-stores.md

log = logging.getLogger(__name__)


class TinyStore(MemoryStore):
    """Works of one person, in a folder. See `conqure.queue.store.Store` for the verbs.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     TinyStore(folder).find()
    []
    """

    def __init__(self, folder: Path | str) -> None:
        super().__init__()
        self.folder = Path(folder).expanduser().absolute()
        self.url = f"tinydb:{self.folder}"
        try:
            make_folder(self.folder)
        except OSError as error:
            raise StoreError(f"the folder {self.folder} cannot be made: {error.strerror}. Name another.") from error
        self._storage = LockedStorage(self.folder / "works.json", lock_of(self.folder))
        self._files = PayloadFiles(self.folder / "payloads")
        self._works: _Records = _Records(self._storage)
        self._changed: list[WorkRecord] = []
        self._warned = False
        self._lock = _Verb(self)
        self._storage.read()  # what cannot be read is said now

    def __repr__(self) -> str:
        return f"TinyStore({str(self.folder)!r})"

    def keep(self, payload: bytes) -> str:
        with self._storage.changing():
            try:
                return self._files.keep(payload)
            except OSError as error:
                raise StoreError(f"a payload cannot be written in {self.folder}: {error.strerror}.") from error

    def payload(self, content: str) -> bytes:
        return self._files.get(content)

    def purge(self, before: float, statuses: Iterable[WorkStatus] = FINAL, *, dry_run: bool = False) -> int:
        wanted = FINAL & set(statuses)
        with self._storage.changing():
            old = [w for w in self._works.values() if w.status in wanted and (w.ended_at or w.created_at) < before]
            if old and not dry_run:
                self._works.remove(work.work_id for work in old)
        if not dry_run:
            self._forget_payloads()
        return len(old)

    def describe(self) -> dict[str, Any]:
        """What kind of store it is, how many works and payloads it has, and how many bytes these are."""
        sizes = [file.stat().st_size for _, file in self._files.contents()]
        return {
            "url": self.url,
            "kind": "tinydb",
            "version": VERSION,
            "works": dict(Counter(work.status.value for work in self._works.values())),
            "payloads": len(sizes),
            "payload_bytes": sum(sizes),
        }

    def _forget_payloads(self) -> None:
        """After the works are gone for good, for a work without its payload is worse than a payload too many."""
        with self._storage.changing():
            needed = {content for work in self._works.values() for content in (work.workload, work.results)}
            for content, file in self._files.contents():
                if content not in needed:
                    file.unlink(missing_ok=True)
            for file in self.folder.glob(f"*{UNFINISHED}"):
                file.unlink(missing_ok=True)

    def _put(self, work: WorkRecord, *payloads: bytes | None) -> WorkRecord:
        for payload in payloads:
            if payload is not None:
                self.keep(payload)
        self._works[work.work_id] = work
        self._changed.append(work)
        return work

    def _notify(self, changed: Iterable[WorkRecord]) -> None:
        try:
            for work in changed:
                for listener in self.listeners:
                    listener(work)
        except Exception:  # the change is durable, whatever its listeners do
            log.exception("a listener of the store %s failed", self.url)
        self._warn()

    def _warn(self) -> None:
        """Once, when there are so many works that each change takes long."""
        if not self._warned and len(self._works) > CEILING:
            self._warned = True
            file = self.folder.with_name(self.folder.name + ".db")
            log.warning(
                "The store %s holds %d works, and with more than %d every change of it takes long. Move it: "
                "conqure store migrate %s sqlite:%s and then export CONQURE_STORE=sqlite:%s",
                *(self.url, len(self._works), CEILING, self.url, file, file),
            )


class _Verb(AbstractContextManager[None]):
    """What a verb does, it does inside this: alone, written at the end, and then told to the listeners."""

    def __init__(self, store: TinyStore) -> None:
        self._store = store
        self._changing: list[AbstractContextManager[None]] = []

    def __enter__(self) -> None:
        changing = self._store._storage.changing()
        changing.__enter__()
        self._changing.append(changing)

    def __exit__(self, *error: Any) -> None:
        store = self._store
        changed, store._changed = store._changed, []
        self._changing.pop().__exit__(*error)
        if error[0] is None and changed:
            store._notify(changed)


class _Records(MutableMapping[str, WorkRecord]):
    """The table as records by ``work_id``; a record is made once for each document."""

    def __init__(self, storage: LockedStorage) -> None:
        self._table = _Table(storage, "works", cache_size=0)
        self._made: dict[str, tuple[Mapping[str, Any], WorkRecord]] = {}

    def __getitem__(self, work_id: str) -> WorkRecord:
        return self._record(work_id, self._table.documents()[work_id])

    def __setitem__(self, work_id: str, work: WorkRecord) -> None:
        document = work.describe()
        self._table.put(work_id, document)
        self._made[work_id] = (document, work)

    def __delitem__(self, work_id: str) -> None:
        self.remove([work_id])

    def remove(self, work_ids: Iterable[str]) -> None:
        self._table.forget(work_ids)
        self._made.clear()

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._table.documents()))

    def __len__(self) -> int:
        return len(self._table.documents())

    def values(self) -> Any:
        return [self._record(work_id, document) for work_id, document in self._table.documents().items()]

    def _record(self, work_id: str, document: Mapping[str, Any]) -> WorkRecord:
        made = self._made.get(work_id)
        if made is None or made[0] is not document:
            made = self._made[work_id] = (document, WorkRecord.from_values(dict(document)))
        return made[1]


class _Table(Table):
    """Documents by ``work_id`` instead of by number."""

    document_id_class = str  # type: ignore[assignment]  # TinyDB takes any, its hints know numbers only

    def documents(self) -> dict[str, Mapping[str, Any]]:
        return self._read_table()

    def forget(self, work_ids: Iterable[str]) -> None:
        self.remove(doc_ids=list(work_ids))  # type: ignore[arg-type]

    def put(self, work_id: str, document: Mapping[str, Any]) -> None:
        """A document in place of the one that is there: those which others have read stay as they are."""
        self._update_table(lambda table: table.update({work_id: document}))  # type: ignore[dict-item]
