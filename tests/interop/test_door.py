"""The way of a front end's circuits: one engine for a site and process, opened when needed, closed at exit."""

from collections.abc import Callable

import pytest

from conqure import QPUThreadPool, QuantumTask, Site, UnknownDevice
from conqure.interop.door import Door, door
from qpu_executors import QPU
from qpu_executors.testing import BELL

SITE = Site("lab", (QPU("sv0", "statevector", 5), QPU("sv1", "statevector", 9, tags=("big",))))


def test_a_circuit_goes_to_the_qpu_that_it_selects() -> None:
    here = Door(SITE)
    assert here.submit(QuantumTask(BELL, device_id="tag:big", shots=10)).result().device_id == "sv1"
    assert [qpu.device_id for qpu in here.select("any")] == ["sv0", "sv1"]
    with pytest.raises(UnknownDevice, match="'ion7'"):
        here.select("ion7")
    here.close()
    assert sum(here.submit(QuantumTask(BELL, shots=10)).result().counts[0].values()) == 10  # it opens again
    here.close()


def test_everybody_in_a_process_shares_the_door_to_a_site() -> None:
    assert door(SITE) is door(SITE)
    assert door(SITE) is not door(Site("lab", SITE.qpus[:1]))


def test_a_pool_of_ones_own_stays_open() -> None:
    with QPUThreadPool([QPU("mine", "statevector", 3)]) as pool:
        here = door(SITE, pool=pool)
        assert [qpu.device_id for qpu in here.qpus] == ["mine"]
        assert here.submit(QuantumTask(BELL, shots=10)).result().device_id == "mine"
        here.close()
        assert here.submit(QuantumTask(BELL, shots=10)).result().device_id == "mine"


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["threads", "parsl", "dask"])
def test_a_program_that_never_closes_it_ends(engine: str, run_python: Callable[..., str]) -> None:
    program = f"""
from conqure import QuantumTask
from conqure.interop.door import door
if __name__ == "__main__":
    result = door("laptop", engine={engine!r}).submit(QuantumTask({BELL!r}, shots=10)).result()
    print(sum(result.counts[0].values()))
"""
    assert run_python(program).strip() == "10"
