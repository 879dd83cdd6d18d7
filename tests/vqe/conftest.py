"""What the tests of the VQE share: an open engine of fast QPUs, and slow QPUs that behave in time like real ones."""

from collections.abc import Iterator
from typing import Any

import pytest

from conqure import QPU, Engine, Site, open_engine
from qpu_executors import open_device


def emulated_site(n_qpus: int = 2, milliseconds: float = 10.0, **options: Any) -> Site:
    """QPUs that take some milliseconds per circuit."""
    qpus = [QPU(f"ion{i}", "emulated", 10, options={"job_s": milliseconds / 1e3, **options}) for i in range(n_qpus)]
    return Site("emulated", tuple(qpus), cpu_workers=2)


@pytest.fixture(scope="package")
def engine() -> Iterator[Engine]:
    site = Site("fast", tuple(QPU(f"sv{i}", "statevector", 14) for i in range(2)), cpu_workers=2)
    with open_engine("threads", site) as opened:
        yield opened


@pytest.fixture(scope="package")
def statevector() -> Any:
    """A device with a method ``statevector(program, row)``: the exact final state."""
    return open_device(QPU("exact", "statevector", 14))
