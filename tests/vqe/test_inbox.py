"""The one thread of the graph asks why nothing happens, and only then."""

import threading
from collections.abc import Sequence

import pytest

from conqure.workflows.vqe.inbox import Inbox
from conqure.workflows.vqe.progress import Lines

QUIET_S = 0.05


class Asked:
    """Somebody who knows why: gives the answers one after another, the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers, self.times, self.enough = answers, 0, threading.Event()

    def __call__(self) -> list[str]:
        self.times += 1
        if self.times > len(self.answers):
            self.enough.set()
        return self.answers[min(self.times, len(self.answers)) - 1]


def taken(asked: Asked) -> list[Sequence[str]]:
    """What an inbox told, in the thread that waited, until all answers were given."""
    told: list[tuple[Sequence[str], int]] = []
    inbox = Inbox(asked, lambda reasons: told.append((reasons, threading.get_ident())), QUIET_S)
    threading.Thread(target=lambda: asked.enough.wait(30) and inbox.put(lambda: None), daemon=True).start()
    inbox.take()()
    assert {thread for _, thread in told} <= {threading.get_ident()}
    return [reasons for reasons, _ in told]


@pytest.mark.slow
def test_what_tasks_wait_for_is_told_once_until_it_changes() -> None:
    assert taken(Asked([], ["job 7 waits"], ["job 7 waits"], ["job 7 runs"])) == [["job 7 waits"], ["job 7 runs"]]


def test_calls_come_in_order_and_nobody_is_asked_while_they_do() -> None:
    asked = Asked(["never"])
    inbox, seen = Inbox(asked, lambda _: None, quiet_s=30), []
    for number in range(3):
        inbox.put(lambda number=number: seen.append(number))  # type: ignore[misc]
    for _ in range(3):
        inbox.take()()
    assert seen == [0, 1, 2]
    assert asked.times == 0


def test_somebody_who_cannot_tell_is_asked_again() -> None:
    class Failing(Asked):
        def __call__(self) -> list[str]:
            answer = super().__call__()
            if self.times == 1:
                raise OSError("no squeue here")
            return answer

    assert taken(Failing([], ["job 7 waits"])) == [["job 7 waits"]]


def test_in_a_pipe_it_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    Lines().waiting(["6 tasks wait for 'ion0': Job 17 waits: its licences are in use (Licenses)."])
    assert capsys.readouterr().err == (
        "waiting: 6 tasks wait for 'ion0': Job 17 waits: its licences are in use (Licenses).\n"
    )
