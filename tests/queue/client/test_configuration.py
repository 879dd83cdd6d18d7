"""Which setting a client takes."""

import os
from pathlib import Path

import pytest

from conqure import InvalidWork, NotLoggedIn
from conqure.queue.configuration import read_secret, write_secret
from conqure.queue.user_client import UserClient

HERE = "http://127.0.0.1:9"


def token_file(home: Path, text: str = "secret-a", mode: int = 0o600) -> Path:
    path = home / "token"
    path.write_text(text)
    path.chmod(mode)
    return path


def client_toml(home: Path, text: str) -> None:
    (home / ".config/conqure").mkdir(parents=True, exist_ok=True)
    (home / ".config/conqure/client.toml").write_text(text)


def qick_conf(home: Path) -> None:
    (home / ".config").mkdir(exist_ok=True)
    (home / ".config/qick.conf").write_text(
        f"[service]\ncognito_url={HERE}/cognito\nclientid=c\ncognito_userpool=p\napi_endpoint={HERE}\n"
        "[user]\nusername=ada@lab.example\n"
    )


def site_toml(home: Path, url: str) -> None:
    path = token_file(home, "secret-s")
    (home / "conqure.toml").write_text(
        f'[qpu.sv0]\ndriver = "statevector"\nqubits = 2\n[queue]\nurl = "{url}"\ntoken_file = "{path}"\n'
    )


def chosen(*args: object, **options: object) -> tuple[str, str, str | None]:
    """Setting, address and token of a client."""
    with UserClient(*args, **options) as client:
        line = getattr(client._queue, "_line", None)
        return client.setting, client.where, line and line.headers.get("Authorization", "").removeprefix("Bearer ")


def test_with_nothing_configured_it_is_embedded() -> None:
    assert chosen(store="memory:")[:2] == ("embedded", "memory:")


def test_what_is_configured_is_taken_in_order(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    qick_conf(home)
    assert chosen()[:2] == ("sideqick", HERE)
    site_toml(home, "http://127.0.0.1:8")
    assert chosen() == ("remote", "http://127.0.0.1:8", "secret-s")
    client_toml(home, f'url = "http://127.0.0.1:7"\ntoken_file = "{token_file(home, "secret-c")}"\n')
    assert chosen() == ("remote", "http://127.0.0.1:7", "secret-c")
    monkeypatch.setenv("CONQURE_QUEUE_URL", "http://127.0.0.1:6/")
    monkeypatch.setenv("CONQURE_QUEUE_TOKEN", "secret-e")
    assert chosen() == ("remote", "http://127.0.0.1:6", "secret-e")
    assert chosen("http://127.0.0.1:5", token="secret-a") == ("remote", "http://127.0.0.1:5", "secret-a")
    assert chosen(embedded=True, store="memory:")[0] == "embedded"


def test_both_files_of_sideqick_are_read_and_the_machines_one_wins(home: Path) -> None:
    qick_conf(home)
    (home / "etc-qick").write_text("[service]\napi_endpoint=http://127.0.0.1:10\n[device]\nid=fpga-1\n")
    with UserClient() as client:
        assert (client.where, client._queue.device_id) == ("http://127.0.0.1:10", "fpga-1")


def test_a_file_of_sideqick_that_lacks_something_is_named(home: Path) -> None:
    qick_conf(home)
    text = (home / ".config/qick.conf").read_text().replace("username", "nobody")
    (home / ".config/qick.conf").write_text(text)
    with pytest.raises(InvalidWork, match=r"qick.conf lack.*'username' in \[user\]"):
        UserClient()


def test_a_token_goes_only_to_the_address_it_was_configured_with(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client_toml(home, f'url = "{HERE}"\ntoken_file = "{token_file(home)}"\n')
    assert chosen(HERE + "/") == ("remote", HERE, "secret-a")
    assert chosen("http://127.0.0.1:10") == ("remote", "http://127.0.0.1:10", "")
    monkeypatch.setenv("CONQURE_QUEUE_URL", "http://127.0.0.1:6")
    monkeypatch.setenv("CONQURE_QUEUE_TOKEN", "secret-e")
    assert chosen("http://127.0.0.1:10")[2] == ""
    monkeypatch.delenv("CONQURE_QUEUE_URL")
    assert chosen("http://127.0.0.1:10")[2] == "secret-e"  # a token without an address is meant for this one


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_token_file_that_others_can_read_is_refused_with_what_to_type(home: Path, mode: int) -> None:
    path = token_file(home, mode=mode)
    client_toml(home, f'url = "{HERE}"\ntoken_file = "{path}"\n')
    with pytest.raises(NotLoggedIn, match=f"mode {mode:o}.*Type: chmod 600 {path}"):
        UserClient()


def test_a_token_file_that_cannot_be_used_is_said(home: Path) -> None:
    for path, message in ((home / "none", "No such file"), (token_file(home, ""), "holds no token")):
        client_toml(home, f'url = "{HERE}"\ntoken_file = "{path}"\n')
        with pytest.raises(NotLoggedIn, match=f"{message}.*conqure login"):
            UserClient()


@pytest.mark.parametrize(
    ("text", "message"),
    [("url = ", "cannot be read"), ('token_file = "x"', "lacks 'url'"), ('url = "x"\ntokens = "y"', "has 'tokens'")],
)
def test_mistakes_in_the_users_file_are_said(home: Path, text: str, message: str) -> None:
    client_toml(home, text)
    with pytest.raises(InvalidWork, match=message):
        UserClient()


def test_arguments_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(InvalidWork, match="Give one or the other"):
        UserClient(HERE, embedded=True)
    with pytest.raises(InvalidWork, match="Give url too"):
        UserClient(token="x")


@pytest.mark.parametrize(
    "url", ["ftp://a", "queue.lab.example", "http://", "https://ada:pw@lab", "https://a/?token=x", ""]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidWork, match="address of a cloud queue"):
        UserClient(url)


def test_plain_http_to_another_machine_is_warned_about() -> None:
    with pytest.warns(UserWarning, match=r"queue\.lab\.example is asked by plain http"):
        UserClient("http://queue.lab.example").close()
    for safe in ("http://localhost:1", "http://[::1]:1", "http://127.9.9.9", "https://queue.lab.example"):
        UserClient(safe).close()


def test_a_secret_is_written_for_its_owner_only_and_at_once(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        write_secret(tmp_path / "new" / "token", "abc\n")
    finally:
        os.umask(old)
    assert (tmp_path / "new" / "token").stat().st_mode & 0o777 == 0o600
    assert read_secret(tmp_path / "new" / "token") == "abc"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["token"]
