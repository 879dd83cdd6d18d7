"""The driver that docs/drivers.md shows is a driver: it passes the contract that the page says it passes."""

import re
import sys
import types
from pathlib import Path

import pytest

from qpu_executors import QPU, InvalidTask, QuantumTask
from qpu_executors.running import HeldDevice
from qpu_executors.testing import DeviceContract, gates

PAGE = (Path(__file__).parents[2] / "docs/drivers.md").read_text()
EXAMPLE = re.search(r"```python\n# conqure_exact.py\n(.*?)```", PAGE, re.DOTALL)


def load():
    module = types.ModuleType("conqure_exact")
    exec(compile(EXAMPLE[1], "docs/drivers.md", "exec"), module.__dict__)
    sys.modules["conqure_exact"] = module
    return module.ExactDevice


class TestTheExample(DeviceContract):
    qpu = QPU("exact0", "exact", 5)

    @pytest.fixture(scope="class")
    @classmethod
    def held(cls):
        device = load()("exact0", 5)
        yield HeldDevice(cls.qpu, device)
        device.close()

    def test_it_refuses_what_it_cannot_do(self, held):
        midway = gates(1, ["reset", [0]])
        with pytest.raises(InvalidTask, match="measures at the end only"):
            held.run(QuantumTask(midway))


def test_the_example_is_about_as_short_as_the_page_promises():
    assert len([line for line in EXAMPLE[1].splitlines() if line.strip()]) < 40


def test_the_page_names_every_option_of_every_driver():
    import inspect

    from qpu_executors.registry import driver

    for name in ("statevector", "aer", "qiskit", "pennylane", "emulated"):
        for option in list(inspect.signature(driver(name)).parameters)[2:]:
            assert option == "options" or f"`{option}`" in PAGE, (name, option)
