"""One small Dask cluster for all tests that do not break it: two emulated QPUs, a fake one, two classical workers."""

from collections.abc import Iterator

import pytest
from distributed import Client

from conqure_dask import QPUCluster, cluster
from qpu_executors import QPU, Site

SITE = Site(
    "tests",
    (
        QPU("ion0", "emulated", 5, tags=("ion",), options={"driver": "fake", "job_s": 0.03}),
        QPU("ion1", "emulated", 5, tags=("ion",), options={"driver": "fake", "job_s": 0.03}),
        QPU("sv0", "statevector", 9, tags=("fast",)),
    ),
    cpu_workers=2,
)


@pytest.fixture(scope="session")
def shared_cluster() -> Iterator[QPUCluster]:
    with cluster(SITE) as started:
        yield started


@pytest.fixture
def client(shared_cluster: QPUCluster) -> Iterator[Client]:
    with Client(shared_cluster) as connected:
        yield connected
