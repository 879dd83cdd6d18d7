"""What the page draws: counts as bars, gates as a circuit, a work's history. Pure functions, read as XML."""

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conqure.queue.server.web import charts, circuits
from conqure.queue.server.web.svg import Svg, element
from conqure.queue.server.web.timeline import history, ran, waited
from conqure.queue.server.web.words import ago, size, span
from conqure.queue.work import WorkRecord, WorkStatus, new_work_id
from qpu_executors.translation.gates import GATES, GateProgram, Op

HOSTILE = '<script>alert("1")</script>'


def texts(svg: str) -> list[str]:
    return ["".join(found.itertext()) for found in ElementTree.fromstring(svg).iter("text")]


def classes(svg: str) -> list[str]:
    return [name for found in ElementTree.fromstring(svg).iter() for name in found.get("class", "").split()]


def program(*ops: Op, n_qubits: int = 3, parameters: tuple[str, ...] = ()) -> GateProgram:
    return GateProgram(n_qubits, (("c", n_qubits),), parameters, ops)


# Elements


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"])))
def test_whatever_goes_into_an_element_comes_out_as_text(value: str) -> None:
    found = ElementTree.fromstring(element("text", value, name=value))
    assert (found.text or "").strip() == value.strip()
    assert not list(found)


def test_only_drawings_are_markup_to_a_template() -> None:
    assert element("g", element("b"), "<i>") == "<g><b/>&lt;i&gt;</g>"
    assert Svg("<g/>").__html__() == "<g/>"


# Counts


def test_a_chart_has_a_bar_for_each_state_the_most_frequent_first() -> None:
    drawn = charts.draw({"00": 250, "11": 750})
    assert texts(drawn) == ["11", "750 · 75.0%", "00", "250 · 25.0%"]
    widths = [float(rect.get("width", "").rstrip("%")) for rect in ElementTree.fromstring(drawn).iter("rect")]
    assert widths[0] == pytest.approx(3 * widths[1], rel=1e-3)


def test_more_states_than_fit_are_put_together_and_nothing_is_lost() -> None:
    counts = {format(i, "010b"): i + 1 for i in range(1000)}
    found = charts.bars(counts)
    assert len(found) == charts.TOP + 1
    assert found[-1].bits == "984 more states"
    assert sum(bar.seen for bar in found) == sum(counts.values())
    assert classes(charts.draw(counts)).count("rest") == 1


def test_seventeen_states_are_all_shown() -> None:
    assert not any(bar.is_rest for bar in charts.bars({format(i, "05b"): 1 for i in range(17)}))


@given(st.dictionaries(st.text("01 ", min_size=1, max_size=120), st.integers(0, 10**9), max_size=60))
@settings(max_examples=50)
def test_any_counts_make_a_well_formed_chart_that_sums_up(counts: dict[str, int]) -> None:
    ElementTree.fromstring(charts.draw(counts))
    assert sum(bar.seen for bar in charts.bars(counts)) == sum(counts.values())


def test_long_and_hostile_states_stay_short_and_are_text() -> None:
    drawn = charts.draw({"01" * 50: 3, HOSTILE: 1})
    assert "<script" not in drawn
    assert all(len(text) <= 15 for text in texts(drawn)[::2])


# Circuits


def test_a_bell_circuit_has_its_gates_in_order_from_left_to_right() -> None:
    bell = program(Op("h", (0,)), Op("cx", (0, 1)), Op("measure", (0, 1), bits=(0, 1)), n_qubits=2)
    drawn = circuits.draw(bell)
    assert drawn is not None
    assert texts(drawn) == ["q0", "q1", "H", "c0", "c1"]
    titles = [title.text for title in ElementTree.fromstring(drawn).iter("title")]
    assert titles == ["h on q0", "cx on q0, q1", "measure on q0 to bit 0", "measure on q1 to bit 1"]
    assert classes(drawn).count("control") == 1
    assert circuits.census(bell) == "2 qubits, 3 operations (1 h, 1 cx, 1 measure)"


@pytest.mark.parametrize("name", GATES)
def test_every_gate_of_the_language_can_be_drawn(name: str) -> None:
    n_qubits, n_angles = GATES[name]
    qubits = tuple(range(n_qubits))[::-1]
    drawn = circuits.draw(program(Op(name, qubits, (0.5,) * n_angles)))
    assert drawn is not None
    ElementTree.fromstring(drawn)
    assert f"<title>{name}" in drawn


