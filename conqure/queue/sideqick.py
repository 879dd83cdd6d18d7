"""The setting ``sideqick``: the AWS interface, configured by SideQICK's files.

It speaks only what AWS's own service speaks too, so it works with that one as well as with ours. Ours is told that
this client understands ERROR and CANCELED.
"""

from __future__ import annotations

import json
import logging
import time
from configparser import ConfigParser
from configparser import Error as ConfigError
from datetime import datetime
from pathlib import Path
from typing import Any

from qpu_executors.errors import ConqureError, InvalidWork, NotAllowed, QueueUnavailable, WorkNotDone

from .setting import Conventions, Order, Sight
from .store import WorkQuery
from .work import WorkloadFormat, WorkRecord, WorkStatus

FILES = ("~/.config/qick.conf", "/etc/qick/config")  # both are read; the later wins, key by key
_NEEDED = (("user", "username"), *(("service", key) for key in ("cognito_url", "clientid", "api_endpoint")))
_BYTES = {"Content-Type": "application/octet-stream"}
_OURS = {"X-Conqure-Client": "1"}


class ApiError(ConqureError):
    """The AWS interface refused."""

    kind = "api_error"
    api, code, content = "", 0, b""

    @classmethod
    def of(cls, api: str, code: int, content: bytes) -> ApiError:
        error = cls(f"{api} API error: {code}, {content[:500].decode(errors='replace')}")
        error.api, error.code, error.content = api, code, content
        return error


class SideqickConventions:
    """Errors of the interface are logged, and the method returns None."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if isinstance(error, ApiError):
            logging.warning("%s API error: %d, %s", error.api, error.code, error.content)
        return isinstance(error, ApiError)


class AwsWork(dict[str, Any]):
    """The dictionary that the interface gives for a work, which also answers like a `WorkRecord`."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(_record(self), name)


def configured() -> ConfigParser | None:
    """SideQICK's configuration; None if there is none. `InvalidWork` if it lacks something."""
    config = ConfigParser()
    try:
        read = config.read([Path(file).expanduser() for file in FILES])
    except (ConfigError, UnicodeDecodeError) as error:
        raise InvalidWork(f"the configuration of SideQICK cannot be read: {error}") from error
    if not config.has_option("service", "cognito_url"):  # a device's file, or none
        return None
    for section, key in _NEEDED:
        if not config.has_option(section, key):
            raise InvalidWork(f"{' and '.join(read)} lack the key {key!r} in [{section}].")
    return config


