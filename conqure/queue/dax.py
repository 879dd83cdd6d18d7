"""QisDAX's names under their earlier path; `conqure.interop.dax` is where they live."""

from __future__ import annotations

from ..interop.dax import BASIS_GATES, DAX, MAX_QUBITS, MAX_SHOTS, DaxBackend, DaxProvider, execute
from ..interop.dax_job import DaxJob

__all__ = ["BASIS_GATES", "DAX", "MAX_QUBITS", "MAX_SHOTS", "DaxBackend", "DaxJob", "DaxProvider", "execute"]
