"""A stand-in of `QiskitRuntimeService`: the methods that our driver uses, with their arguments, answers and errors.

Jobs are kept on the service's side, by id, as IBM keeps them: another service object over the same `Account` sees
them. Circuits really run, on the fake machine that the account has, in the runtime's local mode.
"""

from qiskit.providers.exceptions import QiskitBackendNotFoundError
from qiskit_ibm_runtime import IBMBackend
from qiskit_ibm_runtime.exceptions import (
    IBMInputValueError,
    IBMRuntimeError,
    RuntimeInvalidStateError,
    RuntimeJobFailureError,
    RuntimeJobNotFound,
)
from qiskit_ibm_runtime.fake_provider import FakeManilaV2
from qiskit_ibm_runtime.fake_provider.local_service import QiskitRuntimeLocalService
from qiskit_ibm_runtime.qiskit_runtime_service import QiskitRuntimeService

INSTANCE = "crn:v1:bluemix:public:quantum-computing:us-east:a/0:0::"


class Account:
    """What IBM knows: jobs by id, sessions by id, and what goes wrong next.

    Attributes:
        fails: reasons; each next job ends in ERROR with the first of them.
        troubles: errors that the next calls raise.
        lost: how many of the next jobs are accepted while the answer gets lost on its way.
    """

    def __init__(self):
        self.jobs, self.sessions, self.fails, self.troubles, self.lost = {}, {}, [], [], 0


class Job:
    """As `RuntimeJobV2`: names, tags, status, result."""

    def __init__(self, job_id, tags, session_id, result, reason):
        self._id, self.tags, self.session_id, self._result, self.reason = job_id, tags, session_id, result, reason
        self.final = "ERROR" if reason else "DONE"

    def job_id(self):
        return self._id

    def status(self):
        return self.final

    def result(self, timeout=None, decoder=None, poll_interval=None):
        if self.final == "ERROR":
            raise RuntimeJobFailureError(f"Unable to retrieve job result. {self.reason}")
        if self.final == "CANCELLED":
            raise RuntimeInvalidStateError(f"Unable to retrieve result for job {self._id}. Job was cancelled.")
        return self._result


class Client:
    """The calls for sessions of the runtime's own `Session` and `Batch`."""

    def __init__(self, account):
        self._account = account

    def create_session(self, backend, instance, max_time, mode):
        session_id = f"session-{len(self._account.sessions)}"
        self._account.sessions[session_id] = {"mode": mode, "max_time": max_time, "open": True}
        return {"id": session_id}

    def close_session(self, session_id):
        self._account.sessions[session_id]["open"] = False


class Machine(IBMBackend):
    """An `IBMBackend` with the target of a fake machine, which IBM's classes take for one of theirs."""

    def __init__(self, service):
        fake = FakeManilaV2()
        self._fake, self._service, self._instance = fake, service, INSTANCE
        self.name, self._calibration_id = "ibm_manila", None
        self.__dict__.update(_target=fake.target, _options=fake.options, _configuration=fake.configuration())

    target = property(lambda self: self._fake.target)
    num_qubits = property(lambda self: self._fake.num_qubits)
    coupling_map = property(lambda self: self._fake.coupling_map)
    service = property(lambda self: self._service)

    def configuration(self):
        return self._fake.configuration()

    def check_faulty(self, circuit):
        """No qubit of it is broken."""


class Service(QiskitRuntimeService):
    """One connection to an account."""

    account = Account()

    def __new__(cls, *args, **kwargs):
        return object.__new__(cls)

    def __init__(self, channel=None, name=None, instance=None):
        self.given = {"channel": channel, "name": name, "instance": instance}
        self._trouble()
        self._machine = Machine(self)

    def backends(self, name=None, **_):
        return [self._machine]

    def backend(self, name, instance=None, use_fractional_gates=False):
        if name != self._machine.name:
            raise QiskitBackendNotFoundError("No backend matches the criteria.")
        if use_fractional_gates:
            raise IBMInputValueError(f"Backend '{name}' does not support fractional gates")
        return self._machine

    def least_busy(self, min_num_qubits=None, instance=None, use_fractional_gates=False, **filters):
        assert filters == {"operational": True, "simulator": False}
        if min_num_qubits > self._machine.num_qubits:
            raise QiskitBackendNotFoundError("No backend matches the criteria.")
        return self._machine

    def job(self, job_id):
        self._trouble()
        if job_id not in self.account.jobs:
            raise RuntimeJobNotFound(f"Job not found: {job_id}")
        return self.account.jobs[job_id]

    def jobs(self, limit=10, job_tags=None, instance=None):
        self._trouble()
        assert instance == INSTANCE
        found = [job for job in self.account.jobs.values() if set(job_tags) <= set(job.tags or ())]
        return found[::-1][:limit]  # newest first

    def _run(self, program_id, inputs, options, session_id=None, calibration_id=None, dry_run=False, **_):
        self._trouble()
        session = self.account.sessions.get(session_id)
        if session_id and not session["open"]:
            raise IBMRuntimeError("Failed to run program: '400 Client Error. The session is closed, Error code: 1217.'")
        result = (
            QiskitRuntimeLocalService()
            ._run(program_id, {"pubs": inputs["pubs"]}, {"backend": self._machine._fake}, calibration_id)
            .result()
        )
        tags = options.get("job_tags") if isinstance(options, dict) else options.job_tags
        job_id = f"job-{len(self.account.jobs)}"
        reason = self.account.fails.pop(0) if self.account.fails else ""
        self.account.jobs[job_id] = Job(job_id, tags, session_id, result, reason)
        if self.account.lost:
            self.account.lost -= 1
            raise IBMRuntimeError("Failed to run program: 'Connection aborted.'")
        return self.account.jobs[job_id]

    def _get_api_client(self, instance=None):
        return Client(self.account)

    def _trouble(self):
        if self.account.troubles:
            raise self.account.troubles.pop(0)
