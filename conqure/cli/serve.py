"""``conqure serve``: the cloud queue of a site as a service; ``conqure dispatch``: what runs its works, alone."""

from __future__ import annotations

import contextlib
import json as json_
import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .arguments import EngineOption, JSONOption, SiteOption

if TYPE_CHECKING:
    from qpu_executors.site import Site

    from ..queue.store import Store

StoreOption = Annotated[
    str | None,
    typer.Option(metavar="FILE|URL", help="Where works are kept; default: SQLite in --state.", show_default=False),
]
StateOption = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="The service's key and its SQLite file.", show_default=False),
]


def serve(
    site: SiteOption = None,
    listen: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Default: 127.0.0.1:8585.", show_default=False)
    ] = None,
    store: StoreOption = None,
    state: StateOption = None,
    engine: EngineOption = None,
    dispatch: Annotated[bool, typer.Option("--dispatch/--no-dispatch", help="Run works on the site's QPUs.")] = True,
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Answer by HTTPS, with this certificate (PEM).", exists=True)
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="The certificate's key.", exists=True)] = None,
    behind_proxy: Annotated[
        bool, typer.Option("--behind-proxy", help="A proxy on this machine has TLS; believe what it says of clients.")
    ] = False,
    public_url: Annotated[
        str | None, typer.Option(metavar="URL", help="How clients reach the service, if by another address.")
    ] = None,
    requests_per_minute: Annotated[
        int | None, typer.Option(min=0, help="Of one user or device; 0: any number.", show_default=False)
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Log warnings and errors only.")] = False,
    json: JSONOption = False,
) -> None:
    """Serve the cloud queue of a site: works come in over HTTP, are kept, and run on the site's QPUs in their turn.

    \b
    Examples:
      conqure users add ada@lab.example --admin --store queue.db     the first administrator, once
      conqure serve --site lab.toml --store queue.db
      conqure serve --listen 0.0.0.0:8585 --tls-cert cert.pem --tls-key key.pem
      conqure serve --no-dispatch                                    works are run elsewhere: conqure dispatch
    """
    from qpu_executors.site import Site

    from ..queue.server.app import create_app
    from ..queue.server.hosting import LISTEN, dispatching, read_listen, state_folder
    from ..queue.server.logs import log_to_stderr
    from ..queue.server.running import Running
    from ..queue.server.running import listen as listen_on
    from ..queue.server.settings import Settings

    loaded = Site.load(site)
    queue, folder = loaded.queue, state or state_folder()
    tls = _tls(tls_cert or _path(queue.get("tls_cert")), tls_key or _path(queue.get("tls_key")))
    where = read_listen(listen or queue.get("listen", LISTEN), is_guarded=bool(tls) or behind_proxy)
    settings = Settings.of_site(
        queue,
        state=folder,
        site=loaded.name,
        public_url=public_url,
        behind_proxy=behind_proxy or None,
        requests_per_minute=requests_per_minute,
    )
    log_to_stderr(quiet=quiet)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # until the server has its own: systemd's Ctrl-C
    with contextlib.ExitStack() as end:
        opened = end.enter_context(_opened(store, folder, loaded))
        listening = end.enter_context(listen_on(*where))
        address = _address(listening.getsockname(), bool(tls))
        app = create_app(settings, opened)
        if dispatch:
            end.enter_context(dispatching(loaded, opened, engine=engine))
        app.state.service.forget()
        ready = _Ready(address, public_url or address, opened.url, loaded.name, json)
        with contextlib.suppress(KeyboardInterrupt):
            Running(app, listening, on_ready=ready, tls=tls, behind_proxy=behind_proxy).serve_until_ended()


def dispatch(
    site: SiteOption = None,
    store: StoreOption = None,
    state: StateOption = None,
    engine: EngineOption = None,
    name: Annotated[str, typer.Option(help="Another one for each dispatcher of a store on this machine.")] = "dispatch",
    json: JSONOption = False,
) -> None:
    """Run the works of a store on the QPUs of a site, without a service: beside one elsewhere that shares its store.

    \b
    Examples:
      conqure dispatch --site cluster --store mariadb://queue@db.lab.example/queue
    """
    from qpu_executors.site import Site

    from ..queue.server.hosting import dispatching, state_folder

    loaded = Site.load(site)
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    with (
        _opened(store, state or state_folder(), loaded) as opened,
        dispatching(loaded, opened, engine=engine, name=name),
    ):
        if json:
            typer.echo(json_.dumps({"store": opened.url, "site": loaded.name, "pid": os.getpid()}))
        else:
            typer.echo(f"Running the works of {opened.url} on site {loaded.name!r}. Ctrl-C ends it.")
        over.wait()


class _Ready:
    """Says that the service answers: one line, for people or for scripts."""

    def __init__(self, address: str, public_url: str, store: str, site: str, json: bool) -> None:
        self._facts = {"url": address, "public_url": public_url, "store": store, "site": site, "pid": os.getpid()}
        self._json = json

    def __call__(self) -> None:
        facts = self._facts
        text = f"The cloud queue of site {facts['site']!r} answers at {facts['public_url']} (page: /web, API: /docs)."
        typer.echo(json_.dumps(facts) if self._json else text)


@contextlib.contextmanager
def _opened(said: str | None, state: Path, site: Site) -> Any:
    from ..queue.server.hosting import store_url
    from ..queue.store import open_store

    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    store: Store = open_store(store_url(said or site.queue.get("store", ""), state))
    try:
        yield store
    finally:
        store.close()


def _tls(cert: Path | None, key: Path | None) -> tuple[Path, Path] | None:
    if bool(cert) != bool(key):
        raise typer.BadParameter("TLS needs both the certificate and its key: --tls-cert and --tls-key.")
    return (cert, key) if cert and key else None


def _path(text: str | None) -> Path | None:
    return Path(os.path.expandvars(text)).expanduser() if text else None


def _address(bound: tuple[Any, ...], is_tls: bool) -> str:
    host = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
    return f"{'https' if is_tls else 'http'}://{host}:{bound[1]}"
