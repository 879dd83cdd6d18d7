"""``conqure sites``: list, show and check site files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .arguments import JSONOption, SiteArgument, offer_devices, offer_renderers
from .output import paint, print_facts, print_json, print_table

if TYPE_CHECKING:
    from qpu_executors.device import QPU
    from qpu_executors.site import Site

app = typer.Typer(no_args_is_help=True, help="List, show and check the files that describe machines.")


@app.command("list")
def list_(json: JSONOption = False) -> None:
    """List the sites that can be named, and mark the one used here by default.

    \b
    Examples:
      conqure sites list
      conqure sites list --json | jq '.[].name'
    """
    from ..sites import list_sites

    listed = list_sites()
    if json:
        print_json(
            [
                {"name": s.name, "default": s.is_default, "place": s.place, "path": s.path, "error": s.error or None}
                | ({"description": s.site.description, "qpus": len(s.site.qpus)} if s.site else {})
                for s in listed
            ]
        )
        return
    print_table(
        ["", "site", "from", "qpus", "what it is"],
        [
            ["*" if s.is_default else "", s.name, s.place]
            + ([len(s.site.qpus), s.site.description] if s.site else ["-", "invalid: " + s.error.splitlines()[0]])
            for s in listed
        ],
        right=["qpus"],
    )


@app.command()
def show(
    site: SiteArgument = None,
    toml: Annotated[bool, typer.Option("--toml", help="Print the file itself, to start one of your own.")] = False,
    render: Annotated[
        str | None,
        typer.Option(
            "--render",
            metavar="parsl|dask|slurm",
            help="Print the batch scripts that would be submitted; nothing is.",
            autocompletion=offer_renderers,
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            "--device", "-d", metavar="SELECTOR", help="Scripts of these QPUs only.", autocompletion=offer_devices
        ),
    ] = None,
    group: Annotated[
        str | None, typer.Option("--group", "-g", metavar="NAME", help="Scripts of this group only.")
    ] = None,
    json: JSONOption = False,
) -> None:
    """Show what a site offers, or the batch scripts that it stands for.

    With --render parsl or dask these are the jobs that the engine submits, one script for each QPU and each group of
    workers. With --render slurm it is one job that holds a group and a QPU at the same time, for programs that need
    both at once.

    \b
    Examples:
      conqure sites show
      conqure sites show laptop --toml > conqure.toml
      conqure sites show slurm_gres --render parsl
      conqure sites show slurm_gres --render slurm --device ion0 --group cpu > job.sh
    """
    from ..sites import load_site, site_text

    if toml:
        typer.echo(site_text(site), nl=False)
        return
    loaded = load_site(site)
    if render:
        _print_scripts(loaded, render, device, group, json)
    elif json:
        print_json(loaded.describe())
    else:
        _print_site(loaded)


def _print_site(site: Site) -> None:
    mode = f", qpu_mode {site.qpu_mode}" if site.engine == "parsl" else ""
    print_facts(
        [
            ("site", site.name),
            ("what it is", site.description or "-"),
            ("file", site.path),
            ("engine", site.engine + mode),
            ("cpu workers", site.cpu_workers),
            *([("queue", site.queue["url"])] if "url" in site.queue else []),
        ]
    )
    typer.echo("")
    elsewhere = any(qpu.reach != "local" for qpu in site.qpus)
    print_table(
        ["device", "driver", "qubits", "slots", *(["reach"] if elsewhere else []), "tags", "max shots", "options"],
        [
            (q.device_id, q.driver, q.n_qubits, q.slots)
            + ((_reach(q),) if elsewhere else ())
            + (" ".join(q.tags), f"{q.max_shots:,}", _options(q.options))
            for q in site.qpus
        ],
        right=["qubits", "slots", "max shots"],
    )
    if site.groups:
        typer.echo("")
        print_table(
            ["group", "partition", "nodes", "workers", "jobs", "walltime", "holds"],
            [
                (g.name, g.partition or "-", g.nodes, g.workers_for(), g.jobs, g.walltime, _held(site, g.name))
                for g in site.groups
            ],
            right=["nodes", "workers", "jobs"],
        )


def _print_scripts(site: Site, renderer: str, device: str | None, group: str | None, json: bool) -> None:
    from ..rendering import RENDERERS, render

    if renderer not in RENDERERS:
        raise typer.BadParameter(f"{renderer!r} is none of {', '.join(RENDERERS)}.", param_hint="'--render'")
    scripts = render(site, renderer, device, group)
    if json:
        print_json(scripts)
    elif len(scripts) == 1:
        typer.echo(next(iter(scripts.values())), nl=False)
    else:
        for name, script in scripts.items():
            typer.echo(paint(f"# ---- {name}", bold=True))
            typer.echo(script.rstrip() + "\n")


@app.command()
def check(
    site: SiteArgument = None,
    probe: Annotated[
        bool, typer.Option("--probe", help="Also run one tiny circuit on each QPU and one tiny task in each group.")
    ] = False,
    json: JSONOption = False,
) -> None:
    """Check a site file: its format, whether each driver takes the options, and what Slurm says of the jobs.

    All mistakes are listed with their lines; the exit code is 2 for a file that cannot be used, 1 for a QPU or a job
    that does not work. Slurm is asked with sbatch --test-only, which submits nothing; only --probe submits jobs.

    \b
    Examples:
      conqure sites check
      conqure sites check ./conqure.toml --probe
    """
    from ..site_checks import check_site_file
    from ..sites import load_site
    from .doctor import print_checks

    loaded = load_site(site)
    checks = check_site_file(loaded, probe=probe)
    if json:
        done = list(checks)
        print_json({"site": loaded.name, "path": loaded.path, "checks": [check.describe() for check in done]})
    else:
        typer.echo(f"{loaded.path}: the format is right.")
        done = print_checks(checks)
    if any(check.failed for check in done):
        raise typer.Exit(1)


def _held(site: Site, group: str) -> str:
    return " ".join(qpu.device_id for qpu in site.qpus_of(group)) or "-"


def _reach(qpu: QPU) -> str:
    return f"{qpu.reach}, group {qpu.group}" if qpu.group else qpu.reach


def _options(options: object) -> str:
    import json

    text = json.dumps(options, default=str)
    return "" if text == "{}" else text[1:-1]
