"""Arguments that several commands take, and what the shell offers for them on Tab.

A mistake offers nothing; it is reported on Enter.
"""

from __future__ import annotations

from typing import Annotated

import typer


def offer_sites(typed: str) -> list[tuple[str, str]]:
    """Names of sites, with their files."""
    from qpu_executors.site_search import known_sites

    return [(name, str(found.path)) for name, found in known_sites().items() if name.startswith(typed)]


def offer_devices(typed: str) -> list[tuple[str, str]]:
    """Names and tags of the default site's QPUs."""
    from qpu_executors.errors import ConqureError
    from qpu_executors.site import Site

    try:
        qpus = Site.load().qpus
    except ConqureError:
        return []
    tags = sorted({tag for qpu in qpus for tag in qpu.tags})
    offered = [(qpu.device_id, f"{qpu.driver}, {qpu.n_qubits} qubits") for qpu in qpus]
    offered += [("any", "whichever is free"), *((f"tag:{tag}", f"any with the tag {tag}") for tag in tags)]
    return [(word, about) for word, about in offered if word.startswith(typed)]


def offer_engines(typed: str) -> list[str]:
    from ..engines import ENGINE_NAMES

    return [name for name in ENGINE_NAMES if name.startswith(typed)]


def offer_renderers(typed: str) -> list[str]:
    from ..rendering import RENDERERS

    return [name for name in RENDERERS if name.startswith(typed)]


_SITE_HELP = "The site; by default the one used here."
_SELECTOR_HELP = "A name, 'any', 'tag:NAME', 'qubits>=N', or several with commas."

SiteArgument = Annotated[
    str | None,
    typer.Argument(metavar="NAME|FILE", help=_SITE_HELP, show_default=False, autocompletion=offer_sites),
]
SiteOption = Annotated[
    str | None,
    typer.Option("--site", "-s", metavar="NAME|FILE", help=_SITE_HELP, show_default=False, autocompletion=offer_sites),
]
DeviceArgument = Annotated[str, typer.Argument(metavar="SELECTOR", help=_SELECTOR_HELP, autocompletion=offer_devices)]
DeviceOption = Annotated[
    str, typer.Option("--device", "-d", metavar="SELECTOR", help=_SELECTOR_HELP, autocompletion=offer_devices)
]
EngineOption = Annotated[
    str | None,
    typer.Option(
        "--engine",
        "-e",
        metavar="ENGINE",
        help="What runs it: threads, parsl or dask. Default: threads, unless jobs of Slurm hold the QPUs.",
        show_default=False,
        autocompletion=offer_engines,
    ),
]
JSONOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
