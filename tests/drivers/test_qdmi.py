"""The driver on QDMI, with MQT Core's simulator DDSIM as the device."""

import contextlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import mqt.core
import psutil
import pytest
from mqt.core.qdmi import builtin_driver
from qiskit import QuantumCircuit

from qpu_executors import (
    QPU,
    DeviceError,
    DeviceFault,
    InvalidSite,
    InvalidTask,
    MissingPackage,
    QuantumTask,
    Site,
    hold,
)
from qpu_executors.registry import check_options, driver
from qpu_executors.running import HeldDevice
from qpu_executors.testing import BELL, DeviceContract, gates, vqe_program
from qpu_executors.translation import as_task

from .reference import bound, distance, probabilities

DDSIM = QPU("dd0", "qdmi", 20, options={"device": "mqt.ddsim.default"})
LIBRARIES = Path(mqt.core.__file__).parent / "lib64"
LIBRARY = str(LIBRARIES / "libmqt-core-qdmi-ddsim-device.so")


def workers():
    """The processes in which DDSIM simulates; they stay for the next job, and end with the process."""
    return [child for child in psutil.Process().children() if child.name().startswith("mqt-core-ddsim")]


@pytest.fixture(scope="module", autouse=True)
def no_worker_is_left():
    yield
    left = workers()
    for worker in left:
        worker.terminate()
    psutil.wait_procs(left, timeout=10)


class TestDDSIM(DeviceContract):
    qpu = DDSIM
    seeds = False


@pytest.fixture(scope="module")
def held():
    with hold(DDSIM) as held:
        yield held


def opened(**options):
    return HeldDevice(QPU("d", "qdmi", 3, options=options))


def test_the_distribution_is_what_quantum_mechanics_says(held):
    spread = [["ry", [0], [0.9]], ["u", [2], [1.2, 0.3, -0.5]], ["cx", [0, 2]], ["rzx", [0, 1], [0.4]]]
    program = gates(3, *spread, ["ccx", [0, 2, 1]], ["reset", [0]], ["sxdg", [0]], ["rccx", [2, 1, 0]], ["h", [2]])
    (counts,) = held.run(QuantumTask(program, shots=4000)).counts
    expected = probabilities(program, ())
    assert distance(counts, expected) < bound(expected, 4000)


def test_the_devices_name_for_the_job_is_in_the_result(held):
    result = held.run(QuantumTask(BELL, shots=10, parameter_values=[[], []]))
    assert result.metadata["device"] == "MQT Core DDSIM QDMI Device"
    (job_id,) = result.metadata["job_ids"]  # DDSIM takes all rows as one job
    assert job_id


def test_many_rows_are_one_call(held):
    rows = [[0.1 * row] * 6 for row in range(30)]
    counts = held.run(QuantumTask(vqe_program(3), shots=50, parameter_values=rows)).counts
    assert [sum(row.values()) for row in counts] == [50] * 30
    assert counts[0] != counts[29]


def test_a_branch_that_the_device_cannot_take_is_named(held):
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(0)
    with pytest.raises(InvalidTask, match="if_else"):
        held.run(as_task(circuit))


def test_a_simulator_that_dies_is_a_passing_fault(held):
    held.run(QuantumTask(BELL, shots=10))
    killed = workers()
    for worker in killed:
        worker.kill()
        worker.wait(10)
    with pytest.raises(DeviceFault, match=r"job .* gave no counts.*FAILED"):
        held.run(QuantumTask(BELL, shots=10))
    for _ in killed[1:]:  # each is missed once
        with contextlib.suppress(DeviceFault):
            held.run(QuantumTask(BELL, shots=10))
    assert sum(held.run(QuantumTask(BELL, shots=10)).counts[0].values()) == 10


# ---- which device


def test_an_unknown_device_is_answered_with_those_that_exist():
    with pytest.raises(InvalidSite, match=r"'mqt\.ddsim'.*It knows: .*mqt\.ddsim\.default"):
        opened(device="mqt.ddsim")


def test_a_device_must_be_said():
    with pytest.raises(InvalidSite, match=r"needs 'device'.*mqt\.ddsim\.default"):
        opened()


def test_a_machine_that_is_only_described_runs_nothing():
    with pytest.raises(DeviceError, match=r"IQM Garnet.*runs no programs"):
        opened(device="mqt.sc.iqm.garnet")


