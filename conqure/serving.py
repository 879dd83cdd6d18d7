"""The QPUs of a site, served to C, C++ and Fortran programs: an engine, its bridge, and a count of what passes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from qpu_executors.observing import observers, unobserved
from qpu_executors.site import Site

from .engines import open_engine

if TYPE_CHECKING:
    from openmpq_runtime import Bridge, Tally


@dataclass(frozen=True)
class Served:
    """QPUs that programs can use.

    Attributes:
        site, engine: what serves; the site has those QPUs only that were chosen.
        bridge: what programs talk to. tally: what has passed.
    """

    site: Site
    engine: str
    bridge: Bridge
    tally: Tally

    def variables(self) -> dict[str, str]:
        """What a program needs in its environment."""
        environment = self.bridge.environment()
        return {name: environment[name] for name in names(self.bridge.address)}


def names(address: str) -> list[str]:
    """The variables that tell a program of a pool that listens there."""
    on_tcp = ["OPENMPQ_TOKEN_FILE", "OPENMPQ_RELAY"] if address.startswith("tcp") else []
    return ["OPENMPQ_POOL", *on_tcp]


@contextmanager
def serving(
    site: Site | str | Path | None = None,
    engine: str | None = None,
    device: str = "any",
    listen: str | None = None,
    scripts: str | Path | None = None,
) -> Iterator[Served]:
    """Open an engine on a site and serve it as long as the block lasts.

    Args:
        site, engine: as in `open_engine`.
        device: a selector: those QPUs of the site only.
        listen, scripts: as ``address`` and ``scripts`` in `openmpq_runtime.serve`.

    Raises:
        What `open_engine` raises; UnknownDevice: no QPU fits; InvalidAddress.

    >>> with serving("laptop", "threads") as served:
    ...     subprocess.run(["./vqe"], env=served.bridge.environment())
    """
    from openmpq_runtime import Tally, serve

    chosen = replace(Site.load(site).only(device), cpu_workers=1)  # nothing classical goes through the bridge
    with ExitStack() as stack:
        with unobserved():  # the bridge tells its own observers
            opened = stack.enter_context(open_engine(engine, chosen))
        tally = Tally(chosen.qpus)
        watching = [tally, *observers("openmpq")]
        bridge = stack.enter_context(serve(opened.qpus, listen, scripts=scripts, observers=watching))
        yield Served(chosen, opened.name, bridge, tally)