class SideqickQueue:
    """See `conqure.queue.setting.Setting`."""

    name = "sideqick"

    def __init__(self, config: ConfigParser) -> None:
        from .cognito import Login
        from .http import Line

        self.config = config
        self._line = Line(config["service"]["api_endpoint"], headers=_OURS)
        self._login = Login(config)
        self.where = self._line.url
        self.device_id = config.get("device", "id", fallback=None)
        self.conventions: Conventions = SideqickConventions()

    def create(self, order: Order) -> WorkRecord:
        values = {"DeviceId": self._device(order.packed.device_id), "Priority": order.priority.value}
        said = {"X-Conqure-Format": order.packed.format.value}
        made = self._ask("CreateWork", "POST", "/workloads", 201, json_=values, headers=said, repeat=False)
        sent = self._line.request("PUT", made["UploadUrl"], body=order.packed.payload, headers=_BYTES)
        if sent.code != 200:  # the work stays CREATED; its id is returned all the same
            logging.warning("upload of the workload failed: %d, %s", sent.code, sent.content)
        now, status = time.time(), WorkStatus.READY if sent.code == 200 else WorkStatus.CREATED
        return WorkRecord(made["WorkId"], self._login.username, values["DeviceId"], status=status, created_at=now)

    def look(self, work_id: str, wait: float = 0.0, seen: str = "") -> Sight:
        if wait > 0 and seen:
            time.sleep(wait)  # the interface has no way to wait for a change
        return Sight(_record(self.describe(work_id)))

    def describe(self, work_id: str) -> AwsWork:
        return AwsWork(self._ask("GetWork", "GET", f"/workloads/{work_id}"))

    def find(self, query: WorkQuery, limit: int, everybody: bool) -> list[WorkRecord]:
        filters = {"DeviceId": self._device(query.device_id)}
        filters |= {} if everybody else {"AccountId": self._login.account_id}
        works: list[WorkRecord] = []
        after: dict[str, str] = {}
        while len(works) < limit:
            page = self._ask("ListWork", "GET", "/workloads", query=filters | after)
            works += [work for work in map(_record, page["Items"]) if _fits(work, query)]
            oldest = page["Items"][-1]["CreatedAt"] if page["Items"] else ""
            if not page.get("LastEvaluatedKey") or (query.since is not None and (_time(oldest) or 0) < query.since):
                break
            after = {"ExclusiveStartKeyJson": json.dumps(page["LastEvaluatedKey"])}
        return works[:limit]

    def cancel(self, work_id: str, reason: str) -> WorkRecord:
        raise NotAllowed(
            f"work {work_id} cannot be canceled: the AWS interface has no way to. On a queue of CONQURE use "
            f"UserClient('{self.where}'), its own interface (conqure login {self.where})."
        )

    def results(self, work_id: str) -> tuple[bytes, WorkloadFormat | None]:
        work = self.describe(work_id)
        if work["WorkStatus"] != WorkStatus.DONE:
            raise WorkNotDone("get_results error: workload is not in DONE status")
        got = self._line.request("GET", work["WorkloadResultUrl"])
        if got.code != 200:
            raise ApiError.of("GetResults", got.code, got.content)
        return got.content, None

    def add_user(self, email: str, fullname: str) -> None:
        self._ask("AddUser", "POST", "/users", json_={"Email": email, "FullName": fullname})
        keys = ("cognito_url", "clientid", "cognito_userpool", "api_endpoint")
        print(f"{fullname} puts this into ~/.config/qick.conf:\n")
        print(_block("service", {key: self.config.get("service", key, fallback="") for key in keys}))
        print(_block("user", {"username": email}))

    def add_device(self, device_name: str, refresh_timeout: int) -> None:
        values = {"DeviceName": device_name, "RefreshTimeout": refresh_timeout}
        made = self._ask("AddDevice", "POST", "/devices", 201, json_=values, repeat=False)
        keys = ("api_endpoint", "oauth_endpoint")
        print("The computer of the device has this in /etc/qick/config:\n")
        print(_block("service", {key: self.config.get("service", key, fallback="") for key in keys}))
        print(_block("device", {"id": made["DeviceId"], "name": made["DeviceName"]}))
        print("and this in /etc/qick/credentials, for nobody else to read:\n")
        print(_block("credentials", {"id": made["ClientId"], "secret": made["ClientSecret"]}))

    def devices(self) -> list[dict[str, Any]]:
        return list(self._ask("GetDevices", "GET", "/devices"))

    def configuration(self, device_id: str | None) -> Any:
        device = self._ask("GetDevice", "GET", f"/devices/{self._device(device_id)}")
        if "DeviceConfigurationUrl" not in device:
            raise ApiError.of("GetDevice", 404, b"the device has uploaded no configuration")
        got = self._line.request("GET", device["DeviceConfigurationUrl"])
        if got.code != 200:
            raise ApiError.of("GetConfiguration", got.code, got.content)
        return json.loads(got.content)

    def close(self) -> None:
        self._line.close()
        self._login.close()

    def _ask(
        self, api: str, method: str, path: str, good: int = 200, headers: dict[str, str] | None = None, **request: Any
    ) -> Any:
        said = headers or {}
        answer = self._line.request(method, path, headers=said | self._login.header(), **request)
        if answer.code == 401:  # revoked before its time: once more with a new one
            self._login.forget()
            answer = self._line.request(method, path, headers=said | self._login.header(), **request)
        if answer.code != good:
            raise ApiError.of(api, answer.code, answer.content)
        return answer.json() if answer.content else None

    def _device(self, device_id: str | None) -> str:
        found = device_id if device_id and device_id != "any" else self.device_id
        if not found:
            raise InvalidWork(f"which device? Give device_id, or id in [device] of {FILES[0]}.")
        return found


def _record(work: dict[str, Any]) -> WorkRecord:
    """What the interface says about a work, in our words."""
    try:
        return WorkRecord(
            work["WorkId"],
            str(work.get("UserGivenName", "")),
            str(work.get("DeviceId", "any")),
            work.get("Priority", "LOW"),
            work["WorkStatus"],
            created_at=_time(work.get("CreatedAt")) or 0.0,
            ready_at=_time(work.get("ReadyAt")),
            error=str(work.get("ErrorMessage", "")),
        )
    except KeyError as error:
        raise QueueUnavailable(f"the answer is no work: it lacks {error}.") from error


def _fits(work: WorkRecord, query: WorkQuery) -> bool:
    return (
        query.priority in (None, work.priority)
        and (not query.statuses or work.status in query.statuses)
        and (query.since is None or work.created_at >= query.since)
    )


def _time(text: str | None) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp() if text else None
    except ValueError:
        return None


def _block(section: str, values: dict[str, str]) -> str:
    return "\n".join([f"[{section}]", *(f"{key} = {value}" for key, value in values.items() if value), ""])
