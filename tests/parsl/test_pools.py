"""The contract of every pool, over Parsl's."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager

import pytest

from conqure_parsl import open_engine
from qpu_executors import QPU, Site
from qpu_executors.testing import PoolContract


@contextmanager
def on_workers(qpus: Sequence[QPU]) -> Iterator[Executor]:
    with open_engine(Site("test", tuple(qpus)), qpu_mode="workers", cpu_workers=0) as (pool, _):
        yield pool


@contextmanager
def in_process(qpus: Sequence[QPU]) -> Iterator[Executor]:
    with open_engine(Site("test", tuple(qpus)), qpu_mode="threads", cpu_workers=0) as (pool, _):
        yield pool


class TestWorkers(PoolContract):
    open_pool = staticmethod(on_workers)


@contextmanager
def through_the_tunnel(qpus: Sequence[QPU]) -> Iterator[Executor]:
    site = Site("test", tuple(qpus))
    with open_engine(site, qpu_mode="workers", cpu_workers=0, address="127.0.0.1") as (pool, _):
        yield pool


@pytest.mark.slow
class TestWorkersElsewhere(PoolContract):
    open_pool = staticmethod(through_the_tunnel)


class TestInProcess(PoolContract):
    open_pool = staticmethod(in_process)
