"""`conqure devices`: what a QPU is, whether it can be used, what to do if not; drain and resume."""

import json
import re
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import conqure.availability
from conqure.availability import glance, look
from conqure.static_imports import install_line, packages_missing
from qpu_executors import QPU, DeviceFault, InvalidSite, Site
from qpu_executors.draining import drain, drained
from qpu_executors.testing import FakeDevice

LAB = """
[qpu.sv0]
driver = "statevector"
qubits = 5
[qpu.gone0]
driver = "elsewhere"
qubits = 5
[qpu.cloud0]
driver = "queue"
reach = "queue"
qubits = 5
[qpu.held0]
driver = "statevector"
qubits = 5
reach = "gres"
resource = "qpu:ion:1"
group = "ions"
[qpu.keyed0]
driver = "statevector"
qubits = 5
expects = "LAB_TOKEN"
[group.ions]
"""


@pytest.fixture
def lab(folder):
    (folder / "lab.toml").write_text(LAB)
    return folder / "lab.toml"


def states(done):
    return {device["device_id"]: device["state"] for device in done.json}


def offering(monkeypatch, **functions):
    """A driver with these functions, under the name 'fake'."""
    opened = []

    class Machine(FakeDevice):
        def __init__(self, device_id, n_qubits, *, where=""):
            opened.append(device_id)
            super().__init__(device_id, n_qubits)

    for name, function in functions.items():
        setattr(Machine, name, staticmethod(function))
    monkeypatch.setattr(conqure.availability, "driver", lambda name: Machine)
    return opened


def test_each_qpu_has_a_state_and_what_lacks_has_what_to_do(conqure, lab):
    done = conqure("devices", "--site", "./lab.toml")
    assert done.code == 0
    assert re.search(r"^DEVICE +DRIVER +QUBITS +SLOTS +REACH +STATE +TAGS$", done.out, re.MULTILINE)
    assert re.search(r"^held0 .* gres +in jobs$", done.out, re.MULTILINE)
    assert "gone0 is missing: driver 'elsewhere' is not installed.\n  install the package that has it" in done.err
    assert "keyed0 is missing: LAB_TOKEN is not set.\n  set LAB_TOKEN" in done.err


def test_json_has_the_same(conqure, lab, monkeypatch):
    expected = {"sv0": "installed", "gone0": "missing", "cloud0": "installed", "held0": "in jobs", "keyed0": "missing"}
    done = conqure("devices", "--site", "./lab.toml", "--json")
    assert (done.code, states(done)) == (0, expected)
    assert {d["device_id"]: d["usable"] for d in done.json}["held0"] is True
    monkeypatch.setenv("LAB_TOKEN", "x")
    assert states(conqure("devices", "keyed0", "--site", "./lab.toml", "--json")) == {"keyed0": "installed"}


def test_a_check_opens_what_no_job_holds_and_its_exit_code_says_whether_all_can_be_used(conqure, lab):
    done = conqure("devices", "--site", "./lab.toml", "--check", "--json")
    assert done.code == 1
    expected = {"sv0": "ready", "gone0": "missing", "cloud0": "unreachable", "held0": "in jobs", "keyed0": "missing"}
    assert states(done) == expected
    assert next(d for d in done.json if d["device_id"] == "cloud0")["detail"].startswith(
        "[qpu.cloud0.options] lacks url"
    )
    assert conqure("devices", "sv0", "--site", "./lab.toml", "--check").code == 0


def test_a_listing_opens_nothing(monkeypatch):
    opened = offering(monkeypatch)
    assert glance(QPU("a", "fake", 2)).state == "installed"
    assert opened == []
    assert look(QPU("a", "fake", 2)).state == "ready"


def test_a_driver_may_answer_without_being_opened(monkeypatch):
    opened = offering(
        monkeypatch, reachable=lambda options: f"answers at {options['where']}", describe=lambda options: {"ions": 7}
    )
    found = look(QPU("a", "fake", 2, options={"where": "here"}))
    assert (found.state, found.detail, found.about) == ("ready", "answers at here", {"ions": 7})
    assert opened == []


