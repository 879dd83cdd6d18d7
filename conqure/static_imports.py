"""What a module imports, read from its source: nothing is imported, so it is known at once and nothing can fail."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path


def packages_missing(entry_point: str) -> list[str]:
    """Packages that ``package.module:name`` imports when it is loaded, itself included, and that are not installed.

    Imports inside functions, conditions and ``try`` are not counted: they may be optional.
    """
    module = entry_point.partition(":")[0]
    return sorted({top for top in _imported(module, set()) if not _is_there(top)})


def install_line(packages: list[str], prefer: str = "") -> str:
    """What to type for them: one of CONQURE's extras if one has the first of them, else their names."""
    extras = _extras(packages[0].replace("_", "-"))
    chosen = prefer if prefer in extras else next(iter(extras), "")
    return f"pip install 'conqure[{chosen}]'" if chosen else f"pip install {' '.join(packages)}"


def _imported(module: str, seen: set[str]) -> Iterator[str]:
    """Top names of what a module imports, also through modules of its own package."""
    seen.add(module)
    top = module.partition(".")[0]
    yield top
    path = _source(module)
    if path is None:
        return
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.parse(path.read_bytes()).body:
        for name in _names(node, package):
            if name.partition(".")[0] != top:
                yield name.partition(".")[0]
            elif name not in seen:
                yield from _imported(name, seen)


def _names(node: ast.stmt, package: str) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    if not node.level:
        return [node.module or ""]
    parts = package.split(".")
    base = ".".join(parts[: len(parts) - node.level + 1])
    if node.module:
        return [f"{base}.{node.module}"]
    return [f"{base}.{alias.name}" for alias in node.names]


def _source(module: str) -> Path | None:
    top, *rest = module.split(".")
    found = importlib.util.find_spec(top) if _is_there(top) else None
    folders = list(found.submodule_search_locations or []) if found else []
    if not rest:
        return Path(found.origin) if found and found.origin and found.origin.endswith(".py") else None
    for folder in folders:
        path = Path(folder, *rest)
        for candidate in (path.with_suffix(".py"), path / "__init__.py"):
            if candidate.is_file():
                return candidate
    return None


def _is_there(top: str) -> bool:
    if top in sys.stdlib_module_names or top in sys.modules:
        return True
    try:
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):
        return False


def _extras(package: str) -> list[str]:
    """Those of CONQURE's extras that ask for a package itself; the collections 'all' and 'test' last."""
    try:
        lines = metadata.requires("conqure") or []
    except metadata.PackageNotFoundError:
        return []
    found = [
        match[1]
        for line in lines
        if re.match(rf"{re.escape(package)}\b(?![-_.])", line)
        and (match := re.search(r"extra\s*==\s*['\"](\w+)", line))
    ]
    return sorted(set(found), key=lambda extra: extra in ("all", "test"))
