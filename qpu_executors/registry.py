"""Drivers by name, found through the entry point group ``conqure.devices``.

A third party adds a QPU with ``pip install``: its package registers ``name = "package.module:callable"``.
"""

from __future__ import annotations

import difflib
import inspect
import sys
from collections.abc import Callable
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from .device import QPU, Device
from .errors import BrokenDriver, ConqureError, InvalidSite, MissingPackage, UnknownDriver
from .lasting import in_lasting_thread

GROUP = "conqure.devices"
Driver = Callable[..., Device]


@cache
def _entry_points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def installed_drivers() -> dict[str, str]:
    """Names of the installed drivers and where each comes from (nothing is imported)."""
    return {name: point.value for name, point in sorted(_entry_points().items())}


def driver(name: str) -> Driver:
    """Load one driver; a broken neighbour does not matter.

    Raises:
        UnknownDriver: no package registers this name; MissingPackage: it needs a package that is not installed;
        BrokenDriver: its module fails to import.
    """
    point = _entry_points().get(name)
    if point is None:
        near = difflib.get_close_matches(name, _entry_points(), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UnknownDriver(
            f"no driver {name!r}.{hint} Installed: {', '.join(sorted(_entry_points()))}. "
            f"A package adds one through the entry point group {GROUP!r}."
        )
    try:
        loaded: Driver = point.load() if point.module in sys.modules else in_lasting_thread(point.load)
    except ConqureError:
        raise
    except Exception as error:  # a third party's module may fail in any way
        if isinstance(error, ModuleNotFoundError) and not point.module.startswith(str(error.name)):
            raise MissingPackage(
                f"driver {name!r} ({point.value}) needs the package {error.name!r}, which is not installed. "
                f"Install it: {_install_line(point, str(error.name))}"
            ) from error
        raise BrokenDriver(
            f"driver {name!r} ({point.value}) cannot be loaded: {type(error).__name__}: {error}. "
            "Reinstall or remove the package that provides it; the other drivers are not affected."
        ) from error
    return loaded


def _install_line(point: EntryPoint, package: str) -> str:
    """By the extra of the driver's name, if the distribution that has the driver offers one."""
    if point.dist and point.name in (point.dist.metadata.get_all("Provides-Extra") or []):
        return f"pip install '{point.dist.name}[{point.name}]'"
    return f"pip install {package}"


def broken_drivers() -> dict[str, ConqureError]:
    """Try every installed driver; the names of those that cannot be loaded, each with its error."""
    broken: dict[str, ConqureError] = {}
    for name in installed_drivers():
        try:
            driver(name)
        except ConqureError as error:
            broken[name] = error
    return broken


def open_device(qpu: QPU) -> Device:
    """Open the QPU with its driver.

    Raises:
        InvalidSite: the driver has no such option; and whatever the driver says when it cannot reach the QPU.
    """
    opener = driver(qpu.driver)
    check_options(qpu, opener)
    return opener(qpu.device_id, qpu.n_qubits, **qpu.options)


def check_options(qpu: QPU, opener: Driver) -> None:
    parameters = list(inspect.signature(opener).parameters.values())[2:]
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = [parameter.name for parameter in parameters]
    for option in qpu.options:
        if option not in known:
            near = difflib.get_close_matches(option, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise InvalidSite(
                f"[qpu.{qpu.device_id}.options] has {option!r}, which driver {qpu.driver!r} does not know.{hint} "
                f"Options: {', '.join(known) or 'none'}."
            )
