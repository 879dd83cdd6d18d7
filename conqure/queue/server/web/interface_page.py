"""The interface for programs, drawn from the service's own description: no script, and nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request, Response

from .visitor import page

router = APIRouter()


@router.get("/interface")
async def interface(request: Request) -> Response:
    """Every route with what it takes and answers. Anybody may read it, as the description itself."""
    described = request.app.state.describe()
    return page(request, "interface.html", here="", routes=list(_routes(described)))


def _routes(described: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path, methods in described["paths"].items():
        for method, route in methods.items():
            yield {
                "method": method.upper(),
                "path": path,
                "about": route.get("description") or route.get("summary", ""),
                "takes": [*_parameters(route), *_body(route)],
                "answers": {code: answer["description"] for code, answer in route["responses"].items()},
            }


def _parameters(route: dict[str, Any]) -> Iterator[str]:
    for parameter in route.get("parameters", ()):
        yield f"{parameter['name']} ({parameter['in']}{', required' if parameter.get('required') else ''})"


def _body(route: dict[str, Any]) -> Iterator[str]:
    for kind, content in route.get("requestBody", {}).get("content", {}).items():
        model = str(content.get("schema", {}).get("$ref", "")).rpartition("/")[2]
        yield f"body: {kind}{f', {model}' if model else ''}"
