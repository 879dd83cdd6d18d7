"""What a device's control computer asks of the cloud queue, and how it shows who it is (docs/queue-api.md)."""

from __future__ import annotations

import base64
import configparser
import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, urlencode

from qpu_executors.errors import NotAllowed, NotLoggedIn, QueueUnavailable

from .http import Answer, Line, error_in
from .outcome import Outcome
from .work import WorkRecord, WorkStatus, content_hash

T = TypeVar("T")

_TOKENS, _BYTES = "/oauth2/token", "application/octet-stream"
_EARLY = 0.1  # a token is renewed when this share of its life is left


@dataclass(frozen=True)
class Credentials:
    """What the queue knows a device by. The secret is never shown, also not in a traceback."""

    client_id: str
    client_secret: str = field(repr=False)

    @classmethod
    def read(cls, path: str | Path) -> Credentials:
        """From a file that only its owner may read: what ``conqure devices add --credentials`` has written, JSON with
        ``client_id`` and ``client_secret``, or a section ``[credentials]`` with ``id`` and ``secret``.

        Raises:
            NotLoggedIn: there is no such file or it is something else; NotAllowed: others may read it.
        """
        path = Path(path).expanduser()
        try:
            mode, text = path.stat().st_mode, path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise NotLoggedIn(f"no credentials of a device in {path}: {error}.") from None
        if mode & 0o077 and not _is_kept_by_systemd(path):
            raise NotAllowed(f"{path} holds a secret and others may read it. Type: chmod 600 {path}")
        return cls._parse(text, path)

    @classmethod
    def _parse(cls, text: str, path: Path) -> Credentials:
        try:
            if text.lstrip().startswith("{"):
                values = json.loads(text)
                return cls(str(values["client_id"]), str(values["client_secret"]))
            sections = configparser.ConfigParser(interpolation=None)
            sections.read_string(text)
            return cls(sections["credentials"]["id"], sections["credentials"]["secret"])
        except (ValueError, LookupError, TypeError, configparser.Error) as error:
            raise NotLoggedIn(
                f'{path} holds no credentials of a device: {type(error).__name__}. Write {{"client_id": …, '
                '"client_secret": …} as the queue gave them, or get new ones from its administrator.'
            ) from None

    @property
    def basic(self) -> str:
        return "Basic " + base64.b64encode(f"{quote(self.client_id)}:{quote(self.client_secret)}".encode()).decode()


