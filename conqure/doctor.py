"""What works on this machine, as a list of checks; each that fails says what to type.

Nothing here prints, so that the command line, a script and a test look at the same records.
"""

from __future__ import annotations

import json
import platform
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from qpu_executors.device import QPU
from qpu_executors.errors import ConqureError, MissingPackage
from qpu_executors.records import QuantumResult, QuantumTask
from qpu_executors.registry import check_options, driver, installed_drivers, open_device
from qpu_executors.running import HeldDevice, run
from qpu_executors.site import Site

from .engines import ENGINE_NAMES, check_engine, open_engine
from .requirements import EXTRAS, numbers, requirements, version_of
from .sites import find_default

OK, ABSENT, NOTE, FAILED = "ok", "absent", "note", "failed"
PATIENCE_S = 60.0  # a QPU that does not answer one tiny circuit in this time is reported, not waited for
_HERE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Check:
    """One finding. ``absent`` is something optional that is not there, ``note`` something odd: neither is a failure."""

    topic: str
    name: str
    state: str
    detail: str
    fix: str = ""

    @property
    def failed(self) -> bool:
        return self.state == FAILED

    def describe(self) -> dict[str, str]:
        return asdict(self)


def examine(path_or_name: str | None = None, engines: bool = False) -> Iterator[Check]:
    """All checks, one by one as they are made. ``engines`` also starts each engine and runs a task through it, and
    compiles a quantum region with each compiler and runs that."""
    yield check_python()
    yield Check("python", "conqure", OK, f"{version_of('conqure') or 'not installed, only copied'} in {_HERE}")
    yield from check_packages()
    yield from check_drivers()
    yield (found := check_site(path_or_name))
    if found.failed:
        return
    site = Site.load(path_or_name)
    yield from check_qpus(site, probe=True)
    for name in ENGINE_NAMES:
        yield check_one_engine(name, site, start=engines)
    from .openmpq import check_openmpq
    from .slurm import check_slurm

    yield from check_slurm(site)
    yield from check_openmpq(site, start=engines)


def check_python() -> Check:
    """Python and where it lives."""
    version = platform.python_version()
    right = (3, 11) <= sys.version_info[:2] < (3, 14)
    fix = "" if right else "Make an environment with Python 3.11, 3.12 or 3.13: uv venv --python 3.12"
    return Check("python", "python", OK if right else FAILED, f"{version} in {sys.prefix}", fix)


def check_packages() -> Iterator[Check]:
    """Each installed package that CONQURE or one of its extras asks for; what an extra lacks, in one line each."""
    absent: dict[str, list[str]] = {}
    for name, (lowest, extra) in requirements().items():
        version = version_of(name)
        if version is None:
            absent.setdefault(extra, []).append(name)
        elif numbers(version) < numbers(lowest):
            fix = f"pip install --upgrade '{name}>={lowest}'"
            yield Check("packages", name, FAILED, f"{version}, needs {lowest}", fix)
        else:
            yield Check("packages", name, OK, version)
    for extra, names in absent.items():
        detail = f"not installed: {', '.join(names)}"
        if extra:
            yield Check("packages", f"extra '{extra}'", ABSENT, detail, f"pip install 'conqure[{extra}]'")
        else:
            yield Check("packages", "base", FAILED, detail, "pip install conqure")


def check_drivers() -> Iterator[Check]:
    """Load each installed driver; a broken one is reported by name and stops nobody else."""
    for name, where in installed_drivers().items():
        if name == "fake":  # for tests of pools, never for users
            continue
        try:
            driver(name)
        except MissingPackage as error:
            detail, fix = _sentences(error)
            yield Check("drivers", name, ABSENT, detail, f"pip install 'conqure[{name}]'" if name in EXTRAS else fix)
        except ConqureError as error:
            yield Check("drivers", name, FAILED, *_sentences(error))
        else:
            yield Check("drivers", name, OK, where)


def check_site(path_or_name: str | None = None) -> Check:
    """The site used here, and why it is that one."""
    try:
        site = Site.load(path_or_name)
    except ConqureError as error:
        return Check("site", path_or_name or "default", FAILED, str(error), "conqure sites list")
    default = None if path_or_name else find_default()
    why = f" ({default[1]})" if default else ""
    return Check("site", site.name, OK, f"{len(site.qpus)} QPUs, {site.cpu_workers} cpu workers, {site.path}{why}")


def check_qpus(site: Site, probe: bool) -> list[Check]:
    """Each QPU: its driver and options; with ``probe`` it also runs one tiny circuit, unless only a job reaches it."""
    return [check_qpu(qpu, probe) for qpu in site.qpus]


