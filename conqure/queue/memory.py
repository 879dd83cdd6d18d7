"""`MemoryStore`: works in a dictionary, gone with the process. The contract of `Store` in its plainest form."""

from __future__ import annotations

import threading
from collections.abc import Iterable, MutableMapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from qpu_executors.errors import UnknownWork, WorkConflict

from .store import EVERY_WORK, Listener, WorkQuery
from .work import FINAL, WorkRecord, WorkStatus, content_hash

_HELD = (WorkStatus.EXECUTING, WorkStatus.UPLOADING)


class MemoryStore:
    """See `conqure.queue.store.Store`."""

    def __init__(self) -> None:
        self.url = "memory:"
        self.listeners: list[Listener] = []
        self._lock: AbstractContextManager[Any] = threading.RLock()
        self._works: MutableMapping[str, WorkRecord] = {}
        self._payloads: dict[str, bytes] = {}

    def add(self, work: WorkRecord, workload: bytes | None = None) -> WorkRecord:
        with self._lock:
            if workload is not None:
                work = work.replace(workload=content_hash(workload), workload_size=len(workload))
            there = self._works.get(work.work_id)
            if there is None:
                return self._put(work, workload)
            if (there.owner, there.workload) != (work.owner, work.workload):
                raise WorkConflict(f"work_id {work.work_id} is taken by another work. Leave it out to get a new one.")
            return there

    def get(self, work_id: str) -> WorkRecord:
        try:
            return self._works[work_id]
        except KeyError:
            raise UnknownWork(f"no work {work_id!r}. List yours with: conqure work list") from None

    def find(self, query: WorkQuery = EVERY_WORK, limit: int = 100) -> list[WorkRecord]:
        with self._lock:
            found = [work for work in self._works.values() if _fits(work, query)]
        return sorted(found, key=lambda work: (work.created_at, work.work_id), reverse=True)[:limit]

    def lines(self) -> list[str]:
        with self._lock:
            return sorted({work.device_id for work in self._works.values() if _waits(work)})

    def waiting(self, lines: Iterable[str], most: int) -> list[WorkRecord]:
        wanted = set(lines)
        heads: dict[tuple[str, str], int] = {}
        found = []
        with self._lock:
            works = sorted(filter(_waits, self._works.values()), key=_order)
        for work in works:
            head = (work.device_id, work.priority)
            heads[head] = heads.get(head, 0) + 1
            if work.device_id in wanted and heads[head] <= most:
                found.append(work)
        return found

    def claim(self, work_ids: Sequence[str], by: str, lease_s: float | None, now: float) -> list[WorkRecord]:
        until = None if lease_s is None else now + lease_s
        with self._lock:
            named = map(self._works.get, dict.fromkeys(work_ids))
            ready = [work for work in named if work is not None and _waits(work)]
            return [
                self._put(work.become(WorkStatus.EXECUTING, now, claimed_by=by, lease_until=until)) for work in ready
            ]

    def move(
        self,
        work_id: str,
        status: WorkStatus,
        now: float,
        *,
        claim: tuple[str, int] | None = None,
        workload: bytes | None = None,
        results: bytes | None = None,
        **facts: Any,
    ) -> WorkRecord:
        with self._lock:
            work = self.get(work_id)
            if claim is not None and claim != (work.claimed_by, work.attempts):
                raise WorkConflict(
                    f"work {work_id} is no longer yours: {work.claimed_by or 'nobody'} has it, attempt {work.attempts}."
                )
            for name, payload in (("workload", workload), ("results", results)):
                if payload is not None:
                    facts |= {name: content_hash(payload), f"{name}_size": len(payload)}
            return self._put(work.become(status, now, **facts), workload, results)

    def renew(self, by: str, lease_s: float, now: float) -> list[WorkRecord]:
        with self._lock:
            held = [work for work in self._works.values() if work.status in _HELD and work.claimed_by == by]
            for work in held:  # nothing that listeners would want to know
                self._works[work.work_id] = work.replace(lease_until=now + lease_s)
            return [self._works[work.work_id] for work in held]

    def expired(self, now: float, most: int = 1000) -> list[WorkRecord]:
        with self._lock:
            held = [work for work in self._works.values() if work.status in _HELD and work.lease_until is not None]
        return [work for work in held if work.lease_until is not None and work.lease_until < now][:most]

    def ask_cancel(self, work_id: str, now: float, reason: str = "") -> WorkRecord:
        with self._lock:
            work = self.get(work_id)
            if work.status in FINAL:
                return work
            if work.status in _HELD:
                return self._put(work.replace(cancel_requested=True))
            return self._put(work.become(WorkStatus.CANCELED, now, error=reason or "canceled by its owner"))

    def counts(self) -> dict[str, dict[WorkStatus, int]]:
        counts: dict[str, dict[WorkStatus, int]] = {}
        with self._lock:
            for work in self._works.values():
                if work.source == "queue" and work.status not in FINAL:
                    of = counts.setdefault(work.device_id, {})
                    of[work.status] = of.get(work.status, 0) + 1
        return counts

    def keep(self, payload: bytes) -> str:
        content = content_hash(payload)
        self._payloads.setdefault(content, payload)
        return content

    def payload(self, content: str) -> bytes:
        try:
            return self._payloads[content]
        except KeyError:
            raise UnknownWork(f"no payload {content[:12]!r}…: it was never uploaded, or purged.") from None

    def purge(self, before: float, statuses: Iterable[WorkStatus] = FINAL, *, dry_run: bool = False) -> int:
        wanted = FINAL & set(statuses)
        with self._lock:
            old = [w for w in self._works.values() if w.status in wanted and (w.ended_at or w.created_at) < before]
            if not dry_run:
                for work in old:
                    del self._works[work.work_id]
                needed = {content for w in self._works.values() for content in (w.workload, w.results)}
                self._payloads = {content: kept for content, kept in self._payloads.items() if content in needed}
        return len(old)

    def close(self) -> None:
        pass

    def _put(self, work: WorkRecord, *payloads: bytes | None) -> WorkRecord:
        for payload in payloads:
            if payload is not None:
                self.keep(payload)
        self._works[work.work_id] = work
        for listener in self.listeners:
            listener(work)
        return work


def _waits(work: WorkRecord) -> bool:
    return work.status is WorkStatus.READY and work.source == "queue"


def _order(work: WorkRecord) -> tuple[int, float, str]:
    return (work.priority.rank, work.ready_at or 0.0, work.work_id)


def _fits(work: WorkRecord, query: WorkQuery) -> bool:
    return (
        query.owner in ("", work.owner)
        and query.device_id in ("", work.device_id)
        and (not query.statuses or work.status in query.statuses)
        and query.priority in (None, work.priority)
        and query.source in ("", work.source)
        and query.loop in ("", work.loop)
        and (query.since is None or work.created_at >= query.since)
        and (query.before is None or (work.created_at, work.work_id) < query.before)
    )