def test_a_driver_says_what_is_missing_and_that_it_cannot_reach_its_machine(monkeypatch):
    def unreachable(options):
        raise DeviceFault("the machine at lab:1 does not answer. Look whether it is on.")

    offering(monkeypatch, missing=lambda options: ["set LAB_KEY to your key"])
    found = look(QPU("a", "fake", 2))
    assert (found.state, found.fixes) == ("missing", ("set LAB_KEY to your key",))
    offering(monkeypatch, reachable=unreachable)
    found = look(QPU("a", "fake", 2))
    assert (found.state, found.detail) == ("unreachable", "the machine at lab:1 does not answer")
    assert found.fixes == ("Look whether it is on.",)


def test_packages_that_a_driver_imports_are_found_without_importing_it(tmp_path, monkeypatch):
    package = tmp_path / "conqure_lab_driver"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('it was imported')\n")
    (package / "machine.py").write_text(
        "import json\nimport no_such_sdk.api\nfrom .wire import send\ntry:\n import perhaps\nexcept ImportError: ...\n"
    )
    (package / "wire.py").write_text(
        "from no_such_wire import x\nfrom . import machine\ndef send():\n    import later\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert packages_missing("conqure_lab_driver.machine:Machine") == ["no_such_sdk", "no_such_wire"]
    assert packages_missing("no_such_package.machine:Machine") == ["no_such_package"]
    assert packages_missing("qpu_executors.drivers.aer:AerDevice") == []


def test_the_line_to_install_names_the_extra_that_has_the_package():
    assert install_line(["qiskit_aer"], "aer") == "pip install 'conqure[aer]'"
    assert install_line(["no_such_sdk"]) == "pip install no_such_sdk"


def test_a_drained_qpu_is_shown_with_its_message_and_is_back_when_it_is_resumed(conqure):
    assert (
        "sv0 of site 'lab' is drained: calibration (since"
        in conqure("devices", "drain", "sv0", "-m", "calibration", "--site", "./lab.toml").out
    )
    shown = conqure("devices", "--site", "./lab.toml")
    assert re.search(r"^sv0 .* drained +fast$", shown.out, re.MULTILINE)
    assert "sv0 is drained: calibration (since" in shown.err
    assert "conqure devices resume sv0" in shown.err
    (device,) = conqure("devices", "sv0", "--site", "./lab.toml", "--json").json
    assert (device["state"], device["drained"]["message"]) == ("drained", "calibration")
    assert conqure("devices", "sv0", "--site", "./lab.toml", "--check").code == 1
    assert conqure("devices", "resume", "sv0", "--site", "./lab.toml").out == "sv0 of site 'lab' takes tasks again.\n"
    assert "drained" not in conqure("devices", "--site", "./lab.toml").out
    assert conqure("devices", "resume", "sv0", "--site", "./lab.toml").out == "sv0 of site 'lab' was not drained.\n"


def test_a_run_on_a_drained_qpu_says_why_not_and_one_on_any_goes_elsewhere(conqure):
    conqure("devices", "drain", "sv0", "-m", "new laser", "--until", "2h", "--site", "./lab.toml")
    named = conqure("run", "bell.qasm", "--device", "sv0", "--site", "./lab.toml")
    assert named.code != 0
    assert "DeviceDrained: no QPU takes a task for 'sv0' now: 'sv0' is drained: new laser (since" in named.err
    elsewhere = conqure("run", "bell.qasm", "--site", "./lab.toml", "--json")
    assert elsewhere.json["device_id"] == "sv1"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nobody", "-m", "x"], "no device 'nobody'"),
        (["sv0", "-m", " "], "say why"),
        (["sv0", "-m", "x", "--until", "soon"], "'soon' is no time"),
        (["sv0", "-m", "x", "--until", "2020-01-01T10:00"], "is over"),
    ],
)
def test_what_cannot_be_drained_is_refused(conqure, arguments, says):
    done = conqure("devices", "drain", *arguments, "--site", "./lab.toml")
    assert done.code == 2
    assert says in done.err


