"""What the tests of Qiskit's primitives stand on: a pool that keeps the tasks which go through it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from conqure import Site

if TYPE_CHECKING:
    from conqure.interop.qiskit import QPUBackend

    from .qiskit_programs import CountingPool


@pytest.fixture(scope="module")
def module_pool() -> Iterator[CountingPool]:
    from .qiskit_programs import counting_pool

    with counting_pool() as pool:
        yield pool


@pytest.fixture
def pool(module_pool: CountingPool) -> CountingPool:
    module_pool.tasks.clear()
    return module_pool


@pytest.fixture
def backend(pool: CountingPool) -> QPUBackend:
    from conqure.interop.qiskit import provider

    from .qiskit_programs import QPUS

    return provider(Site("lab", QPUS), pool=pool).get_backend("sv0")
