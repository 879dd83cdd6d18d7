"""``conqure store``: what the cloud queue has kept, moved elsewhere, written out or forgotten."""

from __future__ import annotations

import contextlib
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .arguments import JSONOption
from .output import on_terminal, print_facts, print_json

if TYPE_CHECKING:
    from ..queue.migrating import Migrated

app = typer.Typer(no_args_is_help=True, help="Look after what the cloud queue has kept.")

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store", metavar="URL", help="The store; default: $CONQURE_STORE, else your own.", show_default=False
    ),
]


@app.command()
def info(store: StoreOption = None, json: JSONOption = False) -> None:
    """Show what kind of store it is, how many works it has by status, and how large it is.

    \b
    Examples:
      conqure store info
      conqure store info --store sqlite:/var/lib/conqure/works.db --json
    """
    with _opened(store) as opened:
        about = opened.describe()
    if json:
        print_json(about)
        return
    works = about["works"]
    print_facts(
        [
            ("store", about["url"]),
            ("kind", about["kind"]),
            ("schema version", about["version"]),
            ("works", f"{sum(works.values()):,}"),
            *((f"  {status}", f"{n:,}") for status, n in works.items()),
            ("payloads", f"{about['payloads']:,}, {about['payload_bytes'] / 1e6:,.1f} MB"),
        ]
    )


@app.command()
def migrate(
    source: Annotated[str, typer.Argument(metavar="FROM", help="The URL of the store that there is.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="The URL of the other; it is made if it is not there.")],
    json: JSONOption = False,
) -> None:
    """Copy all works and payloads from one store to another; between databases also users, devices and tokens.

    FROM stays as it is. Stop what uses it first. A copy that was broken off goes on when the command is repeated.

    \b
    Examples:
      conqure store migrate tinydb:$HOME/.local/share/conqure/works sqlite:works.db
      conqure store migrate sqlite:works.db mariadb://conqure:PASSWORD@db.lab.example/works
    """
    from ..queue.migrating import migrate, open_existing
    from ..queue.store import open_store

    with contextlib.closing(open_existing(source)) as old, contextlib.closing(open_store(target)) as new:
        done = migrate(old, new, _progress)
        url = new.url
    if json:
        print_json({"from": source, "to": url} | vars(done))
    else:
        typer.echo(
            f"{done.works:,} works are in {url}: {done.copied:,} of them new, with {done.payloads:,} payloads "
            f"({done.payload_bytes / 1e6:,.1f} MB)" + (f" and {done.accounts:,} accounts." if done.accounts else ".")
        )
        _tell("have lost a payload in FROM", done.missing)
        _tell("were in TO already and differ there; they were left as they are", done.differing)
        typer.echo(f"To use it from now on: export CONQURE_STORE='{url}'")
    if done.differing:
        raise typer.Exit(1)


@app.command()
def export(
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Default: standard output.", show_default=False)
    ] = None,
    payloads: Annotated[bool, typer.Option("--payloads", help="With workloads and results, in base64.")] = False,
    payload_folder: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write them as files, named by their hash.", show_default=False),
    ] = None,
    store: StoreOption = None,
) -> None:
    """Write each work as one line of JSON, newest first.

    \b
    Examples:
      conqure store export | jq -r '[.work_id, .status] | @tsv'
      conqure store export --out works.jsonl --payload-folder payloads
    """
    from ..queue.migrating import export

    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(_opened(store))
        file = stack.enter_context(out.open("w", encoding="utf-8")) if out else sys.stdout
        n = export(opened, file, payloads, payload_folder)
    if out:
        typer.echo(f"{n:,} works are in {out}.")


@app.command()
def purge(
    older_than: Annotated[str, typer.Option(metavar="AGE", help="Ended longer ago than this: 12h, 30d, 8w.")],
    status: Annotated[
        list[str] | None, typer.Option(help="DONE, CANCELED or ERROR; once for each. Default: all three.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many.")] = False,
    store: StoreOption = None,
    json: JSONOption = False,
) -> None:
    """Forget works that ended long ago, and payloads that no work needs.

    \b
    Examples:
      conqure store purge --older-than 30d --dry-run
      conqure store purge --older-than 8w --status DONE --status CANCELED
    """
    from ..queue.work import FINAL

    unknown = sorted(set(status or ()) - FINAL)
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is none of {', '.join(sorted(FINAL))}.", param_hint="'--status'")
    before = time.time() - seconds(older_than)
    with _opened(store) as opened:
        n = opened.purge(before, [each for each in FINAL if not status or each in status], dry_run=dry_run)
    if json:
        print_json({"works": n, "dry_run": dry_run})
    else:
        typer.echo(f"{n:,} works {'would be' if dry_run else 'are'} forgotten.")


def seconds(age: str) -> float:
    """The seconds of ``90s``, ``15m``, ``12h``, ``30d`` or ``8w``."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw])", age.strip().lower())
    if not found:
        raise typer.BadParameter(f"{age!r} is no age. Examples: 12h, 30d, 8w.", param_hint="'--older-than'")
    return float(found[1]) * _SECONDS[found[2]]


def _opened(url: str | None) -> contextlib.closing[Any]:
    """A store in files or in a database: these also describe themselves."""
    from ..queue.migrating import open_existing
    from ..queue.stores import default_url

    return contextlib.closing(open_existing(url or default_url()))


def _progress(done: Migrated) -> None:
    if on_terminal(sys.stderr):
        typer.echo(f"\r{done.works:,} works, {done.payload_bytes / 1e6:,.1f} MB", nl=False, err=True)


def _tell(what: str, work_ids: list[str]) -> None:
    if work_ids:
        some = ", ".join(work_ids[:5]) + (", …" if len(work_ids) > 5 else "")
        typer.echo(f"{len(work_ids):,} works {what}: {some}")
