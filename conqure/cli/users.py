"""``conqure users``: who may use a cloud queue."""

from __future__ import annotations

import sys
import time
from typing import Annotated, Any

import typer

from .arguments import JSONOption
from .output import print_json, print_table
from .queue_admin import StoreOption, URLOption, accounts, admin, path

app = typer.Typer(no_args_is_help=True, help="Say who may use a cloud queue (for its administrators).")

EmailArgument = Annotated[str, typer.Argument(metavar="EMAIL", help="The user's address.")]
PasswordOption = Annotated[
    bool, typer.Option("--password", help="Ask for a password, or read it from a pipe; default: one is made.")
]


@app.command()
def add(
    email: EmailArgument,
    name: Annotated[str, typer.Option(metavar="TEXT", help="What the user is called.")] = "",
    is_admin: Annotated[bool, typer.Option("--admin", help="May do everything, also this.")] = False,
    password: PasswordOption = False,
    url: URLOption = None,
    store: StoreOption = None,
    json: JSONOption = False,
) -> None:
    """Add a user. The password that is made is printed this once.

    \b
    Examples:
      conqure users add ada@lab.example --admin --store queue.db     the first one, on the machine of the service
      conqure users add bob@lab.example --name 'Bob B.'
    """
    given = _password() if password else None
    if store:
        from ..queue.server import passwords

        made = given or passwords.new_password()
        kept = passwords.hashed(passwords.check_password(made), by_us=given is None)
        with accounts(store) as known:
            user = known.add_user(email, name, kept, is_admin=is_admin)
        values: dict[str, Any] = {"user_id": user.user_id, "is_admin": is_admin, "password": None if given else made}
    else:
        wanted = {"email": email, "full_name": name, "is_admin": is_admin, "password": given}
        with admin(url) as service:
            values = service.ask("POST", "/v1/users", wanted)
    if json:
        print_json(values)
        return
    typer.echo(f"Added {values['user_id']}{', an administrator' if is_admin else ''}.")
    if values.get("password"):
        typer.echo(f"Password (shown this once): {values['password']}")


@app.command("list")
def list_(url: URLOption = None, store: StoreOption = None, json: JSONOption = False) -> None:
    """List the users.

    \b
    Examples:
      conqure users list
      conqure users list --store queue.db --json
    """
    if store:
        with accounts(store) as known:
            users = [user.describe() for user in known.users()]
    else:
        with admin(url) as service:
            users = service.ask("GET", "/v1/users")["users"]
    if json:
        print_json(users)
        return
    print_table(
        ["user", "name", "role", "since"],
        [[u["user_id"], u["full_name"], _role(u), time.strftime("%F", time.localtime(u["created_at"]))] for u in users],
    )


@app.command()
def password(email: EmailArgument, url: URLOption = None, store: StoreOption = None) -> None:
    """Give a user a new password, asked for or read from a pipe; all logins of the user end.

    \b
    Examples:
      conqure users password ada@lab.example
      pwgen -s 24 1 | conqure users password ada@lab.example --store queue.db
    """
    new = _password()
    if store:
        from ..queue.server import passwords
        from ..queue.server.accounts import COGNITO, LOGIN, user_id_of

        user_id = user_id_of(email)
        with accounts(store) as known:
            known.change_user(user_id, password=passwords.hashed(passwords.check_password(new)))
            known.revoke(time.time(), user_id=user_id, kind=[LOGIN, COGNITO])
    else:
        with admin(url) as service:
            service.ask("PUT", path("users", email), {"password": new})
    typer.echo(f"{email} has a new password.")


@app.command()
def disable(email: EmailArgument, url: URLOption = None, store: StoreOption = None) -> None:
    """Close a user's account; what it has handed in stays. 'conqure users enable' opens it again.

    \b
    Examples:
      conqure users disable bob@lab.example
    """
    _set_active(email, False, url, store)
    typer.echo(f"The account of {email} is closed.")


@app.command()
def enable(email: EmailArgument, url: URLOption = None, store: StoreOption = None) -> None:
    """Open a closed account again.

    \b
    Examples:
      conqure users enable bob@lab.example
    """
    _set_active(email, True, url, store)
    typer.echo(f"The account of {email} is open.")


@app.command()
def remove(email: EmailArgument, url: URLOption = None, store: StoreOption = None) -> None:
    """Remove a user; the works stay, for administrators.

    \b
    Examples:
      conqure users remove bob@lab.example
    """
    if store:
        from ..queue.server.accounts import user_id_of

        with accounts(store) as known:
            known.remove_user(user_id_of(email))
    else:
        with admin(url) as service:
            service.ask("DELETE", path("users", email))
    typer.echo(f"Removed {email}.")


@app.command()
def token(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for.")],
    days: Annotated[int, typer.Option(min=1, help="How long it is good for.")] = 30,
    url: URLOption = None,
    json: JSONOption = False,
) -> None:
    """Make a token of your own for a script; it is printed this once.

    \b
    Examples:
      conqure users token nightly --days 90 > token.txt
    """
    with admin(url) as service:
        made = service.ask("POST", "/v1/tokens", {"name": name, "days": days})
    print_json(made) if json else typer.echo(made["token"])


def _set_active(email: str, is_active: bool, url: str | None, store: str | None) -> None:
    if store:
        from ..queue.server.accounts import user_id_of

        with accounts(store) as known:
            known.change_user(user_id_of(email), is_active=is_active)
        return
    with admin(url) as service:
        service.ask("PUT", path("users", email), {"is_active": is_active})


def _password() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("New password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")


def _role(user: dict[str, Any]) -> str:
    return "closed" if not user["is_active"] else "admin" if user["is_admin"] else "user"