def check_qpu(qpu: QPU, probe: bool) -> Check:
    """One QPU. A job of Slurm may open it where we may not, so one that needs a job is only looked up."""
    if qpu.group:
        return _check_driver_of(qpu)
    try:
        detail = within(PATIENCE_S, _probe if probe else _look, qpu)
    except TimeoutError:
        return Check("qpus", qpu.device_id, FAILED, f"no answer within {PATIENCE_S:.0f} s", _where_to_look(qpu))
    except ConqureError as error:
        return Check("qpus", qpu.device_id, FAILED, *_sentences(error))
    except Exception as error:  # a third party's driver may fail in any way
        return Check("qpus", qpu.device_id, FAILED, f"{type(error).__name__}: {error}", _where_to_look(qpu))
    return Check("qpus", qpu.device_id, OK, f"{qpu.driver}, {qpu.n_qubits} qubits: {detail}")


def _check_driver_of(qpu: QPU) -> Check:
    try:
        check_options(qpu, driver(qpu.driver))
    except MissingPackage as error:
        wrong, fix = _sentences(error)
        return Check("qpus", qpu.device_id, NOTE, f"{wrong} here; the nodes need it", fix)
    except ConqureError as error:
        return Check("qpus", qpu.device_id, FAILED, *_sentences(error))
    return Check(
        "qpus", qpu.device_id, OK, f"{qpu.driver}, {qpu.n_qubits} qubits: opened by jobs of group {qpu.group!r}"
    )


def check_one_engine(name: str, site: Site, start: bool) -> Check:
    """Whether the engine is installed; with ``start`` open it, run one circuit and one classical call, close it."""
    try:
        check_engine(name)
        detail = within(PATIENCE_S * 2, _try_engine, name, site) if start else "installed"
    except MissingPackage as error:
        return Check("engines", name, ABSENT, *_sentences(error))
    except TimeoutError:
        return Check("engines", name, FAILED, f"did not start and run within {PATIENCE_S * 2:.0f} s", _debug(name))
    except Exception as error:  # engines fail in their own ways
        return Check("engines", name, FAILED, f"{type(error).__name__}: {error}", _debug(name))
    return Check("engines", name, OK, detail)


def tiny_task(n_qubits: int = 2, device_id: str = "any") -> QuantumTask:
    """A Bell pair, or one qubit in superposition where there is only one; 100 shots, in the language `gates`."""
    ops: list[Any] = [["h", [0]]] + ([["cx", [0, 1]]] if n_qubits > 1 else [])
    used = list(range(min(n_qubits, 2)))
    program = {"gates": 1, "qubits": len(used), "registers": [["meas", len(used)]], "parameters": [], "ops": ops}
    ops.append(["measure", used, used])
    return QuantumTask(json.dumps(program, separators=(",", ":")), device_id=device_id, shots=100, seed=1)


def within(seconds: float, call: Callable[..., Any], *args: Any) -> Any:
    """The call's result, or `TimeoutError`; a call that hangs is left behind in a daemon thread."""
    outcome: list[tuple[bool, Any]] = []

    def work() -> None:
        try:
            outcome.append((True, call(*args)))
        except BaseException as error:
            outcome.append((False, error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise TimeoutError
    good, value = outcome[0]
    if not good:
        raise value
    return value


def _look(qpu: QPU) -> str:
    open_device(qpu).close()
    return "opens"


def _probe(qpu: QPU) -> str:
    started = time.perf_counter()
    held = HeldDevice(qpu)
    opened = time.perf_counter()
    try:
        if "gates" not in held.device.languages:
            return f"opens; it reads {', '.join(held.device.languages)}, so no circuit was tried"
        result = held.run(tiny_task(qpu.n_qubits))
    finally:
        held.close()
    return f"opened in {opened - started:.1f} s, {_judge(result)}"


def _judge(result: QuantumResult) -> str:
    counts = result.counts[0]
    total = sum(counts.values())
    if total != result.shots:
        raise ValueError(f"100 shots gave {total} counts: {counts}")
    return f"a circuit took {result.run_s * 1e3:.1f} ms"


def _try_engine(name: str, site: Site) -> str:
    started = time.perf_counter()
    with open_engine(name, site) as engine:
        task = tiny_task(device_id=site.qpus[0].device_id)
        result: QuantumResult = engine.qpus.submit(run, task).result()
        engine.cpus.submit(abs, -1).result()
        ready = time.perf_counter()
    return f"started and ran a circuit on {result.device_id} in {ready - started:.1f} s"


def _debug(engine: str) -> str:
    return f"See where it comes from with: conqure run CIRCUIT.qasm --engine {engine} --debug"


def _where_to_look(qpu: QPU) -> str:
    return f"Check [qpu.{qpu.device_id}] in the site file, and driver {qpu.driver!r}"


def _sentences(error: ConqureError) -> tuple[str, str]:
    """What is wrong, and the rest of the text: what to do about it."""
    first, _, rest = str(error).partition(". ")
    return first.rstrip("."), rest.strip()
