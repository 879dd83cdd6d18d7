"""``conqure work``: hand in works to the cloud queue, see how they are, fetch what came of them."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .arguments import JSONOption, offer_devices
from .output import print_facts, print_json, print_table

if TYPE_CHECKING:
    from ..queue.user_client import UserClient

app = typer.Typer(no_args_is_help=True, help="Hand in works to the cloud queue and fetch their results.")

WorkArgument = Annotated[str, typer.Argument(metavar="WORK", help="A work_id, or its first characters.")]
UrlOption = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="The service; by default the configured one, else your own queue."),
]
DeviceFilter = Annotated[
    str,
    typer.Option("--device", "-d", metavar="SELECTOR", help="As it was handed in.", autocompletion=offer_devices),
]


@app.command()
def create(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="A circuit, task or DAX program; '-' reads stdin.")],
    device: Annotated[
        str | None,
        typer.Option(
            "--device", "-d", metavar="SELECTOR", help="Name or selector; default: any.", autocompletion=offer_devices
        ),
    ] = None,
    priority: Annotated[str, typer.Option(help="HIGH, MEDIUM or LOW.")] = "LOW",
    shots: Annotated[int | None, typer.Option("--shots", "-n", help="Repetitions of each row; default: 1024.")] = None,
    parameters: Annotated[
        list[str] | None,
        typer.Option("--parameters", "-p", metavar="VALUES", help="As of 'conqure run'; once for each row."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Makes a simulator repeat its counts.", show_default=False)] = None,
    format: Annotated[
        str | None, typer.Option(help="'opaque' hands the bytes to the device as they are; default: found out.")
    ] = None,
    name: Annotated[str, typer.Option(help="What you call it.")] = "",
    url: UrlOption = None,
    json: JSONOption = False,
) -> None:
    """Hand in a work and print its work_id.

    In your own queue (nothing configured) it is kept, and run by 'conqure work wait' or your next program.

    \b
    Examples:
      conqure work create bell.qasm --shots 1000
      conqure work create bell.qasm --device ion0 --priority HIGH --name calibration
      conqure work wait $(conqure work create bell.qasm)
    """
    from .run import parse_parameters

    content: Any = sys.stdin.buffer if file == "-" else _path(file)
    with _client(url) as client:
        work_id = client.create_work(
            content.read() if file == "-" else content,
            device,
            priority,
            shots=shots,
            parameter_values=parse_parameters(parameters or []),
            seed=seed,
            format=format,
            name=name,
        )
        if work_id is None:
            raise typer.Exit(1)
        print_json(_values(client.get_work(work_id))) if json else typer.echo(work_id)


@app.command("list")
def list_(
    device: DeviceFilter = "",
    status: Annotated[list[str] | None, typer.Option(help="READY, EXECUTING, DONE, …; may be repeated.")] = None,
    priority: Annotated[str | None, typer.Option(help="HIGH, MEDIUM or LOW.", show_default=False)] = None,
    source: Annotated[str, typer.Option(help="What made it: queue, parsl, dask, …")] = "",
    loop: Annotated[str, typer.Option(help="Those of one iterative run.")] = "",
    everybody: Annotated[bool, typer.Option("--all/--mine", help="Others' works too, where you may see them.")] = False,
    limit: Annotated[int, typer.Option(help="At most this many.", min=1)] = 20,
    url: UrlOption = None,
    json: JSONOption = False,
) -> None:
    """List works, newest first.

    \b
    Examples:
      conqure work list
      conqure work list --device ion0 --status READY --status EXECUTING
      conqure work list --all --json | jq '.[].work_id'
    """
    with _client(url) as client:
        works = client.list_work(
            device_id=device,
            status=status or (),
            priority=priority,
            source=source,
            loop=loop,
            limit=limit,
            everybody=everybody,
        )
    if json:
        print_json([work.describe() for work in works])
        return
    if not works:
        typer.echo("No works. Hand one in with: conqure work create FILE", err=True)
        return
    print_table(
        ["work", "status", "priority", "device", "created", "name", *(["owner"] if everybody else [])],
        [
            [w.work_id, w.status, w.priority, w.ran_on or w.device_id, _when(w.created_at), w.name]
            + ([w.owner] if everybody else [])
            for w in works
        ],
    )


@app.command()
def show(work: WorkArgument, url: UrlOption = None, json: JSONOption = False) -> None:
    """Show everything about a work.

    \b
    Examples:
      conqure work show 5e8d0a52
      conqure work show 5e8d0a52 --json
    """
    with _client(url) as client:
        found = client.get_work(_work_id(client, work))
    values = _values(found)
    if json:
        print_json(values)
        return
    print_facts([(key, _text(key, value)) for key, value in values.items() if value not in (None, "", 0, {}, False)])


@app.command()
def wait(
    work: WorkArgument,
    timeout: Annotated[float | None, typer.Option(help="Seconds; default: as long as it takes.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing while waiting.")] = False,
    url: UrlOption = None,
) -> None:
    """Wait until a work is DONE. Exit code 0 then, 1 if it ends otherwise or the time is over.

    \b
    Examples:
      conqure work wait 5e8d0a52
      conqure work wait 5e8d0a52 --timeout 60 --quiet
    """
    with _client(url) as client:
        client.wait_until_done(_work_id(client, work), progress=not quiet, timeout=timeout)


@app.command()
def results(
    work: WorkArgument,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write them to a file.")] = None,
    top: Annotated[int, typer.Option(help="Show this many of the most frequent bit strings.", min=1)] = 16,
    url: UrlOption = None,
    json: JSONOption = False,
) -> None:
    """Show the results of a work that is DONE: counts as a table, anything else as it came.

    \b
    Examples:
      conqure work results 5e8d0a52
      conqure work results 5e8d0a52 --json
      conqure work results 5e8d0a52 --out raw.bin
    """
    with _client(url) as client:
        found = client.get_results(_work_id(client, work))
    if found is None:
        raise typer.Exit(1)
    if out is not None:
        out.write_bytes(_bytes(found))
    elif hasattr(found, "read"):
        sys.stdout.buffer.write(found.read())
    elif json:
        import json as json_

        print_json(json_.loads(_bytes(found)))
    else:
        _print_results(found if isinstance(found, list) else [found], top)


@app.command()
def cancel(
    work: WorkArgument,
    reason: Annotated[str, typer.Option(help="For whoever looks at it later.")] = "",
    url: UrlOption = None,
) -> None:
    """End a work that waits at once; ask one that runs to end.

    \b
    Examples:
      conqure work cancel 5e8d0a52
    """
    with _client(url) as client:
        found = client.cancel_work(_work_id(client, work), reason)
    asked = " and was asked to end" if found.cancel_requested and not found.status.is_final else ""
    typer.echo(f"work {found.work_id} is {found.status}{asked}")


def _client(url: str | None) -> UserClient:
    from ..queue.user_client import UserClient

    return UserClient(url, start=False)


def _path(file: str) -> Path:
    path = Path(file)
    if not path.is_file():
        raise typer.BadParameter(f"there is no file {file!r}.", param_hint="FILE")
    return path


def _work_id(client: UserClient, text: str) -> str:
    """The work that begins like this, among your newest; a whole id stands for itself."""
    from qpu_executors.errors import UnknownWork

    if len(text) >= 32 or client.setting == "sideqick":
        return text
    found = [work.work_id for work in client.list_work(limit=500) if work.work_id.startswith(text.lower())]
    if len(found) == 1:
        return found[0]
    how = f"{len(found)} works begin" if found else "none of your newest works begins"
    raise UnknownWork(f"{how} with {text!r}. Give more of the work_id; list them with: conqure work list")


def _values(work: Any) -> dict[str, Any]:
    return dict(work) if isinstance(work, dict) else work.describe()


def _text(key: str, value: Any) -> str:
    return _when(value) if key.endswith(("_at", "_until")) and isinstance(value, float) else str(value)


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def _bytes(results: Any) -> bytes:
    if hasattr(results, "read"):
        content: bytes = results.read()
        return content
    if isinstance(results, list):
        return f"[{','.join(result.to_json() for result in results)}]".encode()
    text: str = results.to_json()
    return text.encode()


def _print_results(results: list[Any], top: int) -> None:
    from .run import print_counts

    for result in results:
        for number, counts in enumerate(result.counts):
            row = f", row {number}" if len(result.counts) > 1 else ""
            typer.echo(f"{result.device_id}{row}: {result.shots:,} shots in {result.run_s * 1e3:.1f} ms")
            print_counts(counts, top)
