"""The pools over a Dask cluster keep the contract of every pool, and Dask's own rules."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager

from distributed import Client

from conqure_dask import cluster, pool
from qpu_executors import QPU, Site
from qpu_executors.testing import PoolContract, a_thousand


@contextmanager
def open_pool(qpus: Sequence[QPU], **options: bool) -> Iterator[Executor]:
    site = Site("contract", tuple(qpus), cpu_workers=1)
    with cluster(site) as started, Client(started) as client, pool(client, **options) as opened:  # type: ignore[arg-type]
        opened.submit(a_thousand).result(timeout=30)  # the first call imports things, and some tests count on time
        yield opened


class TestPoolOfBorrowedQPUs(PoolContract):
    open_pool = staticmethod(open_pool)


class TestPoolOfDaskTasks(PoolContract):
    @staticmethod
    @contextmanager
    def open_pool(qpus: Sequence[QPU]) -> Iterator[Executor]:
        with open_pool(qpus, leases=False) as opened:
            yield opened