@pytest.mark.parametrize(("text", "seconds"), [("30m", 1800), ("2h", 7200), ("1d", 86400)])
def test_until_may_be_a_duration(conqure, text, seconds):
    conqure("devices", "drain", "sv0", "-m", "x", "--until", text, "--site", "./lab.toml")
    (device,) = conqure("devices", "sv0", "--site", "./lab.toml", "--json").json
    assert device["drained"]["until"] - device["drained"]["since"] == pytest.approx(seconds, abs=5)


def test_until_may_be_a_time_of_day_or_a_date(conqure):
    day = datetime.now().replace(microsecond=0) + timedelta(days=3)
    for text, expected in ((day.isoformat(), day.timestamp()), (day.astimezone().isoformat(), day.timestamp())):
        conqure("devices", "drain", "sv0", "-m", "x", "--until", text, "--site", "./lab.toml")
        (device,) = conqure("devices", "sv0", "--site", "./lab.toml", "--json").json
        assert device["drained"]["until"] == expected
    conqure("devices", "drain", "sv0", "-m", "x", "--until", "7:30", "--site", "./lab.toml")
    (device,) = conqure("devices", "sv0", "--site", "./lab.toml", "--json").json
    ends = datetime.fromtimestamp(device["drained"]["until"])
    assert (ends.hour, ends.minute) == (7, 30)
    assert timedelta() < ends - datetime.now() <= timedelta(days=1)


def test_it_ends_by_itself(folder):
    qpu = Site.load(folder / "lab.toml").qpu("sv0")
    drain(qpu, "soon back", until=time.time() - 1)
    assert drained(qpu) is None


def test_the_notice_lies_where_all_programs_of_the_site_see_it(folder, monkeypatch):
    state = Site.load(folder / "lab.toml").qpu("sv0").notice
    assert state.endswith("/conqure/drained/lab/sv0.json")
    (folder / "slurm.toml").write_text(
        '[qpu.q]\ndriver = "fake"\nqubits = 2\n[slurm]\nshared = "/shared/lab"\n[group.g]\n'
    )
    assert Site.load(folder / "slurm.toml").qpu("q").notice == "/shared/lab/drained/slurm/q.json"
    monkeypatch.setenv("CONQURE_DRAINED", "/var/lib/drained")
    assert Site.load(folder / "slurm.toml").qpu("q").notice == "/var/lib/drained/slurm/q.json"


def test_a_notice_is_whole_and_readable_for_everybody(folder):
    qpu = Site.load(folder / "lab.toml").qpu("sv0")
    drain(qpu, "calibration")
    notice = Path(qpu.notice)
    assert json.loads(notice.read_text())["message"] == "calibration"
    assert notice.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in notice.parent.iterdir()] == ["sv0.json"]


def test_a_notice_written_by_hand_is_believed(folder):
    qpu = Site.load(folder / "lab.toml").qpu("sv0")
    Path(qpu.notice).parent.mkdir(parents=True)
    Path(qpu.notice).write_text("the chiller is broken\n")
    found = drained(qpu)
    assert found is not None
    assert found.message == "the chiller is broken"


def test_a_folder_that_cannot_be_written_is_named(folder, monkeypatch):
    (folder / "file").write_text("")
    monkeypatch.setenv("CONQURE_DRAINED", str(folder / "file"))
    qpu = Site.load(folder / "lab.toml").qpu("sv0")
    assert drained(qpu) is None
    with pytest.raises(InvalidSite, match=r"CONQURE_DRAINED"):
        drain(qpu, "x")
    with pytest.raises(InvalidSite, match="not from a site file"):
        drain(QPU("made", "fake", 2), "x")
