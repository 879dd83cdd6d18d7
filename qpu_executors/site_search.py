"""Where site files are looked for.

Without an argument: ``$CONQURE_SITE``, ``./conqure.toml``, the site named ``default`` (a user's or a machine's
choice), the shipped ``laptop``. A name is looked up in the user's folder, then ``/etc/conqure/sites``, then among
the shipped ones; the first file wins.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .errors import UnknownSite
from .selector import NAME
from .site_format import did_you_mean

VARIABLE = "CONQURE_SITE"
LOCAL_FILE = "conqure.toml"
MACHINE_FOLDER = Path("/etc/conqure/sites")
FALLBACK = "laptop"


@dataclass(frozen=True)
class Found:
    """A site file, and in a few words why it is this one."""

    path: Path
    why: str


def user_folder() -> Path:
    """``$XDG_CONFIG_HOME/conqure/sites``, by default ``~/.config/conqure/sites``."""
    configured = os.environ.get("XDG_CONFIG_HOME", "")
    home = Path(configured) if os.path.isabs(configured) else Path.home() / ".config"  # the XDG rule on relative paths
    return home / "conqure" / "sites"


def shipped_folder() -> Path:
    """The files that came with CONQURE: ``conqure/site_configs`` in the wheel, ``site_configs`` in a checkout."""
    root = Path(__file__).resolve().parents[1]
    in_wheel = root / "conqure" / "site_configs"
    return in_wheel if in_wheel.is_dir() else root / "site_configs"


def folders() -> dict[str, Path]:
    """Where a name is looked up, in order: what to call the place, and the folder."""
    return {"user": user_folder(), "machine": MACHINE_FOLDER, "shipped": shipped_folder()}


def known_sites() -> dict[str, Found]:
    """Every site that can be named, with the file its name stands for."""
    known: dict[str, Found] = {}
    for place, folder in folders().items():
        for path in _toml_files(folder):
            known.setdefault(path.stem, Found(path, place))
    return dict(sorted(known.items()))


def find_site(path_or_name: str | Path | None = None) -> Found:
    """The site file that an argument, or nothing, stands for.

    Raises:
        UnknownSite: no such file or name; the text lists the names that exist and the places looked at.
    """
    if path_or_name is not None and str(path_or_name):
        return _named(path_or_name, "named")
    if named := os.environ.get(VARIABLE):
        return _named(named, f"${VARIABLE}")
    if (local := Path(LOCAL_FILE)).is_file():
        return Found(local.absolute(), "this folder")
    known = known_sites()
    return known.get("default") or known.get(FALLBACK) or _named(FALLBACK, "the default")


def _named(path_or_name: str | Path, why: str) -> Found:
    name = str(path_or_name)
    if isinstance(path_or_name, Path) or os.sep in name or name.endswith(".toml"):
        path = Path(name).expanduser().absolute()
        if path.is_file():
            return Found(path, why)
        raise UnknownSite(f"no site file {name!r}{_blame(why)}: {path} is {_what_is(path)}. {_next_step()}")
    known = known_sites()
    if name in known:
        return Found(known[name].path, f"{why}, {known[name].why}" if why != "named" else known[name].why)
    names = ", ".join(map(repr, known)) or "none"
    places = ", ".join(map(str, folders().values()))
    raise UnknownSite(
        f"no site {name!r}{_blame(why)}.{did_you_mean(name, list(known))} Known: {names}.\n"
        f"Looked for {name}.toml in {places}. {_next_step()}"
    )


def _blame(why: str) -> str:
    return f" (from {why})" if why.startswith("$") else ""


def _what_is(path: Path) -> str:
    return "a folder" if path.is_dir() else "not a file" if path.exists() else "not there"


def _next_step() -> str:
    return "List the sites with: conqure sites list; start a file of your own with: " + (
        f"conqure sites show {FALLBACK} --toml > {LOCAL_FILE}"
    )


def _toml_files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.glob("*.toml") if path.is_file() and NAME.fullmatch(path.stem))
    except OSError:  # a folder that may not be read offers nothing
        return []
