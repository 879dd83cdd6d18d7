"""The setting ``remote``: a service keeps the works; this side speaks its v1 (docs/queue-api.md)."""

from __future__ import annotations

import base64
import contextlib
import json
from pathlib import Path
from typing import Any

from qpu_executors.errors import InvalidWork, QueueUnavailable

from .setting import Conventions, Order, Sight
from .store import WorkQuery
from .work import WorkloadFormat, WorkRecord

MAX_INLINE_TEXT, MAX_INLINE_BYTES = 8 * 2**20, 2**20  # what is larger is uploaded by itself
MAX_WAIT_S = 60.0
_PAGE = 500
_TEXTS = (WorkloadFormat.TASK, WorkloadFormat.TASKS, WorkloadFormat.DAX)


class RemoteQueue:
    """See `conqure.queue.setting.Setting`."""

    name = "remote"

    def __init__(
        self, url: str, token: str | None = None, ca: str | Path | None = None, device_id: str | None = None
    ) -> None:
        from .http import Line

        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._line = Line(url, headers=headers, ca=ca)
        self.where = self._line.url
        self.device_id = device_id
        self.conventions: Conventions = contextlib.nullcontext()
        self._me: str | None = None

    def create(self, order: Order) -> WorkRecord:
        packed = order.packed
        values = {
            "work_id": order.work_id,
            "device_id": packed.device_id,
            "priority": order.priority,
            "format": packed.format,
            "name": order.name,
            "loop": order.loop,
            "convergence": order.convergence,
        }
        values = {key: value for key, value in values.items() if value not in (None, "")}
        if packed.format in _TEXTS and len(packed.payload) <= MAX_INLINE_TEXT:
            values["workload"] = packed.payload.decode()
        elif len(packed.payload) <= MAX_INLINE_BYTES:
            values["workload_base64"] = base64.b64encode(packed.payload).decode()
        work = self._record("POST", "/v1/works", json_=values)
        if len(values.keys() & {"workload", "workload_base64"}) == 0:
            work = self._record("PUT", f"/v1/works/{order.work_id}/workload", body=packed.payload)
        return work

    def look(self, work_id: str, wait: float = 0.0, seen: str = "") -> Sight:
        wait = min(wait, MAX_WAIT_S)
        query = {"wait": round(wait, 3), "seen": str(seen)} if wait > 0 and seen else None
        values = self._line.ask("GET", f"/v1/works/{_id(work_id)}", query=query, wait=wait).json()
        return Sight(_read(values), values.get("position"))

    def describe(self, work_id: str) -> WorkRecord:
        return self.look(work_id).work

    def find(self, query: WorkQuery, limit: int, everybody: bool) -> list[WorkRecord]:
        filters = {
            "owner": query.owner or ("" if everybody else self._user()),
            "device_id": query.device_id,
            "status": [str(status) for status in query.statuses] or None,
            "priority": query.priority,
            "source": query.source,
            "loop": query.loop,
            "since": query.since,
        }
        works: list[WorkRecord] = []
        cursor = None
        while len(works) < limit:
            page = filters | {"limit": min(_PAGE, limit - len(works)), "cursor": cursor}
            found = self._line.ask("GET", "/v1/works", query=page).json()
            works += map(_read, found["works"])
            cursor = found.get("cursor")
            if not cursor or not found["works"]:
                break
        return works

    def cancel(self, work_id: str, reason: str) -> WorkRecord:
        return self._record("POST", f"/v1/works/{_id(work_id)}/cancel", json_={"reason": reason} if reason else {})

    def results(self, work_id: str) -> tuple[bytes, WorkloadFormat | None]:
        answer = self._line.ask("GET", f"/v1/works/{_id(work_id)}/results")
        said = answer.headers.get("x-conqure-format")
        return answer.content, WorkloadFormat(said) if said in list(WorkloadFormat) else None

    def add_user(self, email: str, fullname: str) -> Any:
        return self._line.ask("POST", "/v1/users", json_={"email": email, "full_name": fullname}).json()

    def add_device(self, device_name: str, refresh_timeout: int) -> Any:
        values = {"device_id": device_name, "refresh_timeout_s": refresh_timeout}
        return self._line.ask("POST", "/v1/devices", json_=values).json()

    def devices(self) -> list[dict[str, Any]]:
        found = self._line.ask("GET", "/v1/devices").json()
        return list(found["devices"] if isinstance(found, dict) else found)

    def configuration(self, device_id: str | None) -> Any:
        if not device_id:
            raise InvalidWork("whose configuration? Give device_id; client.get_devices() lists the devices.")
        return json.loads(self._line.ask("GET", f"/v1/devices/{_id(device_id)}/configuration").content)

    def close(self) -> None:
        self._line.close()

    def _record(self, method: str, path: str, **request: Any) -> WorkRecord:
        return _read(self._line.ask(method, path, **request).json())

    def _user(self) -> str:
        """Who we are there; a service without users says nothing."""
        if self._me is None:
            self._me = str(self._line.ask("GET", "/v1/me").json().get("user_id", ""))
        return self._me


def _read(values: Any) -> WorkRecord:
    try:
        return WorkRecord.from_values(values)
    except (TypeError, AttributeError) as error:
        raise QueueUnavailable(f"the answer is no record of a work: {str(values)[:80]}.") from error


def _id(text: str) -> str:
    """An id as one part of a path."""
    from urllib.parse import quote

    return quote(str(text), safe="")
