"""`run`, holding a QPU, the cache of prepared programs, and drivers found by name."""

import subprocess
import sys
import textwrap

import pytest

import qpu_executors.running as running
from qpu_executors import (
    QPU,
    DeviceError,
    InvalidSite,
    MissingPackage,
    NotOnQPU,
    QuantumTask,
    UnknownDriver,
    hold,
    open_device,
    run,
)
from qpu_executors.errors import error_of_kind
from qpu_executors.registry import driver
from qpu_executors.testing import BELL, ROTATION, DeviceContract, FakeDevice

SV = QPU("sv0", "statevector", 10)


class TestFake(DeviceContract):
    """The fake keeps the contract where physics is not asked for."""

    qpu = QPU("fake0", "fake", 8)
    error_rate = 1.0
    test_the_same_seed_gives_the_same_counts = None
    test_counts_sum_to_the_shots_and_leave_out_what_was_not_seen = None
    test_without_a_seed_two_runs_are_separate_samples = None


class CountingDevice(FakeDevice):
    prepared = 0

    def prepare(self, program, language):
        self.prepared += 1
        return super().prepare(program, language)


def test_a_program_is_prepared_once_however_many_rows_and_tasks_use_it():
    device = CountingDevice("f", 5)
    held = running.HeldDevice(QPU("f", "fake", 5), device)
    for value in range(20):
        held.run(QuantumTask(ROTATION, parameter_values=[[float(value)], [0.0]]))
    assert device.prepared == 1
    assert device.calls == 20


def test_the_cache_of_prepared_programs_is_bounded():
    held = running.HeldDevice(QPU("f", "fake", 5), FakeDevice("f", 5))
    for number in range(running.CACHED_PROGRAMS + 50):
        held.run(QuantumTask(BELL.replace('"meas"', f'"m{number}"')))
    assert len(held._prepared) == running.CACHED_PROGRAMS


def test_run_uses_the_qpu_this_thread_holds():
    with hold(SV) as held:
        assert run(QuantumTask(BELL)).device_id == "sv0"
        assert running.current_qpu() is held
    assert running.current_qpu() is None


def test_a_worker_without_a_qpu_refuses_to_run(monkeypatch):
    monkeypatch.setenv("CONQURE_WORKER", "cpu")
    with pytest.raises(NotOnQPU, match="holds no QPU"):
        run(QuantumTask(BELL))


def test_run_alone_opens_a_qpu_of_the_current_site():
    program = f"""
        from qpu_executors import QuantumTask, run
        print(sum(run(QuantumTask({BELL!r}, shots=30)).counts[0].values()))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "30"


def test_what_a_drivers_sdk_raises_becomes_a_device_error_with_its_text():
    class Broken(FakeDevice):
        def execute(self, *args):
            raise ZeroDivisionError("the laser is off")

    with pytest.raises(DeviceError, match="the laser is off"):
        running.HeldDevice(QPU("f", "fake", 5), Broken("f", 5)).run(QuantumTask(BELL))


def test_an_unknown_driver_lists_those_installed():
    with pytest.raises(UnknownDriver, match=r"Did you mean 'statevector'.*Installed: .*statevector"):
        open_device(QPU("x", "statevectr", 5))


def test_an_option_the_driver_lacks_is_named():
    with pytest.raises(InvalidSite, match="Did you mean 'delay_s'"):
        open_device(QPU("x", "fake", 5, options={"delay": 1}))


@pytest.mark.parametrize("kind", ["invalid_task", "unknown_device", "device_lost", "missing_package", "device_error"])
def test_an_error_that_crossed_a_wire_keeps_kind_and_text(kind):
    error = error_of_kind(kind, "some words")
    assert (error.kind, str(error)) == (kind, "some words")


@pytest.mark.slow
def test_a_third_party_driver_is_found_and_a_broken_one_does_not_stop_the_others(tmp_path):
    """Two packages as `pip install` leaves them: modules beside a .dist-info with entry points."""
    (tmp_path / "acme_qpu.py").write_text("from qpu_executors.testing import FakeDevice\nclass Acme(FakeDevice): ...\n")
    (tmp_path / "broken_qpu.py").write_text("raise RuntimeError('licence expired')\n")
    info = tmp_path / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[conqure.devices]\nacme = acme_qpu:Acme\nbroken = broken_qpu:X\n")
    program = f"""
        import sys; sys.path.insert(0, {str(tmp_path)!r})
        from qpu_executors import QPU, QuantumTask, broken_drivers, installed_drivers, hold, run
        broken = [f"{{name}}: {{error}}" for name, error in broken_drivers().items()]
        print(installed_drivers()["acme"], *broken, sep="|")
        with hold(QPU("a", "acme", 5)):
            print(run(QuantumTask({BELL!r}, shots=3)).counts)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    assert first.startswith("acme_qpu:Acme|")
    assert "broken: driver 'broken' (broken_qpu:X) cannot be loaded: RuntimeError: licence expired" in first
    assert second == "({'00': 3},)"


def test_a_driver_whose_package_is_missing_says_which_extra_has_it(monkeypatch):
    monkeypatch.delitem(sys.modules, "qpu_executors.drivers.aer", raising=False)
    monkeypatch.setitem(sys.modules, "qiskit_aer", None)
    with pytest.raises(MissingPackage, match=r"needs the package 'qiskit_aer'.* pip install 'conqure\[aer\]'"):
        driver("aer")
