"""Programs written for QisDAX: its names, its results, and none of its defects."""

from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister

from conqure.interop.dax import DAX, DaxBackend, DaxJob, execute
from conqure.interop.door import Door
from qpu_executors import InvalidSite, InvalidTask, UnknownDevice
from qpu_executors.translation.dax import DaxProgram

from ..drivers.artiq_master import ArtiqMaster
from ..pages import programs_of, run_program

BLOCKS = programs_of("interop/dax.md")
RESOURCES = 'total_lasers = 4\ntotal_mirrors = 4\nrelative_time = "135,600"\n[h]\ntime = 1\nlasers = 1\nmirrors = 1\n'


def ghz(n: int = 4) -> QuantumCircuit:
    circuit = QuantumCircuit(n)
    circuit.h(0)
    for i in range(n - 1):
        circuit.cx(i, i + 1)
    circuit.measure_all()
    return circuit


@pytest.fixture
def simulator() -> DaxBackend:
    return DAX.get_provider().get_backend("dax_code_simulator")


def test_the_names_of_qisdax_are_there() -> None:
    assert [backend.name for backend in DAX.backends()] == [
        "dax_code_printer",
        "dax_code_simulator",
        "dax_artiq_device",
    ]
    assert [backend.name for backend in DAX.backends("dax_artiq_device")] == ["dax_artiq_device"]
    assert DAX.backends(filters=lambda backend: backend.n_qubits > 11) == []
    with pytest.raises(UnknownDevice, match="no DAX backend 'dax_code_generator'. Known: dax_code_printer prints"):
        DAX.get_backend("dax_code_generator")


def test_a_circuit_is_simulated_and_comes_back_as_a_result_of_qiskit(simulator: DaxBackend) -> None:
    job = execute(ghz(), simulator, shots=200)
    result = job.result()
    assert set(result.get_counts()) == {"0000", "1111"}
    assert result.results[0].shots == sum(result.get_counts().values()) == 200
    assert (result.job_id, result.backend_name, job.status()) == (job.job_id(), "dax_code_simulator", "success")
    assert job.backend() == DAX.get_backend("dax_code_simulator")


def test_registers_and_the_order_of_classical_bits_come_back(simulator: DaxBackend) -> None:
    circuit = QuantumCircuit(QuantumRegister(3, "q"), ClassicalRegister(2, "a"), ClassicalRegister(1, "b"))
    circuit.x(0)
    circuit.measure([0, 1, 2], [2, 1, 0])
    job = execute(circuit, simulator, shots=7)
    assert sorted(job.creg_indices) == [0, 1, 2]
    assert numpy.asarray(job.get_raw_data()).tolist() == [[int(bit == 2) for bit in job.creg_indices]] * 7
    assert job.result().get_counts() == {"1 00": 7}
    assert job.get_result_counts(job.get_raw_data()) == {"0x4": 7}


def test_a_result_is_read_from_the_text_alone_when_the_job_is_gone(simulator: DaxBackend, tmp_path: Path) -> None:
    circuit = QuantumCircuit(3, 3)
    circuit.x(0)
    circuit.measure([0, 1, 2], [1, 2, 0])
    job = execute(circuit, simulator, shots=7)
    (tmp_path / "program.py").write_text(job.get_dax())
    numpy.save(tmp_path / "raw.npy", numpy.asarray(job.get_raw_data()))
    later = DaxJob("dax_artiq_device", (tmp_path / "program.py").read_text())
    assert later.get_result_obj(raw_data=numpy.load(tmp_path / "raw.npy")).get_counts() == {"010": 7}
    assert numpy.asarray(job.get_raw_data(str(tmp_path / "program.py"))).shape == (7, 3)


def test_the_printer_prints_and_counts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    job = execute(ghz(), DAX.get_backend("dax_code_printer"), shots=30)
    seen: list[str] = []
    assert job.result(program_callback=seen.append).get_counts() == {"0000": 0}
    assert capsys.readouterr().out.strip() == seen[0].strip() == job.get_dax().strip()


