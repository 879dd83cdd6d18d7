"""Templates to HTML. Everything that goes in is escaped; only the drawings of this package are markup already."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from .timeline import ran, waited
from .words import SYMBOLS, ago, moment, size, span

FOLDER = Path(__file__).parent


@cache
def _environment() -> Environment:
    found = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    found.globals.update(symbols=SYMBOLS, moment=moment, ago=ago, size=size, span=span, ran=ran, waited=waited)
    found.globals.update(version=_version(), release=_release())
    return found


def render(template: str, **values: Any) -> str:
    """The HTML of a template of this package."""
    return _environment().get_template(template).render(values)


def _version() -> str:
    """Changes with the files that browsers keep, so that no old one is used."""
    from ...work import content_hash

    files = sorted((FOLDER / "static").iterdir())
    return content_hash(b"".join(file.read_bytes() for file in files if file.is_file()))[:12]


def _release() -> str:
    import conqure

    return str(conqure.__version__)
