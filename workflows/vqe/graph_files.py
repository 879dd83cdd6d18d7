"""Graphs in files: edge lists and networkx's JSON, and those that ship."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import InvalidProblem

SHIPPED = Path(__file__).parent / "graphs"
MAX_BYTES = 16 * 2**20


def read_graph(source: str | Path) -> tuple[str, list[Any], list[Any]]:
    """Name, edges ``(u, v, weight)`` and named vertices of a graph: a shipped one by name, or a file.

    Raises:
        InvalidProblem: there is no such file, or it is neither of the formats; the text says where.
    """
    path = _find(str(source))
    if path.stat().st_size > MAX_BYTES:
        raise InvalidProblem(f"{path} has more than {MAX_BYTES // 2**20} MiB. Is it a graph?")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InvalidProblem(f"{path} is not text. Give an edge list or networkx's JSON.") from None
    if text.lstrip().startswith("{"):
        return path.stem, *_read_json(path.stem, text)
    return path.stem, list(_read_edges(path.stem, text)), []


def shipped_graphs() -> list[str]:
    """Names that `MaxCut.read` knows without a file."""
    return sorted(path.stem for path in SHIPPED.iterdir() if path.suffix in (".edges", ".json"))


def _find(source: str) -> Path:
    if (path := Path(source)).is_file():
        return path
    for suffix in (".edges", ".json"):
        if (shipped := SHIPPED / f"{source}{suffix}").is_file() and source in shipped_graphs():
            return shipped
    raise InvalidProblem(f"no graph file {source!r}, and no shipped graph of that name: {', '.join(shipped_graphs())}.")


def _read_edges(name: str, text: str) -> Iterator[tuple[Any, ...]]:
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.partition("#")[0].replace(",", " ").split(maxsplit=2) if "{" not in line else line.split(None, 2)
        if not fields:
            continue
        if len(fields) == 1:
            raise InvalidProblem(f"{name}, line {number}: {line.strip()[:60]!r} is no edge. Write: u v [weight]")
        weight = fields[2].strip() if len(fields) == 3 else "1"
        yield fields[0], fields[1], _literal(weight) if weight.startswith("{") else weight


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _read_json(name: str, text: str) -> tuple[list[Any], list[Any]]:
    try:
        graph = json.loads(text)
    except ValueError as error:
        raise InvalidProblem(f"{name} is not JSON: {error}.") from None
    if graph.get("directed"):
        raise InvalidProblem(f"{name} is a directed graph; a cut needs an undirected one: G.to_undirected().")
    try:
        vertices = [node["id"] for node in graph["nodes"]]
        if "adjacency" in graph:
            near = zip(vertices, graph["adjacency"], strict=True)
            pairs = {frozenset((u, a["id"])): (u, a["id"], a) for u, neighbours in near for a in neighbours}
            edges = list(pairs.values())
        else:
            edges = [(e["source"], e["target"], e) for e in graph["edges" if "edges" in graph else "links"]]
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidProblem(
            f"{name} is not networkx's node-link or adjacency JSON ({type(error).__name__}: {error}). "
            "Write it with: json.dump(networkx.node_link_data(G, edges='edges'), file)"
        ) from None
    return edges, vertices
