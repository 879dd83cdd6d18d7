"""Sites for programs and for the command line: load one, list them, read one as text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from qpu_executors.errors import ConqureError
from qpu_executors.site import Site, read_site
from qpu_executors.site_search import find_site, known_sites

__all__ = ["ListedSite", "list_sites", "load_site", "site_text"]


def load_site(path_or_name: str | Path | Site | None = None) -> Site:
    """The site a file or a name stands for; without one, the site to use here. See `Site.load`.

    >>> load_site("laptop").name
    'laptop'
    """
    return Site.load(path_or_name)


@dataclass(frozen=True)
class ListedSite:
    """One site that can be named: the name to type, where it lies, and the site or what is wrong with it."""

    name: str
    place: str  # 'user', 'machine', 'shipped', 'this folder' or '$CONQURE_SITE'
    path: Path
    is_default: bool
    site: Site | None = None
    error: str = ""


def list_sites() -> list[ListedSite]:
    """Every site that can be named, and the one used by default here; a broken file does not hide the others."""
    default = find_default()
    found = {name: (known.path, known.why) for name, known in known_sites().items()}
    if default and default[0] not in {path for path, _ in found.values()}:
        found = {_typed(default[0]): default} | found
    used = default[0] if default else None
    return [_listed(name, place, path, path == used) for name, (path, place) in found.items()]


def find_default() -> tuple[Path, str] | None:
    """The file used when nobody names one, and why it is that one; None if ``$CONQURE_SITE`` names no site."""
    try:
        found = find_site()
    except ConqureError:
        return None
    return found.path, found.why


def site_text(path_or_name: str | None = None) -> str:
    """The text of a site file as it stands, to start a file of one's own with; it is checked first."""
    path = find_site(path_or_name).path
    read_site(path)
    return path.read_text(encoding="utf-8")


def _typed(path: Path) -> str:
    """What to type for a file that has no name."""
    return f"./{path.name}" if path.parent == Path.cwd() else str(path)


def _listed(name: str, place: str, path: Path, is_default: bool) -> ListedSite:
    try:
        return ListedSite(name, place, path, is_default, site=read_site(path))
    except ConqureError as error:
        return ListedSite(name, place, path, is_default, error=str(error))