def test_resources_put_operations_beside_each_other(simulator: DaxBackend, tmp_path: Path) -> None:
    circuit = QuantumCircuit(4)
    circuit.h(range(4))
    circuit.measure_all()
    assert "with parallel" not in execute(circuit, simulator, shots=30, optimization_level=0).get_dax()
    (tmp_path / "resources.toml").write_text(RESOURCES)
    simulator.load_config(tmp_path / "resources.toml")
    text = execute(circuit, simulator, shots=30, optimization_level=0).get_dax()
    assert text.count("with parallel:") == 2
    assert len(DaxProgram.parse(text).program.ops) == 8
    with pytest.raises(InvalidSite, match="cannot be read"):
        simulator.load_config(tmp_path / "none.toml")


def test_each_job_has_an_id_of_its_own_and_no_file_is_left(
    simulator: DaxBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    jobs = [execute(ghz(), simulator, shots=10) for _ in range(3)]
    for job in jobs:
        job.result()
    assert len({job.job_id() for job in jobs}) == 3
    assert not list(tmp_path.iterdir())


def test_the_limits_of_a_backend_hold(simulator: DaxBackend) -> None:
    with pytest.raises(InvalidTask, match="has 12 qubits, backend 'dax_code_simulator' has 11"):
        execute(ghz(12), simulator)
    with pytest.raises(InvalidTask, match="shots is 1025, backend 'dax_code_simulator' takes 1 to 1024"):
        execute(ghz(), simulator, shots=1025)
    with pytest.raises(InvalidTask, match="one circuit at a time"):
        execute([ghz(), ghz()], simulator)
    simulator.n_qubits = 12
    assert len(execute(ghz(12), simulator, shots=10).result().get_counts()) <= 2


def test_what_a_dax_program_cannot_do_is_refused_and_never_left_out(simulator: DaxBackend) -> None:
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(1)
    circuit.measure(1, 1)
    with pytest.raises(InvalidTask, match="branches"):
        execute(circuit, simulator, shots=10)


def test_a_reset_is_a_preparation(simulator: DaxBackend) -> None:
    circuit = QuantumCircuit(1)
    circuit.x(0)
    circuit.reset(0)
    circuit.measure_all()
    job = execute(circuit, simulator, shots=10, optimization_level=0)
    assert "self.q.prep_0(0)" in job.get_dax()
    assert job.result().get_counts() == {"0": 10}


def test_a_job_that_failed_says_so(simulator: DaxBackend) -> None:
    job = DaxJob("dax_code_simulator", execute(ghz(), simulator, shots=10).get_dax().replace("self.q.h(", "self.q.hh("))
    with pytest.raises(InvalidTask, match=r"self.q.hh is not known|not known"):
        job.result()
    assert job.status() == "failed"


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ArtiqMaster]:
    """A site with a machine behind an ARTIQ master."""
    (tmp_path / "programs").mkdir()
    with ArtiqMaster(tmp_path) as master:
        site = tmp_path / "lab.toml"
        site.write_text(
            f'name = "lab"\n[qpu.ion0]\ndriver = "artiq"\nqubits = 5\n[qpu.ion0.options]\nport = {master.port}\n'
            f'results = "{tmp_path}/results"\nprograms = "{tmp_path}/programs"\npoll_s = 0.01\n'
        )
        monkeypatch.setenv("CONQURE_SITE", str(site))
        yield master


def test_the_machine_of_the_site_gives_raw_values_in_the_order_of_the_shots(
    lab: ArtiqMaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Door(engine="threads")
    monkeypatch.setattr("conqure.interop.door.door", lambda: opened)
    job = execute(ghz(), DAX.get_backend("dax_artiq_device"), shots=30)
    result = job.result()
    opened.close()
    assert sum(result.get_counts().values()) == 30
    assert set(result.get_counts()) <= {"0000", "1111"}
    assert numpy.asarray(job.get_raw_data()).shape == (30, 4)
    assert len(lab.submitted) == 1, "what was measured is kept"


def test_a_site_without_such_a_machine_says_what_to_add(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONQURE_SITE", "laptop")
    job = execute(ghz(), DAX.get_backend("dax_artiq_device"), shots=30)
    with pytest.raises(UnknownDevice, match=r'Add \[qpu.dax_artiq_device\] with driver = "artiq"'):
        job.result()


@pytest.mark.slow
@pytest.mark.parametrize("program", BLOCKS, ids=[str(number) for number in range(len(BLOCKS))])
def test_each_program_of_the_guide_runs(program: str, tmp_path: Path) -> None:
    (tmp_path / "resources.toml").write_text(RESOURCES)
    done = run_program(program, tmp_path)
    assert "{" in done.stdout
    assert not done.stderr
