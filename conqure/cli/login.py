"""``conqure login`` and ``conqure logout``: which service this user's programs use, and the token for it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def login(
    url: Annotated[str, typer.Argument(metavar="URL", help="The service, like https://queue.lab.example.")],
    email: Annotated[str | None, typer.Option(help="Who you are there; asked for if not given.")] = None,
    ca: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The certificate that signed the service's.", exists=True)
    ] = None,
    days: Annotated[int, typer.Option(help="How long the token is good for.", min=1)] = 90,
) -> None:
    """Log in to a cloud queue; from then on 'conqure work' and UserClient() use it.

    The password is asked for, not kept. What is kept is a token, in a file that only you can read.

    \b
    Examples:
      conqure login https://queue.lab.example
    """
    from ..queue.login import log_in

    email = email or typer.prompt("E-mail")
    password = typer.prompt("Password", hide_input=True)
    path = log_in(url, email, password, ca=ca, days=days)
    typer.echo(f"Logged in as {email}. The token is in {path}; end it with: conqure logout")


def logout() -> None:
    """End the token of 'conqure login' and forget the service.

    \b
    Examples:
      conqure logout
    """
    from ..queue.login import log_out

    typer.echo(log_out())
