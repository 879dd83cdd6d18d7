"""A real service: uvicorn on loopback in a thread, SQLite in a folder, users and devices where a test wants them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from conqure.queue.server.accounts import DeviceAccount
from conqure.queue.server.app import create_app
from conqure.queue.server.passwords import hashed
from conqure.queue.server.running import Running, listen
from conqure.queue.server.settings import Settings
from conqure.queue.store import Store, open_store

ADMIN, PASSWORD = "root@lab.example", "correct horse battery"


@dataclass
class Client:
    """Somebody with a token. ``ask`` gives the answer, whatever its code."""

    url: str
    token: str = ""
    session: requests.Session = field(default_factory=requests.Session)

    def ask(self, method: str, path: str, **request: Any) -> requests.Response:
        headers = request.pop("headers", {})
        if self.token:
            headers = {"Authorization": f"Bearer {self.token}"} | headers
        address = path if path.startswith("http") else self.url + path
        return self.session.request(method, address, headers=headers, timeout=70, **request)

    def get(self, path: str, **request: Any) -> requests.Response:
        return self.ask("GET", path, **request)

    def post(self, path: str, **request: Any) -> requests.Response:
        return self.ask("POST", path, **request)

    def put(self, path: str, **request: Any) -> requests.Response:
        return self.ask("PUT", path, **request)

    def delete(self, path: str, **request: Any) -> requests.Response:
        return self.ask("DELETE", path, **request)

    def create(self, device_id: str = "any", workload: str = "pulse", **values: Any) -> dict[str, Any]:
        """A work that was accepted."""
        made = self.post("/v1/works", json={"device_id": device_id, "workload": workload, **values})
        assert made.status_code == 201, made.text
        return made.json()


@dataclass
class RunningService:
    """A service that runs; ``admin`` acts for its administrator.

    Attributes:
        url, admin_token: where it answers, and a token of an administrator.
        store: the store behind it. settings: what it was started with.
    """

    url: str
    store: Store
    settings: Settings
    app: Any
    clients: list[Client] = field(default_factory=list)
    admin_token: str = ""

    def client(self, token: str = "") -> Client:
        self.clients.append(Client(self.url, token))
        return self.clients[-1]

    @property
    def admin(self) -> Client:
        return self.client(self.admin_token)

    def log_in(self, email: str, password: str = PASSWORD) -> Client:
        answer = self.client().post("/v1/login", json={"email": email, "password": password})
        assert answer.status_code == 200, answer.text
        return self.client(answer.json()["token"])

    def user(self, email: str = "ada@lab.example", *, is_admin: bool = False, full_name: str = "Ada") -> Client:
        """A new user who is logged in."""
        self.app.state.service.accounts.add_user(email, full_name, _HASH, is_admin=is_admin)
        return self.log_in(email)

    def device(self, name: str = "ion0", n_qubits: int = 7, **facts: Any) -> tuple[dict[str, Any], Client]:
        """A new device with a client: what the service said about it, and who acts for it."""
        answer = self.admin.post("/v1/devices", json={"device_id": name, "n_qubits": n_qubits, **facts})
        assert answer.status_code == 201, answer.text
        made = answer.json()
        return made, self.client(self.device_token(made["client_id"], made["client_secret"]))

    def device_token(self, client_id: str, client_secret: str) -> str:
        form = {"grant_type": "client_credentials"}
        answer = self.client().post("/oauth2/token", data=form, auth=(client_id, client_secret))
        assert answer.status_code == 200, answer.text
        return answer.json()["access_token"]

    def site_device(self, name: str = "sv0", n_qubits: int = 20) -> DeviceAccount:
        """A QPU of the site, without anybody who dispatches to it."""
        from qpu_executors import QPU

        accounts = self.app.state.service.accounts
        accounts.set_site_devices("lab", [QPU(name, "statevector", n_qubits)], time.time())
        self.app.state.service.forget()
        return accounts.device(name)


_HASH = hashed(PASSWORD, by_us=True)  # the cheap kind: a test need not wait for what a thief has to


@contextmanager
def running_service(
    folder: Path, url: str | None = None, *, port: int = 0, **settings: Any
) -> Iterator[RunningService]:
    """A service with its files in this folder; started again there, it goes on with what it had."""
    state = folder / "state"
    state.mkdir(mode=0o700, exist_ok=True)
    store = open_store(url or f"sqlite:{folder / 'queue.db'}")
    try:
        said = Settings(state, **({"logins_per_minute": 0, "requests_per_minute": 0, "sweep_s": 0.1} | settings))
        app = create_app(said, store)
        listening = listen("127.0.0.1", port)
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        ready = threading.Event()
        server = Running(app, listening, on_ready=ready.set)
        thread = threading.Thread(target=server.serve_until_ended, name="service")
        thread.start()
        service = RunningService(address, store, said, app)
        try:
            assert ready.wait(20), "the service did not start"
            accounts = app.state.service.accounts
            if accounts.find_user(ADMIN) is None:
                accounts.add_user(ADMIN, "Root", _HASH, is_admin=True)
            service.admin_token = service.log_in(ADMIN).token
            yield service
        finally:
            for client in service.clients:
                client.session.close()
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive(), "the service did not end"
    finally:
        store.close()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunningService]:
    with running_service(tmp_path) as running:
        yield running


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., RunningService]]:
    """Starts services with settings of a test's own: ``start(token_s=1.0)``."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(running_service(tmp_path, **settings))


def until(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """What a condition gives as soon as it holds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")