def test_gates_on_other_wires_share_a_column_and_a_gate_between_does_not() -> None:
    apart = [step.column for step in circuits.pack(program(Op("h", (0,)), Op("x", (2,))))]
    across = [step.column for step in circuits.pack(program(Op("cx", (0, 2)), Op("x", (1,))))]
    assert (apart, across) == ([0, 0], [0, 1])


def test_angles_are_fractions_of_pi_or_names_or_the_values_of_a_row() -> None:
    circuit = program(
        Op("rx", (0,), (math.pi / 2,)),
        Op("ry", (0,), ((0.0, 0, 1.0),)),
        Op("rz", (0,), ((math.pi, 0, -2.0, 1, 0.5),)),
        Op("p", (0,), (1.23456,)),
        parameters=("theta", "phi"),
    )
    named = [text for text in texts(circuits.draw(circuit) or "") if not re.fullmatch(r"q\d|[A-Z]+", text)]
    assert named == ["π/2", "theta", "-2·theta+0.5·phi+π", "1.23"]
    bound = [text for text in texts(circuits.draw(circuit, (0.25, -math.pi)) or "") if "q" not in text]
    assert bound[1::2] == ["π/2", "0.25", "1.07", "1.23"]


def test_what_is_too_large_to_look_at_is_text() -> None:
    wide = program(*(Op("cx", (i, i + 1)) for i in range(99)), n_qubits=100)
    deep = program(*[Op("h", (0,))] * 500)
    assert circuits.draw(wide) is None
    assert circuits.draw(deep) is None
    assert circuits.listing(deep)[-1] == "… and 300 more"
    assert circuits.census(wide) == "100 qubits, 99 operations (99 cx)"


def test_hostile_names_of_parameters_are_text() -> None:
    drawn = circuits.draw(program(Op("rx", (0,), ((0.0, 0, 1.0),)), parameters=(HOSTILE,)))
    assert drawn is not None
    assert "<script" not in drawn


def test_an_empty_program_is_wires_or_nothing() -> None:
    assert texts(circuits.draw(program(n_qubits=1)) or "") == ["q0"]
    assert circuits.draw(program(n_qubits=0)) is None


# Words and history


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (0.0, "0 ms"), (0.9996, "1.0 s"), (9.96, "10 s"), (59.6, "1 min"), (3600, "1 h"), (90061, "1 d 1 h")],
)
def test_spans_are_short(seconds: float | None, text: str) -> None:
    assert span(seconds) == text


def test_ages_are_whole_seconds_so_that_a_page_does_not_change_with_every_look() -> None:
    assert [ago(seconds) for seconds in (0.2, 4.4, 75, 7300)] == [
        "just now",
        "4 s ago",
        "1 min 15 s ago",
        "2 h 1 min ago",
    ]


def test_sizes_are_short() -> None:
    assert [size(n) for n in (12, 2048, 3 * 2**20)] == ["12 bytes", "2.0 KiB", "3.0 MiB"]


def test_a_history_shows_what_was_and_what_is_to_come() -> None:
    work = WorkRecord(new_work_id(), "ada", created_at=1.0).become(WorkStatus.READY, 2.0)
    assert [(stage.status, stage.when) for stage in history(work)] == [
        ("CREATED", "past"), ("READY", "now"), ("EXECUTING", "later"), ("DONE", "later")
    ]  # fmt: skip
    runs = work.become(WorkStatus.EXECUTING, 5.0)
    done = runs.become(WorkStatus.DONE, 7.5)
    assert [(stage.at, stage.note) for stage in history(done)] == [
        (1.0, ""), (2.0, ""), (5.0, "waited 3.0 s"), (7.5, "ran 2.5 s")
    ]  # fmt: skip
    assert (waited(work), ran(runs), waited(done), ran(done)) == (None, None, 3.0, 2.5)


def test_a_redelivered_work_waits_again_and_a_canceled_one_never_ran() -> None:
    work = WorkRecord(new_work_id(), "ada", created_at=1.0).become(WorkStatus.READY, 2.0)
    again = work.become(WorkStatus.EXECUTING, 3.0).become(WorkStatus.READY, 4.0)
    assert history(again)[1].note == "waits again after attempt 1"
    assert [stage.status for stage in history(work.become(WorkStatus.CANCELED, 3.0))] == [
        "CREATED", "READY", "CANCELED"
    ]  # fmt: skip
