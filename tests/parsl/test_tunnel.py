"""Blocks on other machines: the encrypted tunnel, here over the loopback."""

from pathlib import Path
from typing import Any

import psutil
import pytest
import zmq
from parsl import curvezmq

from conqure_parsl import channels, gateway, quantum_app
from qpu_executors import QPU, DeviceLost
from qpu_executors.testing import BELL

from .conftest import loaded, qpu_executor, until

ION0 = QPU("ion0", "fake", 5)


@quantum_app
def bell() -> str:
    return BELL


@pytest.mark.slow
def test_blocks_elsewhere_come_through_an_encrypted_tunnel_and_their_loss_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gateway, "NODE_SILENCE_S", 3)
    with loaded((ION0,), qpu_mode="workers", address="127.0.0.1", retries=0) as dfk:
        executor = qpu_executor(dfk)
        assert bell().result().device_id == "ion0"
        (worker,) = executor.list_workers()
        block = psutil.Process(worker["pid"]).parent()
        (pump,) = [child for child in block.children() if child.pid != worker["pid"]]
        running = quantum_app(sleep_a_while)()
        until(lambda: executor.list_workers()[0]["busy"])
        pump.kill()
        with pytest.raises(DeviceLost):
            running.result()
        assert bell().result().device_id == "ion0"  # by a new block


def sleep_a_while(qpu: Any) -> None:
    import time

    time.sleep(100)


@pytest.mark.slow
def test_without_a_certificate_of_this_run_the_gateway_does_not_answer(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "others").mkdir()
    opened = gateway.Gateway(tmp_path / "broker", tmp_path / "ours", "127.0.0.1")
    certificates = curvezmq.create_certificates(tmp_path / "others")
    assert _answers(curvezmq.ClientContext(tmp_path / "ours" / "certificates"), opened.addresses[0])
    assert not _answers(curvezmq.ClientContext(certificates), opened.addresses[0])
    assert not _answers(curvezmq.ClientContext(None), opened.addresses[0])
    opened.stop()


def _answers(context: curvezmq.ClientContext, address: str) -> bool:
    with context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        dealer.connect(address)
        dealer.send_multipart([channels.PING, b"", b""])
        answered: bool = dealer.poll(1000) != 0
    context.term()
    return answered
