"""PennyLane's device ``conqure.qpu``: QNodes on the QPUs of a site. Needs the extra ``pennylane``.

>>> device = qml.device("conqure.qpu", wires=4, site="laptop", seed=1)
"""

from .device import ConqureDevice

__all__ = ["ConqureDevice"]