@pytest.mark.parametrize("as_table", [True, False])
def test_a_configuration_reaches_the_library(as_table):
    path = LIBRARIES / "ibm-heron.json"
    config = json.loads(path.read_text()) if as_table else str(path)
    with pytest.raises(DeviceError, match=json.loads(path.read_text())["name"]):
        opened(device="mqt.sc.default", config=config)


def test_a_device_smaller_than_the_site_says_is_refused():
    with pytest.raises(InvalidSite, match="65535 qubits, the site says 70000"):
        HeldDevice(QPU("d", "qdmi", 70000, options={"device": "mqt.ddsim.default"}))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"session": {"passwort": "x"}}, InvalidSite, "Did you mean 'password'"),
        ({"session": {"token": 7}}, InvalidSite, "token must be text"),
        ({"session": {"token": "secret-word"}}, DeviceError, "with token: QDMI says: .*Not supported"),
        ({"optimization_level": 7}, InvalidSite, "optimization_level"),
        ({"library": LIBRARY}, InvalidSite, "both 'library' and 'prefix'"),
        ({"library": "/no/such.so", "prefix": "X"}, InvalidSite, "no such file"),
        ({"divice": "x"}, InvalidSite, "Did you mean 'device'"),
    ],
)
def test_a_wrong_option_is_named_and_no_secret_shown(options, error, message):
    with pytest.raises(error, match=message) as info:
        opened(**{"device": "mqt.ddsim.default", **options})
    assert "secret-word" not in str(info.value)


def test_without_mqt_core_the_driver_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "qpu_executors.drivers.qdmi")
    monkeypatch.setitem(sys.modules, "mqt.core.plugins.qiskit", None)
    with pytest.raises(MissingPackage, match=r"pip install 'conqure\[qdmi\]'"):
        driver("qdmi")


def test_a_library_that_comes_too_late_says_what_to_do():
    builtin_driver.registered_device_ids()  # QDMI's driver is in use from here on
    with pytest.raises(DeviceError, match=r"already in use in this process.*MQT_CORE_QDMI_CONFIG_FILE"):
        opened(device="late.ddsim", library=LIBRARY, prefix="MQT_DDSIM")


def test_the_site_of_the_page_is_valid(tmp_path):
    page = (Path(__file__).parents[2] / "docs/drivers/qdmi.md").read_text()
    (block,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    path = tmp_path / "site.toml"
    path.write_text(block)
    for qpu in Site.load(path).qpus:
        check_options(qpu, driver("qdmi"))
    with hold(Site.load(path).qpu("dd0")) as held:
        assert held.run(QuantumTask(BELL, shots=10)).shots == 10


# ---- in a process of its own, where QDMI's driver is still free

RUN = """
import json, sys
from qpu_executors import QPU, QuantumTask, hold
from qpu_executors.testing import BELL
for options in json.loads(sys.argv[1]):
    with hold(QPU("dd1", "qdmi", 3, options=options)) as held:
        print(json.dumps(held.run(QuantumTask(BELL, shots=100)).counts[0]))
"""


def run_alone(*options, **variables):
    command = [sys.executable, "-c", RUN, json.dumps(options)]
    environment = os.environ | variables
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.slow
def test_a_library_and_an_entry_of_the_administrators_file_become_devices(tmp_path):
    entry = {"id": "lab.simulator", "library": LIBRARY, "prefix": "MQT_DDSIM", "enabled": True}
    file = tmp_path / "qdmi.json"
    file.write_text(json.dumps({"schema-version": 1, "qdmi": {"devices": [entry]}}))
    by_path = {"library": LIBRARY, "prefix": "MQT_DDSIM"}
    done = run_alone(by_path, by_path, {"device": "lab.simulator"}, MQT_CORE_QDMI_CONFIG_FILE=str(file))
    assert done.returncode == 0, done.stderr
    counts = [json.loads(line) for line in done.stdout.splitlines()]
    assert [set(row) for row in counts] == [{"00", "11"}] * 3


@pytest.mark.slow
def test_a_library_without_such_functions_is_named():
    done = run_alone({"library": LIBRARY, "prefix": "WRONG"})
    assert "DeviceError: [qpu.dd1.options] device = 'conqure.dd1' cannot be opened: QDMI says" in done.stderr
