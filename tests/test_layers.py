"""The layers of docs/structure.md, read from the import statements: imports go down, never sideways, and stay lean."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import conqure
import qpu_executors

from .conftest import REPOSITORY

PACKAGES = ("qpu_executors", "conqure_parsl", "conqure_dask", "openmpq_runtime", "conqure", "workflows")

# Who may import whom. `conqure` sits above both engines; a workflow is a user's program and comes last.
MAY_IMPORT = {
    "qpu_executors": set(),
    "conqure_parsl": {"qpu_executors"},
    "conqure_dask": {"qpu_executors"},
    "openmpq_runtime": {"qpu_executors"},
    "conqure": {"qpu_executors", "conqure_parsl", "conqure_dask", "openmpq_runtime"},
    "conqure.workflows": {"qpu_executors", "conqure"},
}

# The command line alone reaches up, to offer the shipped workflow as a command, and only when that command is typed.
MAY_REACH_UP = {"conqure.cli"}

# The modules that are about a third-party package, and so import it at module level. Everybody else does it in the
# function that needs it. A name stands for the module and all modules below it.
IS_ABOUT = {
    "conqure_parsl": {"parsl", "dill", "tblib", "zmq"},
    "conqure_dask": {"dask", "dask_jobqueue", "distributed"},
    "conqure_dask.preload": {"click"},
    "openmpq_runtime.wire": {"orjson"},
    "conqure.cli": {"typer", "rich"},
    "conqure.queue.stores.tiny": {"orjson", "tinydb"},
    "conqure.queue.stores.sql": {"sqlalchemy"},
    "conqure.queue.stores.tables": {"sqlalchemy"},
    "conqure.queue.stores.migrations": {"alembic", "sqlalchemy"},
    "conqure.queue.server": {
        "fastapi",
        "itsdangerous",
        "jinja2",
        "jwt",
        "limits",
        "prometheus_client",
        "pydantic",
        "sqlalchemy",
        "starlette",
        "orjson",
        "uvicorn",
    },
    "qpu_executors.testing": {"pytest"},
    "conqure.queue.testing": {"hypothesis", "pytest"},
    "qpu_executors.drivers.statevector": {"numpy"},
    "qpu_executors.drivers.unitaries": {"numpy"},
    "qpu_executors.drivers.emulated": {"numpy"},
    "qpu_executors.drivers.circuits": {"qiskit"},
    "qpu_executors.drivers.aer": {"qiskit", "qiskit_aer"},
    "qpu_executors.drivers.qiskit_backend": {"qiskit"},
    "qpu_executors.drivers.pennylane_device": {"pennylane", "numpy"},
    "qpu_executors.drivers.trapped_ion": {"numpy"},
    "qpu_executors.drivers.ibm": {"qiskit", "qiskit_ibm_runtime"},
    "qpu_executors.drivers.braket_device": {"boto3", "botocore", "braket"},
    "qpu_executors.drivers.qrmi": {"qrmi"},
    "qpu_executors.drivers.qrmi_resources": {"qrmi"},
    "qpu_executors.drivers.sampling": {"qiskit"},
    "qpu_executors.drivers.qdmi": {"mqt", "qiskit"},
    "qpu_executors.translation.qiskit": {"qiskit"},
    "qpu_executors.translation.openqasm": {"qiskit"},
    "qpu_executors.translation.openqasm3": {"openqasm3"},
    "qpu_executors.translation.pennylane": {"pennylane"},
    "qpu_executors.translation.cirq": {"cirq"},
    "qpu_executors.translation.pytket": {"pytket"},
    "qpu_executors.translation.braket": {"braket"},
    "qpu_executors.translation.braket_gates": {"braket", "numpy"},
    "conqure.interop.qiskit": {"numpy", "qiskit"},
    "conqure.interop.pennylane": {"numpy", "pennylane"},
    "conqure.interop.cirq": {"cirq", "duet", "numpy"},
    "conqure.interop.pytket": {"pytket"},
    "conqure.interop.braket": {"braket"},
    "conqure.interop.qbraid": {"qbraid"},
    "conqure.workflows.mpi_vqe": {"numpy"},
    "conqure.workflows.mpi_vqe.solver": {"scipy"},
    "conqure.workflows.vqe": {"numpy"},
    "conqure.workflows.vqe.arguments": {"typer"},
    "conqure.workflows.vqe.cli": {"typer"},
}


@dataclass(frozen=True)
class Import:
    """One imported name: `name` is the module, `symbol` what is taken from it (empty for a plain `import`)."""

    importer: str
    name: str
    symbol: str
    line: int
    relative: bool
    at_module_level: bool
    for_types_only: bool

    @property
    def top(self) -> str:
        return self.name.partition(".")[0]

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.name}{'.' + self.symbol if self.symbol else ''}"


def module_name(path: Path) -> str:
    """The dotted name under which a source file is imported: a workflow lives below `conqure`, as in the wheel."""
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    return ".".join(("conqure", *parts) if parts[0] == "workflows" else parts)


def absolute(node: ast.ImportFrom, importer: str, is_package: bool) -> str:
    """The module that `from ..x import y` names, seen from its importer."""
    if not node.level:
        return node.module or ""
    parts = importer.split(".")
    kept = parts[: len(parts) - node.level + is_package]
    return ".".join([*kept, *([node.module] if node.module else [])])


def read_imports(path: Path) -> Iterator[Import]:
    importer, is_package = module_name(path), path.name == "__init__.py"

    def visit(node: ast.AST, at_module_level: bool, for_types_only: bool) -> Iterator[Import]:
        where = {"importer": importer, "at_module_level": at_module_level, "for_types_only": for_types_only}
        match node:
            case ast.Import():
                for alias in node.names:
                    yield Import(name=alias.name, symbol="", line=node.lineno, relative=False, **where)
            case ast.ImportFrom():
                name = absolute(node, importer, is_package)
                for alias in node.names:
                    yield Import(name=name, symbol=alias.name, line=node.lineno, relative=bool(node.level), **where)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                at_module_level = False
            case ast.If() if "TYPE_CHECKING" in ast.unparse(node.test):
                for_types_only = True
        for child in ast.iter_child_nodes(node):
            yield from visit(child, at_module_level, for_types_only)

    yield from visit(ast.parse(path.read_text(), str(path)), True, False)


@pytest.fixture(scope="module")
def imports() -> list[Import]:
    files = [path for package in PACKAGES for path in sorted((REPOSITORY / package).rglob("*.py"))]
    return [found for path in files for found in read_imports(path)]


def layer_of(name: str) -> str:
    return "conqure.workflows" if f"{name}.".startswith("conqure.workflows.") else name.partition(".")[0]


def within(name: str, table: set[str] | dict[str, set[str]]) -> list[str]:
    """The entries of a table that stand for this module."""
    return [entry for entry in table if f"{name}.".startswith(f"{entry}.")]


def test_imports_go_down_and_never_sideways(imports: list[Import]) -> None:
    wrong = [
        found
        for found in imports
        if (target := layer_of(found.name)) in MAY_IMPORT
        and target not in MAY_IMPORT[layer_of(found.importer)] | {layer_of(found.importer)}
        and not (within(found.importer, MAY_REACH_UP) and not found.at_module_level)
    ]
    assert not wrong, "\n".join(map(str, wrong))


def test_engines_and_sdks_are_imported_at_module_level_only_where_the_module_is_about_them(
    imports: list[Import],
) -> None:
    wrong = [
        found
        for found in imports
        if found.at_module_level
        and not found.for_types_only
        and found.top not in sys.stdlib_module_names
        and layer_of(found.name) not in MAY_IMPORT
        and not any(found.top in IS_ABOUT[entry] for entry in within(found.importer, IS_ABOUT))
    ]
    assert not wrong, "\n".join(map(str, wrong))


def test_the_front_door_opens_the_engines_only_inside_functions(imports: list[Import]) -> None:
    wrong = [
        found
        for found in imports
        if layer_of(found.importer) == "conqure"
        and layer_of(found.name) in {"conqure_parsl", "conqure_dask"}
        and found.at_module_level
        and not found.for_types_only
    ]
    assert not wrong, "\n".join(map(str, wrong))


def test_a_workflow_is_written_with_public_names_only(imports: list[Import]) -> None:
    public = {module.__name__: set(module.__all__) for module in (conqure, qpu_executors)}
    wrong = [
        found
        for found in imports
        if layer_of(found.importer) == "conqure.workflows"
        and not found.relative
        and found.top in public
        and not (found.name in public and (not found.symbol or found.symbol in public[found.name]))
    ]
    assert not wrong, "\n".join(map(str, wrong))


def test_every_third_party_import_is_a_declared_dependency(imports: list[Import]) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    declared = {requirement_name(text) for group in groups for text in group}
    provided_by = {"mitiq": ["mitiq"]} | packages_distributions()  # it is installed in an environment of its own
    wrong = [
        found
        for found in imports
        if found.top not in sys.stdlib_module_names
        and layer_of(found.name) not in MAY_IMPORT
        and not declared & {name.lower().replace("_", "-") for name in provided_by.get(found.top, [])}
    ]
    assert not wrong, "\n".join(map(str, wrong))


def requirement_name(text: str) -> str:
    """`conqure[parsl]` -> `conqure`, `numpy>=2.0` -> `numpy`."""
    return text.replace("[", ">").partition(">")[0].strip().lower()
