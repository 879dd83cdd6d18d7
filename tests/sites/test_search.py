"""Which file a name, or nothing, stands for."""

import pickle
from pathlib import Path

import pytest

from qpu_executors import Site, UnknownSite, current_site, site_search
from qpu_executors.site_search import find_site, known_sites, shipped_folder

ONE_QPU = '[qpu.{0}]\ndriver = "statevector"\nqubits = 2\n'


def write(folder: Path, name: str) -> Path:
    """A valid site file whose one QPU tells which file it was."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.toml"
    path.write_text(ONE_QPU.format(f"{folder.name}-{name}"))
    return path


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "conqure" / "sites"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(site_search, "MACHINE_FOLDER", tmp_path / "etc" / "conqure" / "machine")
    return tmp_path / "etc" / "conqure" / "machine"


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, user: Path, machine: Path) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_with_nothing_said_it_is_the_shipped_laptop() -> None:
    assert find_site().path == shipped_folder() / "laptop.toml"
    assert Site.load().name == "laptop"


def test_each_place_goes_before_those_after_it(
    monkeypatch: pytest.MonkeyPatch, here: Path, user: Path, machine: Path, tmp_path: Path
) -> None:
    expected = [shipped_folder() / "laptop.toml"]
    assert find_site().path == expected[-1]
    for folder in (machine, user):
        expected.append(write(folder, "default"))
        assert find_site().path == expected[-1]
    expected.append(write(here, "conqure"))
    assert find_site().path == expected[-1]
    expected.append(write(tmp_path, "variable"))
    monkeypatch.setenv("CONQURE_SITE", str(expected[-1]))
    assert find_site().path == expected[-1]
    assert find_site("laptop").path == expected[0]


def test_a_name_is_the_users_before_the_machines_before_the_shipped(user: Path, machine: Path) -> None:
    assert find_site("laptop").why == "shipped"
    assert find_site(write(machine, "laptop").stem).why == "machine"
    assert find_site(write(user, "laptop").stem).why == "user"
    assert known_sites()["laptop"].path == user / "laptop.toml"


def test_without_xdg_config_home_the_users_folder_is_below_the_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for unusable in ("", "relative/folder"):
        monkeypatch.setenv("XDG_CONFIG_HOME", unusable)
        assert site_search.user_folder() == tmp_path / ".config" / "conqure" / "sites"


@pytest.mark.parametrize("spelled", ["./lab.toml", "lab.toml", "../here/lab.toml"])
def test_what_ends_in_toml_or_has_a_slash_is_a_file(here: Path, spelled: str) -> None:
    write(here, "lab")
    assert Site.load(spelled).qpus[0].device_id == "here-lab"
    assert Site.load(Path(spelled)).name == "lab"


def test_the_variable_may_hold_a_name(monkeypatch: pytest.MonkeyPatch, machine: Path) -> None:
    write(machine, "cluster")
    monkeypatch.setenv("CONQURE_SITE", "cluster")
    assert Site.load().name == "cluster"
    assert find_site().why == "$CONQURE_SITE, machine"


def test_an_empty_variable_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONQURE_SITE", "")
    assert find_site().path.stem == "laptop"


NEXT = (
    "List the sites with: conqure sites list; "
    "start a file of your own with: conqure sites show laptop --toml > conqure.toml"
)


def test_an_unknown_name_lists_the_known_ones_and_the_places(user: Path, machine: Path) -> None:
    write(user, "lab")
    with pytest.raises(UnknownSite) as caught:
        Site.load("labb")
    names = ", ".join(map(repr, sorted({"lab", *(path.stem for path in shipped_folder().glob("*.toml"))})))
    assert str(caught.value) == (
        f"no site 'labb'. Did you mean 'lab'? Known: {names}.\n"
        f"Looked for labb.toml in {user}, {machine}, {shipped_folder()}. {NEXT}"
    )


def test_an_unknown_file_says_what_is_there(here: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownSite) as caught:
        Site.load("./lab.toml")
    assert str(caught.value) == f"no site file './lab.toml': {here}/lab.toml is not there. {NEXT}"
    with pytest.raises(UnknownSite, match=rf"no site file '{tmp_path}': {tmp_path} is a folder\."):
        Site.load(tmp_path)


def test_a_wrong_variable_is_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONQURE_SITE", "nowhere")
    with pytest.raises(UnknownSite, match=r"no site 'nowhere' \(from \$CONQURE_SITE\)\."):
        Site.load()


def test_a_name_cannot_leave_its_folder(here: Path) -> None:
    write(here.parent / "etc", "secret")
    with pytest.raises(UnknownSite):
        Site.load("..")
    with pytest.raises(UnknownSite):
        Site.load("../etc/secret")  # a path, and no file of this name is there


def test_a_folder_that_may_not_be_read_offers_nothing(user: Path) -> None:
    user.parent.mkdir(parents=True)
    user.write_text("a file where the folder should be")
    assert "laptop" in known_sites()


def test_the_current_site_follows_the_variable_and_the_folder(
    monkeypatch: pytest.MonkeyPatch, here: Path, user: Path
) -> None:
    assert current_site().name == "laptop"
    assert current_site() is current_site()
    write(here, "conqure")
    write(user, "lab")
    monkeypatch.setenv("CONQURE_SITE", "lab")
    assert current_site().name == "lab"


def test_a_site_is_taken_as_it_is_and_travels_by_pickle() -> None:
    site = Site.load("laptop")
    assert Site.load(site) is site
    assert pickle.loads(pickle.dumps(site)) == site
