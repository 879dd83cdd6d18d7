"""``conqure sites``: list, show and check site files."""

from __future__ import annotations

from typing import Annotated

import typer

from .arguments import JSONOption, SiteArgument
from .output import print_facts, print_json, print_table

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
    json: JSONOption = False,
) -> None:
    """Show what a site offers.

    \b
    Examples:
      conqure sites show
      conqure sites show laptop --toml > conqure.toml
    """
    from ..sites import load_site, site_text

    if toml:
        typer.echo(site_text(site), nl=False)
        return
    loaded = load_site(site)
    if json:
        print_json(loaded.describe())
        return
    mode = f", qpu_mode {loaded.qpu_mode}" if loaded.engine == "parsl" else ""
    print_facts(
        [
            ("site", loaded.name),
            ("what it is", loaded.description or "-"),
            ("file", loaded.path),
            ("engine", loaded.engine + mode),
            ("cpu workers", loaded.cpu_workers),
        ]
    )
    typer.echo("")
    print_table(
        ["device", "driver", "qubits", "slots", "tags", "max shots", "options"],
        [
            [q.device_id, q.driver, q.n_qubits, q.slots, " ".join(q.tags), f"{q.max_shots:,}", _options(q.options)]
            for q in loaded.qpus
        ],
        right=["qubits", "slots", "max shots"],
    )


@app.command()
def check(
    site: SiteArgument = None,
    probe: Annotated[bool, typer.Option("--probe", help="Also open each QPU and run one tiny circuit on it.")] = False,
    json: JSONOption = False,
) -> None:
    """Check a site file: its format, and whether each driver is there and takes the options.

    All mistakes are listed with their lines; the exit code is 2 for a file that cannot be used, 1 for a QPU that
    does not work.

    \b
    Examples:
      conqure sites check
      conqure sites check ./conqure.toml --probe
    """
    from ..doctor import check_qpus
    from ..sites import load_site
    from .doctor import print_checks

    loaded = load_site(site)
    checks = check_qpus(loaded, probe=probe)
    if json:
        print_json({"site": loaded.name, "path": loaded.path, "checks": [check.describe() for check in checks]})
    else:
        typer.echo(f"{loaded.path}: the format is right.")
        print_checks(checks)
    if any(check.failed for check in checks):
        raise typer.Exit(1)


def _options(options: object) -> str:
    import json

    text = json.dumps(options, default=str)
    return "" if text == "{}" else text[1:-1]
