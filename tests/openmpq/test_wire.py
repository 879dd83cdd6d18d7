"""The wire's golden files, which the C++ unit tests read too, and what is refused."""

import contextlib
import hmac
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmpq_runtime import wire
from qpu_executors import QPU, QuantumResult, UnknownDevice

GOLDEN = Path(__file__).parent / "golden"


def golden(name: str) -> bytes:
    return (GOLDEN / f"{name}.json").read_bytes().rstrip()


def reader(data: bytes) -> wire.Reader:
    pieces = [data[i : i + 7] for i in range(0, len(data), 7)]  # as a socket may give them
    return wire.Reader(lambda _: pieces.pop(0) if pieces else b"")


def test_welcome_is_the_golden_text() -> None:
    qpus = [QPU("ion0", "fake", 11), QPU("sv0", "fake", 14, slots=2)]
    assert wire.welcome("fedcba9876543210" * 2, qpus, False, 256) == golden("welcome")


def test_a_result_is_the_golden_text_and_holds_the_result_as_the_waist_writes_it() -> None:
    result = QuantumResult.from_json(json.dumps(json.loads(golden("result"))["result"]))
    assert wire.result(1, result) == golden("result")
    assert json.loads(golden("result"))["result"] == json.loads(result.to_json())


def test_the_other_answers_are_the_golden_texts() -> None:
    refusal = wire.Refusal(json.loads(golden("refused"))["text"], "version")
    assert wire.refused(refusal) == golden("refused")
    assert wire.failed(1, UnknownDevice(json.loads(golden("failed"))["text"])) == golden("failed")
    arrays = {"device_id": "ion0", "arrays": {"energy": [-1.25]}, "run_s": 0.125}
    assert wire.arrays(3, arrays) == golden("arrays")


@pytest.mark.parametrize("name", ["hello", "submit", "submit_again", "script", "cancel"])
def test_what_programs_send_is_read_as_it_stands(name: str) -> None:
    assert reader(wire.frame(golden(name))).message() == json.loads(golden(name))


def test_the_proofs_of_a_token_are_those_of_the_c_plus_plus_side() -> None:
    text = json.loads(golden("hmac"))
    ours, theirs = bytes.fromhex(text["client_challenge"]), bytes.fromhex(text["server_challenge"])
    token = text["token"].encode()
    assert hmac.digest(token, b"openmpq-client" + ours + theirs, "sha256").hex() == text["client_proof"]
    assert hmac.digest(token, b"openmpq-server" + theirs + ours, "sha256").hex() == text["server_proof"]


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"1", b"\xff\xfe", b'{"a":NaN}', b"[" * 100_000])
def test_what_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(wire.Refusal):
        reader(wire.frame(body)).message()


def test_a_frame_over_the_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(wire.Refusal, match="at most"):
        reader(struct.pack(">I", wire.MAX_FRAME + 1)).message()


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_or_end_the_connection_and_nothing_else(data: bytes) -> None:
    with contextlib.suppress(wire.Refusal, EOFError):
        reader(data).message()


@pytest.mark.slow
@given(st.lists(st.dictionaries(st.text(max_size=5), st.integers(0, 2**53)), max_size=5))
def test_messages_come_out_as_they_went_in_however_they_are_cut(messages: list[dict[str, Any]]) -> None:
    read: Callable[[], dict[str, Any]] = reader(b"".join(wire.frame(json.dumps(m).encode()) for m in messages)).message
    assert [read() for _ in messages] == messages


def test_a_hello_of_another_version_names_both() -> None:
    with pytest.raises(wire.Refusal, match="version 1.*library 2") as refused:
        wire.check_hello({"is": "hello", "openmpq": 2, "client": "0" * 32})
    assert refused.value.refused_as == "version"
