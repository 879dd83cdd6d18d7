"""The contract of devices over every driver; one class adds one."""

import pytest

from qpu_executors import QPU
from qpu_executors.testing import DeviceContract

MANILA = "qiskit_ibm_runtime.fake_provider:FakeManilaV2"
LINE = [[0, 1], [1, 0], [1, 2], [2, 1], [2, 3], [3, 2], [3, 4], [4, 3]]


class TestAer(DeviceContract):
    qpu = QPU("aer0", "aer", 20)


class TestAerMatrixProductState(DeviceContract):
    qpu = QPU("mps0", "aer", 50, options={"method": "matrix_product_state"})


class TestAerWithDepolarisingNoise(DeviceContract):
    qpu = QPU("noisy0", "aer", 5, options={"noise": {"one_qubit": 0.002, "two_qubit": 0.02, "readout": 0.01}})
    error_rate = 0.15


class TestAerWithTheNoiseOfAMachine(DeviceContract):
    qpu = QPU("manila_noise", "aer", 5, options={"noise": MANILA})
    error_rate = 0.3


class TestFakeMachine(DeviceContract):
    qpu = QPU("manila", "qiskit", 5, options={"backend": MANILA})
    error_rate = 0.3


class TestGenericBackend(DeviceContract):
    error_rate = 0.1
    qpu = QPU(
        "generic",
        "qiskit",
        5,
        options={
            "backend": "qiskit.providers.fake_provider:GenericBackendV2",
            "arguments": {"num_qubits": 5, "coupling_map": LINE, "seed": 1},
        },
    )


class TestBasicSimulator(DeviceContract):
    qpu = QPU("basic", "qiskit", 5, options={"backend": "qiskit.providers.basic_provider:BasicSimulator"})


class TestSamplerPrimitive(DeviceContract):
    seeds = False
    error_rate = 0.3
    qpu = QPU("sampler", "qiskit", 5, options={"backend": MANILA, "sampler": "qiskit.primitives:BackendSamplerV2"})


class TestLightning(DeviceContract):
    qpu = QPU("pl0", "pennylane", 7, options={"device": "lightning.qubit"})


class TestDefaultQubit(DeviceContract):
    qpu = QPU("pl1", "pennylane", 5, options={"device": "default.qubit"})


class TestEmulatedAer(DeviceContract):
    qpu = QPU("ion0", "emulated", 7, options={"driver": "aer", "job_s": 0.001})


@pytest.mark.parametrize("driver", ["aer", "statevector", "pennylane"])
def test_a_larger_seed_than_most_simulators_take_is_fine(driver):
    from qpu_executors import QuantumTask, hold
    from qpu_executors.testing import BELL

    with hold(QPU("d", driver, 3)) as held:
        task = QuantumTask(BELL, seed=2**63 - 1, parameter_values=[[], []])
        assert held.run(task).counts == held.run(task).counts
