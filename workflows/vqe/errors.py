"""What this program adds to CONQURE's tree of errors."""

from __future__ import annotations

from qpu_executors import ConqureError, InvalidTask


class InvalidProblem(InvalidTask):
    """The graph, molecule or setting of a VQE run is not valid."""

    kind = "invalid_problem"


class CannotResume(ConqureError):
    """The run folder does not belong to this run, or cannot be read."""

    kind = "cannot_resume"
