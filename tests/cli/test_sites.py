"""`conqure sites` and `conqure devices`."""

import pytest

from qpu_executors import Site


def test_sites_are_listed_and_the_default_is_marked(conqure):
    heading, *lines = conqure("sites", "list").out.splitlines()
    assert heading.split() == ["SITE", "FROM", "QPUS", "WHAT", "IT", "IS"]
    (laptop,) = [line for line in lines if "laptop" in line]
    assert laptop == "*  laptop" + laptop[9:]
    assert laptop.split()[2:] == ["shipped", "6", *Site.load("laptop").description.split()]


def test_a_local_file_is_listed_first_and_a_broken_one_does_not_hide_the_others(conqure, folder, monkeypatch):
    (folder / "lab.toml").rename(folder / "conqure.toml")
    own = folder / "config" / "conqure" / "sites"
    own.mkdir(parents=True)
    (own / "broken.toml").write_text("x = 1")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    lines = conqure("sites", "list").out.splitlines()[1:]
    assert lines[0].split() == ["*", "./conqure.toml", "this", "folder", "2", "a", "lab"]
    (broken,) = [line for line in lines if "broken" in line]
    assert f"invalid: {own}/broken.toml: the file lacks 'qpu' (the QPUs)." in broken
    listed = {site["name"]: site for site in conqure("sites", "list", "--json").json}
    assert listed["./conqure.toml"]["default"] is True
    assert listed["./conqure.toml"]["qpus"] == 2
    assert "lacks 'qpu'" in listed["broken"]["error"]
    assert listed["laptop"] == {
        "name": "laptop",
        "default": False,
        "place": "shipped",
        "path": str(Site.load("laptop").path),
        "error": None,
        "description": Site.load("laptop").description,
        "qpus": 6,
    }


def test_a_site_is_shown(conqure, folder):
    done = conqure("sites", "show", "./lab.toml")
    assert done.out == (
        f"site         lab\nwhat it is   a lab\nfile         {folder}/lab.toml\nengine       threads\n"
        f"cpu workers  {Site.load('laptop').cpu_workers}\n\n"
        "DEVICE  DRIVER       QUBITS  SLOTS  TAGS   MAX SHOTS  OPTIONS\n"
        "sv0     statevector       5      1  fast  10,000,000\n"
        "sv1     statevector       9      1        10,000,000\n"
    )


def test_a_site_is_shown_as_json(conqure):
    shown = conqure("sites", "show", "laptop", "--json").json
    assert shown == Site.load("laptop").describe()
    assert shown["qpus"][4]["options"] == {"driver": "statevector", "job_s": 0.05}


def test_a_file_of_ones_own_starts_as_a_copy(conqure, folder):
    copied = conqure("sites", "show", "laptop", "--toml").out
    (folder / "conqure.toml").write_text(copied)
    assert Site.load().qpus == Site.load("laptop").qpus
    assert conqure("sites", "check").out.startswith(f"{folder}/conqure.toml: the format is right.\n")


def test_check_looks_at_the_driver_and_its_options(conqure, folder):
    (folder / "odd.toml").write_text(
        '[qpu.good]\ndriver = "statevector"\nqubits = 2\n'
        '[qpu.odd]\ndriver = "emulated"\nqubits = 2\noptions = { job = 1 }\n'
        '[qpu.gone]\ndriver = "statevectr"\nqubits = 2\n'
    )
    done = conqure("sites", "check", "odd.toml")
    assert done.code == 1
    assert "  ok      good                 statevector, 2 qubits: opens\n" in done.out
    assert "[qpu.odd.options] has 'job', which driver 'emulated' does not know" in done.out
    assert "no driver 'statevectr'" in done.out
    states = {check["name"]: check["state"] for check in conqure("sites", "check", "odd.toml", "--json").json["checks"]}
    assert states == {"good": "ok", "odd": "failed", "gone": "failed"}


def test_check_can_run_a_circuit_on_each_qpu(conqure):
    done = conqure("sites", "check", "./lab.toml", "--probe")
    assert done.code == 0
    assert done.out.count("a circuit took") == 2


@pytest.mark.parametrize("command", ["show", "check"])
def test_a_file_with_mistakes_is_exit_code_2_with_all_of_them(conqure, folder, command):
    (folder / "odd.toml").write_text('[qpu.a]\nqubits = 0\ndriver = "statevector"\n[engine]\nnam = 1\n')
    done = conqure("sites", command, "odd.toml")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        f"InvalidSite: {folder}/odd.toml, line 2: 'qpu.a.qubits' must be from 1 to 100,000, not 0.\n"
        f"{folder}/odd.toml, line 5: 'engine.nam' is unknown. Did you mean 'name'? "
        "Allowed in [engine]: name, qpu_mode.\n"
    )


def test_devices_are_listed(conqure):
    assert conqure("devices", "--site", "./lab.toml").out == (
        "DEVICE  DRIVER       QUBITS  SLOTS  REACH  TAGS\n"
        "sv0     statevector       5      1  local  fast\n"
        "sv1     statevector       9      1  local\n"
    )


def test_devices_may_be_selected(conqure):
    names = [device["device_id"] for device in conqure("devices", "tag:ion", "--json").json]
    assert names == ["ion0", "ion1"]
    unknown = conqure("devices", "tag:io", "--json")
    assert unknown.code == 2
    assert unknown.err.startswith("UnknownDevice: no device 'tag:io' on site 'laptop'. Known: 'sv0'")


def test_devices_say_which_driver_is_not_installed(conqure, folder):
    (folder / "odd.toml").write_text('[qpu.x]\ndriver = "elsewhere"\nqubits = 2\n')
    done = conqure("devices", "-s", "odd.toml")
    assert done.code == 0
    assert done.err == "Driver 'elsewhere' is not installed; 'conqure doctor' lists those that are.\n"
    assert conqure("devices", "-s", "odd.toml", "--json").json[0]["driver_installed"] is False
