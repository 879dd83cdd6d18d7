"""Whether each QPU of a site can be used from here now, and what to install or set if not.

Two looks. `glance` reads files only: which drivers are registered, whether the packages that a driver's module imports
are installed, variables, notices of drained QPUs. `look` loads the driver, asks it, and opens what no job holds.

A driver (the callable that is registered) may have functions that need no open device; all take the QPU's options:

* ``describe(options) -> dict``: what it is, as JSON values; shown by ``conqure devices --check --json``.
* ``missing(options) -> list[str]``: what to install or set first, a sentence each: credentials, variables, files.
* ``reachable(options) -> str``: asks the machine's network end, without using the machine; returns what it answered,
  raises a `ConqureError` if it can't be reached. Without it, `look` opens the device and closes it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from qpu_executors.device import QPU
from qpu_executors.draining import drained
from qpu_executors.errors import BrokenDriver, ConqureError, MissingPackage, UnknownDriver
from qpu_executors.registry import check_options, driver, installed_drivers, open_device

from .static_imports import install_line, packages_missing

INSTALLED, READY, IN_JOBS, DRAINED = "installed", "ready", "in jobs", "drained"
MISSING, UNREACHABLE = "missing", "unreachable"
_JOBS = ("gres", "license", "partition")


@dataclass(frozen=True)
class Availability:
    """What is known of one QPU.

    Attributes:
        state: ``installed`` (nothing is missing; nobody asked the QPU), ``ready`` (asked, it answers), ``in jobs``
            (only a job of Slurm may open it), ``drained``, ``missing`` (see fixes), ``unreachable``.
        detail: one sentence. fixes: what to install or set, a sentence each. about: what its driver says of it.
    """

    state: str
    detail: str = ""
    fixes: tuple[str, ...] = ()
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        return self.state in (INSTALLED, READY, IN_JOBS)


def glance(qpu: QPU) -> Availability:
    """At once, and without loading its driver."""
    if drain := drained(qpu):
        return Availability(DRAINED, drain.sentence(), (f"conqure devices resume {qpu.device_id}",))
    if qpu.driver not in installed_drivers():
        return Availability(
            MISSING,
            f"driver {qpu.driver!r} is not installed",
            ("install the package that has it; 'conqure doctor' lists the drivers that are there",),
        )
    if absent := packages_missing(installed_drivers()[qpu.driver]):
        names = ", ".join(absent)
        return Availability(MISSING, f"driver {qpu.driver!r} needs {names}", (install_line(absent, qpu.driver),))
    if qpu.reach in _JOBS:
        return Availability(IN_JOBS, f"reached by {qpu.reach}: a job of Slurm opens it")
    name = qpu.expects.partition("=")[0]
    if name and name not in os.environ:
        return Availability(MISSING, f"{name} is not set", (f"set {qpu.expects}, as the site file expects",))
    return Availability(INSTALLED)


def look(qpu: QPU) -> Availability:
    """Load its driver and ask; a QPU that no job holds is opened and closed if its driver can't be asked."""
    from .doctor import PATIENCE_S, within

    found = glance(qpu)
    if found.state in (MISSING, DRAINED):
        return found
    try:
        return within(PATIENCE_S, _ask, qpu, found)
    except TimeoutError:
        return Availability(UNREACHABLE, f"no answer within {PATIENCE_S:.0f} s", (_see(qpu),))
    except (MissingPackage, UnknownDriver, BrokenDriver) as error:
        return Availability(MISSING, *_sentences(error, qpu))
    except ConqureError as error:
        return Availability(UNREACHABLE, *_sentences(error, qpu))
    except Exception as error:  # a third party's driver may fail in any way
        return Availability(UNREACHABLE, f"{type(error).__name__}: {error}", (_see(qpu),))


def _ask(qpu: QPU, found: Availability) -> Availability:
    opener = driver(qpu.driver)
    check_options(qpu, opener)
    about = _optional(opener, "describe")(qpu.options) or {}
    if lacks := _optional(opener, "missing")(qpu.options):
        return Availability(MISSING, f"driver {qpu.driver!r} needs more", tuple(lacks), about)
    if found.state == IN_JOBS:
        return Availability(IN_JOBS, found.detail, about=about)
    answer = _optional(opener, "reachable")(qpu.options)
    if answer is None:
        open_device(qpu).close()
        answer = "opens"
    return Availability(READY, answer, about=about)


def _optional(opener: object, name: str) -> Callable[[Any], Any]:
    found: Callable[[Any], Any] = getattr(opener, name, lambda _: None)
    return found


def _sentences(error: ConqureError, qpu: QPU) -> tuple[str, tuple[str, ...]]:
    """What is wrong, and the rest of the text: what to do about it."""
    first, _, rest = str(error).partition(". ")
    return first.rstrip("."), (rest.strip() or _see(qpu),)


def _see(qpu: QPU) -> str:
    return f"check [qpu.{qpu.device_id}] in the site file, and driver {qpu.driver!r}"
