"""What the tests of the client stand on: a home folder of their own, a site, circuits."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from qiskit import QuantumCircuit

from conqure import Site, open_engine
from conqure.queue.dispatcher import Dispatcher
from conqure.queue.user_client import UserClient

from ..server.conftest import RunningService, running_service, start  # noqa: F401 - a fixture

SITE = """
[engine]
name = "threads"
[qpu.sv0]
driver = "statevector"
qubits = 10
tags = ["fast"]
[qpu.dax_code_simulator]
driver = "statevector"
qubits = 11
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder, which is also the current one."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / ".local" / "share"))
    monkeypatch.setattr("conqure.queue.sideqick.FILES", (str(home / ".config/qick.conf"), str(home / "etc-qick")))
    monkeypatch.chdir(home)
    return home


@pytest.fixture
def site(home: Path) -> Path:
    path = home / "here.toml"
    path.write_text(SITE)
    return path


@pytest.fixture
def bell() -> QuantumCircuit:
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    return circuit


@pytest.fixture
def client(site: Path) -> Iterator[UserClient]:
    """An embedded queue whose records are gone with it."""
    with UserClient(store="memory:", site=site) as client:
        yield client


@pytest.fixture
def service(tmp_path: Path, site: Path) -> Iterator[RunningService]:
    """A real service of this site, with a dispatcher that runs its works."""
    loaded = Site.load(site)
    with running_service(tmp_path) as running, open_engine("threads", loaded) as engine:
        accounts = running.app.state.service.accounts
        accounts.set_site_devices(loaded.name, loaded.qpus, time.time())
        accounts.refresh_site_devices(loaded.name, "ONLINE", time.time())
        running.app.state.service.forget()
        with Dispatcher(running.store, engine.qpus, loaded.qpus):
            yield running


@pytest.fixture
def remote(service: RunningService) -> Iterator[UserClient]:
    """A user's client of that service."""
    with UserClient(service.url, token=service.user().token) as client:
        yield client
