"""`DeviceClient`: a lab's control computer, behind its firewall, takes works from the cloud queue and runs them.

It only ever opens connections to the outside. What it promises:

* A work is run **at least once**. Each attempt has a number, and the queue takes the outcome of the present attempt
  only: so a work is DONE **exactly once**, whoever else may have run it in between.
* What has run is on this machine's disk before it is handed in, and stays there until the queue has taken it: the loss
  of the network, a restart of the queue or of this client lose no results.
* It touches no works of another client of the same device: each has an instance of its own, kept with its works.
* A work that was running when the client died goes back to the queue when the client is started again, or when the
  queue has heard nothing for its timeout.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from qpu_executors.errors import (
    ConqureError,
    DeviceLost,
    NotAllowed,
    NotLoggedIn,
    UnknownDevice,
    UnknownWork,
    WorkCanceled,
    WorkConflict,
    WorkLost,
)

from .device_door import DeviceDoor
from .device_runs import TERM_S, Cancellation, Runner
from .held_works import HeldWorks
from .outcome import Outcome
from .work import WorkRecord

BEAT_S = 5.0  # between heartbeats; less where the queue's patience is short. What is canceled is learned by them.
GRACE_S = 30.0  # how long works may go on when the client is asked to end
_FIRST_PAUSE_S = 0.1
_FOR_THE_ADMINISTRATOR = (NotLoggedIn, NotAllowed, UnknownDevice)
_NO_LONGER_OURS = (WorkConflict, UnknownWork)


class Say(Protocol):
    """Is told what happens: ``claimed``, ``done``, ``failed``, ``canceled``, ``refused``; ``waiting`` for the queue and
    ``back``; ``unsafe`` where results could not be written to disk; ``ending``."""

    def __call__(self, event: str, /, **facts: Any) -> None: ...


def _say_nothing(event: str, /, **facts: Any) -> None:
    pass


class Stopped(Exception):
    """The client ends; what is left is on its disk."""


class DeviceClient:
    """One device's side of the queue.

    Args:
        door: the queue, with the device's credentials.
        runner: what runs the works.
        held: where they are kept while they are here.
        poll_s: how long the queue may let us wait for a work; the connection is idle for that long.
        configuration: what users may read about the device, and the extension of its file's name; the runner's own
            by default.
        say: is told what happens.

    >>> with contextlib.closing(DeviceClient(door, DriverRunner(qpu), HeldWorks("~/.local/state/ion0"))) as client:
    ...     client.run()
    """

    def __init__(
        self,
        door: DeviceDoor,
        runner: Runner,
        held: HeldWorks,
        *,
        poll_s: float = 20.0,
        beat_s: float = BEAT_S,
        grace_s: float = GRACE_S,
        configuration: tuple[bytes, str] | None = None,
        say: Say = _say_nothing,
    ) -> None:
        self._door, self._runner, self._held, self._say = door, runner, held, say
        door.instance = held.instance  # what we have, and nothing else, is what this folder knows of
        self._poll_s, self._beat_s, self._grace_s = poll_s, beat_s, grace_s
        self._configuration = configuration or (runner.configuration(), "json")
        self._changed = threading.Condition()
        self._running: dict[tuple[str, int], Cancellation] = {}
        self._stopping = threading.Event()  # claim nothing more
        self._leaving = threading.Event()  # hand in nothing more
        self._refused: ConqureError | None = None  # the queue no longer lets this device in

    def run(self, *, once: bool = False) -> None:
        """Take works and run them until `stop`, KeyboardInterrupt, or, with ``once``, until one has been handed in.

        Raises:
            NotLoggedIn, NotAllowed, UnknownDevice: the queue does not, or no longer, let this device in.
        """
        beating = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        try:
            self._patiently(self._door.configure, *self._configuration, until=self._stopping)
            beating.start()
            for outcome, results in self._held.left():
                self._hand_in(outcome, results, self._stopping)
            self._give_back_the_unknown()
            self._take_works(once)
        except (Stopped, KeyboardInterrupt):
            pass
        finally:
            self._end(beating)
        if self._refused is not None:
            raise self._refused

    def stop(self) -> None:
        """Take no more works; `run` returns when those that run have ended, or after the time of grace."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Let go of the QPU and of the connections."""
        self._runner.close()
        self._held.close()
        self._door.close()

    # Taking works

    def _take_works(self, once: bool) -> None:
        while not self._stopping.is_set():
            free = self._wait_for_a_slot()
            if not free:
                return
            works = self._claim(1 if once else free)
            if not works:
                self._give_back_the_unknown()  # there is time to look
            for work in works:
                self._say("claimed", work_id=work.work_id, attempt=work.attempts, owner=work.owner)
                self._begin(work)
                if once:
                    self._wait_until_idle(None)
                    return

    def _wait_for_a_slot(self) -> int:
        with self._changed:
            self._changed.wait_for(lambda: len(self._running) < self._runner.slots or self._stopping.is_set())
            return 0 if self._stopping.is_set() else self._runner.slots - len(self._running)

    def _claim(self, most: int) -> list[WorkRecord]:
        claimed: list[list[WorkRecord]] = []

        def ask() -> None:
            try:
                claimed.append(self._door.claim(most, self._poll_s))
            except ConqureError as error:
                if error.transient:  # the answer may be lost and the work be ours all the same
                    self._give_back_the_unknown()
                raise

        self._patiently(ask, until=self._stopping)
        return claimed[0]

    def _give_back_the_unknown(self) -> None:
        """Works that the queue gave to this client and that it knows nothing of: their answer was lost on the way, or
        they are gone from its disk. Our heartbeats would keep them claimed for ever."""
        for work in self._patiently(self._door.held, until=self._stopping):
            with self._changed:
                is_known = (work.work_id, work.attempts) in self._running or self._held.has(work)
            if not is_known:
                lost = WorkLost("the work was given to the device's client and did not arrive.")
                self._hand_in(Outcome.of_error(work, lost), b"", self._stopping)

    # Running them

    def _begin(self, work: WorkRecord) -> None:
        canceled = Cancellation()
        with self._changed:
            self._running[work.work_id, work.attempts] = canceled
        threading.Thread(
            target=self._carry_out, args=(work, canceled), name=f"work {work.work_id}", daemon=True
        ).start()

    def _carry_out(self, work: WorkRecord, canceled: Cancellation) -> None:
        try:
            with contextlib.suppress(Stopped):
                self._hand_in(*self._attempt(work, canceled), self._leaving)
        finally:
            with self._changed:
                del self._running[work.work_id, work.attempts]
                self._changed.notify_all()

    def _attempt(self, work: WorkRecord, canceled: Cancellation) -> tuple[Outcome, bytes]:
        results, began = b"", None
        try:
            folder = self._held.begin(work)
            workload = self._patiently(self._door.workload, work, until=self._leaving)
            if canceled.reason is None:
                began = time.perf_counter()
                results = self._runner.run(work, workload, folder, canceled)
            outcome = Outcome(work.work_id, work.attempts)
        except Stopped:
            raise
        except Exception as error:  # whatever a driver or a disk raises is the error of this work
            outcome = Outcome.of_error(work, error)
        if canceled.reason is not None:
            outcome, results = Outcome.of_error(work, canceled.reason), b""
        by_clock_s = time.perf_counter() - began if began is not None else 0.0
        outcome = replace(outcome, run_s=by_clock_s if canceled.run_s is None else canceled.run_s)
        try:
            self._held.end(outcome, results)
        except OSError as error:  # a full disk: all the more reason to hand it in now
            self._say("unsafe", work_id=work.work_id, attempt=work.attempts, message=str(error))
        return outcome, results

    def _hand_in(self, outcome: Outcome, results: bytes, until: threading.Event) -> None:
        """Until the queue has it, or says that it is not wanted."""
        event = "done" if outcome.is_done else "canceled" if outcome.canceled else "failed"
        try:
            self._patiently(self._door.deliver, outcome, results, until=until)
        except _NO_LONGER_OURS as error:
            event, outcome_error = "refused", str(error)
        except _FOR_THE_ADMINISTRATOR:
            raise Stopped from None
        except ConqureError as error:  # too large, say: then that is what became of it
            if outcome.is_done:
                wrong = replace(outcome, kind=error.kind, message=str(error))
                self._held.end(wrong)
                return self._hand_in(wrong, b"", until)
            event, outcome_error = "refused", str(error)
        else:
            outcome_error = outcome.message
        self._held.forget(outcome)
        self._say(event, work_id=outcome.work_id, attempt=outcome.attempt, message=outcome_error)

    # Being heard

    def _beat(self) -> None:
        pause = 0.0
        while not self._leaving.wait(pause):
            try:
                heard = self._patiently(lambda: self._door.heartbeat(self._status()), until=self._leaving)
            except (Stopped, ConqureError):  # `_refused` says it to `run`
                return
            pause = self._beat_s = min(self._beat_s, heard.refresh_timeout_s / 4)
            self._cancel(heard.cancel)

    def _status(self) -> str:
        with self._changed:
            return "BUSY" if self._running else "ONLINE"

    def _cancel(self, work_ids: list[str]) -> None:
        with self._changed:
            wanted = [canceled for (work_id, _), canceled in self._running.items() if work_id in work_ids]
        for canceled in wanted:
            canceled.want(WorkCanceled("canceled by its owner"))

    def _patiently(self, call: Callable[..., Any], *args: Any, until: threading.Event) -> Any:
        """Ask until there is an answer: the loss of the network and a restart of the queue are waited out.

        Raises:
            Stopped: ``until`` was set meanwhile; and what the queue answers, unless it passes.
        """
        for number in itertools.count():
            try:
                answer = call(*args)
            except _FOR_THE_ADMINISTRATOR as error:
                self._refused = error
                self.stop()
                raise
            except ConqureError as error:
                if not error.transient:
                    raise
                if number == 0:
                    self._say("waiting", message=str(error))
            else:
                if number:
                    self._say("back")
                return answer
            if until.wait(_pause(number, 2 * self._beat_s)):
                raise Stopped
        raise AssertionError

    # Ending

    def _end(self, beating: threading.Thread) -> None:
        self.stop()
        with contextlib.suppress(KeyboardInterrupt):  # a second Ctrl-C: now
            self._say("ending", running=len(self._running))
            self._wait_until_idle(self._grace_s)
        with self._changed:
            left = list(self._running.values())
        for canceled in left:
            canceled.want(DeviceLost("the device client was ended while the work ran."))
        self._wait_until_idle(TERM_S + 1)
        self._leaving.set()
        if beating.ident is not None:
            beating.join()
            with contextlib.suppress(ConqureError, Stopped):
                self._give_back_the_unknown()
                self._door.heartbeat("OFFLINE")

    def _wait_until_idle(self, seconds: float | None) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._running, seconds)


def _pause(number: int, longest_s: float) -> float:
    """Seconds before the next try: longer each time, and not the same for all clients of a queue that comes back."""
    return min(longest_s, _FIRST_PAUSE_S * 2.0 ** min(number, 10)) * random.uniform(0.5, 1.0)
