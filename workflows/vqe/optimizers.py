"""The optimisers by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields, replace
from typing import Any

from .adam import Adam
from .ansatz import Ansatz
from .errors import InvalidProblem
from .rotosolve import Rotosolve
from .scipy_adapter import Scipy
from .search import Settings
from .spsa import Spsa


def make_optimizer(name: str, **settings: Any) -> Settings:
    """The optimiser of this name; settings that are None keep their default.

    >>> make_optimizer("rotosolve", sweeps=3)
    Rotosolve(sweeps=3)
    """
    if name not in OPTIMIZERS:
        raise InvalidProblem(f"no optimizer {name!r}. There are: {', '.join(OPTIMIZERS)}.")
    make = OPTIMIZERS[name]
    given = {key: value for key, value in settings.items() if value is not None}
    optimizer = make()
    known = [f.name for f in fields(optimizer) if f.name != "method"]  # type: ignore[arg-type]
    for key in given:
        if key not in known:
            raise InvalidProblem(f"optimizer {name!r} has no setting {key!r}. It has: {', '.join(known)}.")
    return replace(optimizer, **given)  # type: ignore[type-var]


def default_optimizer(ansatz: Ansatz) -> Settings:
    """Rotosolve where it can be used, else SPSA."""
    return Spsa() if ansatz.harmonics is None else Rotosolve()


def write_optimizer(optimizer: Settings) -> dict[str, Any]:
    """The settings as JSON values, with the name that `make_optimizer` takes."""
    values = asdict(optimizer)  # type: ignore[call-overload]
    return {"name": values.pop("method", None) or optimizer.name, **values}


OPTIMIZERS: dict[str, Callable[[], Settings]] = {
    "rotosolve": Rotosolve,
    "spsa": Spsa,
    "adam": Adam,
    "cobyla": lambda: Scipy("cobyla"),
    "nelder-mead": lambda: Scipy("nelder-mead"),
    "powell": lambda: Scipy("powell"),
}