def _is_kept_by_systemd(path: Path) -> bool:
    """Credentials of a unit are for its account alone; by an access list, which looks like a right of the group."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    return bool(folder) and path.absolute().parent == Path(folder)


class Heard(NamedTuple):
    """What the queue says to a heartbeat."""

    refresh_timeout_s: float
    cancel: list[str]


class DeviceDoor:
    """The requests of one device, each made once. Any thread may use it.

    Attributes:
        instance: which client of the device asks; a `DeviceClient` says that of its folder. Without one the works of
            all clients that say none are ours.

    Every call raises what the queue answered: `QueueUnavailable` and `TooMany` pass, `NotLoggedIn` and `NotAllowed`
    need the administrator, `WorkConflict` and `UnknownWork` mean that a work is no longer this device's.

    >>> DeviceDoor(Line("https://queue.lab.example", patience_s=0), "ion0", Credentials.read("ion0.json")).claim(1, 20)
    """

    def __init__(self, line: Line, device_id: str, credentials: Credentials) -> None:
        self._line, self._credentials = line, credentials
        self._device = f"/v1/devices/{quote(device_id, safe='')}"
        self.instance = ""
        self._token, self._renew_at = "", 0.0
        self._renewing = threading.Lock()

    def configure(self, configuration: bytes, extension: str = "json") -> None:
        self._ask("PUT", f"{self._device}/configuration?{urlencode({'extension': extension})}", configuration)

    def heartbeat(self, status: str) -> Heard:
        """Say ONLINE, BUSY or OFFLINE; learn how long we may be silent, and which works should end."""
        answer = self._ask_json("PUT", f"{self._device}/status", {"status": status})
        return _read(lambda: Heard(float(answer["refresh_timeout_s"]), list(answer["cancel"])))

    def claim(self, most: int, wait_s: float) -> list[WorkRecord]:
        """Take up to so many works, EXECUTING from now on; waits that long for the first one."""
        path = f"{self._device}/claim"
        return _works(self._ask_json("POST", path, {"most": most, "wait": wait_s}, wait_s))

    def held(self) -> list[WorkRecord]:
        """The works that the queue thinks this client is running."""
        query = urlencode({"status": WorkStatus.EXECUTING, "limit": 500})
        return _works(self._ask_json("GET", f"/v1/works?{query}"))

    def workload(self, work: WorkRecord) -> bytes:
        payload = self._ask("GET", f"/v1/works/{work.work_id}/workload").content
        if content_hash(payload) != work.workload:
            raise QueueUnavailable(f"the workload of work {work.work_id} arrived damaged ({len(payload)} bytes).")
        return payload

    def deliver(self, outcome: Outcome, results: bytes) -> None:
        """Hand in what became of one attempt."""
        if outcome.is_done:
            query = {name: getattr(outcome, name) for name in ("attempt", "ran_on", "slurm_job_id", "run_s")}
            query = {name: value for name, value in query.items() if value != ""}
            self._ask("PUT", f"/v1/works/{outcome.work_id}/results?{urlencode(query)}", results)
        else:
            path = f"/v1/works/{outcome.work_id}/error?{urlencode({'run_s': outcome.run_s})}"
            self._ask_json("POST", path, outcome.fault())

    def close(self) -> None:
        self._line.close()

    def _ask_json(self, method: str, path: str, values: Any = None, wait_s: float = 0.0) -> Any:
        body = None if values is None else json.dumps(values).encode()
        return self._ask(method, path, body, "application/json", wait_s).json()

    def _ask(
        self, method: str, path: str, body: bytes | None = None, kind: str = _BYTES, wait_s: float = 0.0
    ) -> Answer:
        token = self._fresh_token()
        answer = self._send(method, path, body, kind, f"Bearer {token}", wait_s)
        if answer.code == 401:  # revoked, or the queue has forgotten it: once more with a new one
            token = self._fresh_token(instead_of=token)
            answer = self._send(method, path, body, kind, f"Bearer {token}", wait_s)
        return _accepted(answer, path)

    def _send(self, method: str, path: str, body: bytes | None, kind: str, right: str, wait_s: float = 0.0) -> Answer:
        headers = {"Authorization": right} | ({} if body is None else {"Content-Type": kind})
        if self.instance:
            headers["X-Conqure-Instance"] = self.instance
        return self._line.request(method, path, body=body, headers=headers, wait=wait_s)

    def _fresh_token(self, instead_of: str = "") -> str:
        with self._renewing:
            if self._token == instead_of or time.monotonic() >= self._renew_at:
                form, right = b"grant_type=client_credentials", self._credentials.basic
                answer = self._send("POST", _TOKENS, form, "application/x-www-form-urlencoded", right)
                granted = _accepted(answer, _TOKENS).json()
                self._token, lives_s = _read(lambda: (str(granted["access_token"]), float(granted["expires_in"])))
                self._renew_at = time.monotonic() + lives_s * (1 - _EARLY)
            return self._token


def _accepted(answer: Answer, path: str) -> Answer:
    """A good answer, or the error that it says."""
    if 200 <= answer.code < 300:
        return answer
    if answer.code == 401 or (answer.code == 400 and path == _TOKENS):
        raise NotLoggedIn(
            "the cloud queue does not know these credentials, or the device's name is another. Its administrator makes "
            "new ones: conqure devices secret NAME"
        )
    error = error_in(answer, path)
    if answer.code >= 500:  # whatever is wrong there, our works are kept until it is right
        raise QueueUnavailable(str(error))
    raise error


def _works(answer: Any) -> list[WorkRecord]:
    return _read(lambda: [WorkRecord.from_values(values) for values in answer["works"]])


def _read(values: Callable[[], T]) -> T:
    try:
        return values()
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise QueueUnavailable(f"what answers is no cloud queue of CONQURE: {type(error).__name__}: {error}") from error
