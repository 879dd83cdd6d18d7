"""PennyLane's tensors keep ``requires_grad`` on their way through Dask.

They are NumPy arrays of a subclass with an attribute, and Dask sends NumPy arrays as bare data.
"""

from __future__ import annotations

from typing import Any

from distributed.protocol import dask_deserialize, dask_serialize


@dask_serialize.register_lazy("pennylane")
@dask_deserialize.register_lazy("pennylane")
def register() -> None:
    import numpy
    from pennylane import numpy as qnp

    @dask_serialize.register(qnp.tensor)
    def serialize(tensor: Any) -> tuple[dict[str, Any], list[Any]]:
        header, frames = dask_serialize.dispatch(numpy.ndarray)(tensor.view(numpy.ndarray))
        return {**header, "requires_grad": bool(tensor.requires_grad)}, frames

    @dask_deserialize.register(qnp.tensor)
    def deserialize(header: dict[str, Any], frames: list[Any]) -> Any:
        array = dask_deserialize.dispatch(numpy.ndarray)(header, frames)
        return qnp.tensor(array, requires_grad=header["requires_grad"])
