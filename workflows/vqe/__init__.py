"""A parallel multi-start VQE as a task graph of quantum and classical nodes: Max-Cut and small molecules.

>>> import conqure
>>> from conqure.workflows.vqe import MaxCut, solve
>>> with conqure.open_engine("threads") as engine:
...     result = solve(MaxCut.read("maxcut7"), qpus=engine.qpus, cpus=engine.cpus, starts=6, shots=100, seed=1)
>>> result.best.bitstring, result.qpu_utilisation
"""

from __future__ import annotations

from .adam import Adam
from .ansatz import Ansatz, listing2, qaoa, uccsd
from .errors import CannotResume, InvalidProblem
from .graph_files import shipped_graphs
from .maxcut import MaxCut
from .molecule import Molecule
from .optimizers import make_optimizer
from .pauli import PauliSum
from .problems import Problem, make_ansatz
from .result import Start, VQEResult
from .rotosolve import Rotosolve
from .scipy_adapter import Scipy
from .solve import solve
from .spsa import Spsa

__all__ = [
    "Adam",
    "Ansatz",
    "CannotResume",
    "InvalidProblem",
    "MaxCut",
    "Molecule",
    "PauliSum",
    "Problem",
    "Rotosolve",
    "Scipy",
    "Spsa",
    "Start",
    "VQEResult",
    "listing2",
    "make_ansatz",
    "make_optimizer",
    "qaoa",
    "shipped_graphs",
    "solve",
    "uccsd",
]
