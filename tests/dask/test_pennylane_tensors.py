"""PennyLane's tensors keep their ``requires_grad`` on every way through Dask."""

import pytest
from distributed import Client
from distributed.protocol import deserialize, serialize
from pennylane import numpy as qnp

from conqure_dask import cpu_pool, quantum_app

pytestmark = pytest.mark.slow  # every worker imports PennyLane


@pytest.mark.parametrize("requires_grad", [True, False])
@pytest.mark.parametrize("values", [[0.1, 0.2], 0.5, [[1, 2], [3, 4]], []])
def test_a_tensor_is_the_same_after_dasks_serialization(values: object, requires_grad: bool) -> None:
    tensor = qnp.array(values, requires_grad=requires_grad)
    back = deserialize(*serialize(tensor))
    assert type(back) is type(tensor)
    assert back.requires_grad is requires_grad
    assert qnp.array_equal(back, tensor)


def double(tensor: object) -> object:
    return 2 * tensor  # type: ignore[operator]


@pytest.mark.parametrize("requires_grad", [True, False])
def test_a_tensor_goes_to_workers_and_comes_back(client: Client, requires_grad: bool) -> None:
    tensor = qnp.array([0.1, 0.2], requires_grad=requires_grad)
    with cpu_pool(client) as cpus:
        for future in (client.submit(double, tensor, pure=False), cpus.submit(double, tensor)):
            back = future.result(timeout=60)
            assert type(back) is type(tensor)
            assert back.requires_grad is requires_grad
        # From worker to worker, too.
        chained = client.submit(double, client.submit(double, tensor, pure=False), workers=["cpu1"], pure=False)
        assert chained.result(timeout=60).requires_grad is requires_grad
    scattered = client.scatter(tensor)
    assert scattered.result(timeout=60).requires_grad is requires_grad


def test_tensors_are_angles_of_an_app(client: Client) -> None:
    from . import functions as f

    angles = qnp.array([0.1, 0.2, 0.3, 0.4], requires_grad=True)
    assert quantum_app(device="sv0")(f.rotation)(angles).result(timeout=60).shots == 64
