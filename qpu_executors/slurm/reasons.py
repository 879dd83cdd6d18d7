"""What it means that a job waits, and what can be done: Slurm's word for the reason, in a sentence."""

from __future__ import annotations

from .client import Job

# Slurm's word, or how it begins: what it means, and the next step. `man squeue`, JOB REASON CODES, has the list.
_MEANINGS = {
    "Resources": ("what it asks for is used by other jobs", "See who has it: squeue --partition={partition}"),
    "Priority": ("jobs with a higher priority come first", "See them: sprio --long, squeue --partition={partition}"),
    "Licenses": ("its licences are in use", "See who has them: scontrol show licenses"),
    "ReqNodeNotAvail": (
        "a node that it needs is reserved, drained or down",
        "See why: sinfo --list-reasons; scontrol show reservations",
    ),
    "Nodes required for job are DOWN, DRAINED": (
        "the nodes that it needs are down or drained, for example for calibration",
        "See why: sinfo --list-reasons",
    ),
    "PartitionDown": ("its partition is closed", "See: scontrol show partition {partition}"),
    "PartitionInactive": ("its partition is closed", "See: scontrol show partition {partition}"),
    "PartitionTimeLimit": ("its walltime is longer than the partition allows", "Set a shorter 'walltime'"),
    "PartitionConfig": ("it asks for more than the partition allows", "See: scontrol show partition {partition}"),
    "PartitionNodeLimit": ("it wants more nodes than the partition allows", "Set fewer 'nodes'"),
    "Reservation": ("its reservation has not begun", "See when: scontrol show reservations"),
    "ReservationDeleted": ("its reservation is gone", "Name another 'reservation'"),
    "BeginTime": ("it may not begin yet; a job that was started again waits a little", "Wait"),
    "JobHeldUser": ("you hold it", "Let it go: scontrol release {job_id}"),
    "JobHeldAdmin": ("an administrator holds it", "Ask them"),
    "Dependency": ("it waits for another job", "See: scontrol show job {job_id}"),
    "BadConstraints": ("no node can ever satisfy it", "Look at 'constraint', 'gres' and 'nodes'"),
    "InvalidAccount": ("the account is not valid", "Set 'account'"),
    "InvalidQOS": ("the QOS is not valid", "Set 'qos'"),
    "AssocGrp": ("your account has used up a limit", "See: sshare, sacctmgr show assoc user=$USER"),
    "QOS": ("a limit of its QOS is reached", "See: sacctmgr show qos"),
    "Prolog": ("its node is being prepared", "Wait"),
    "launch failed": ("its node failed to start it and it is held", "Let it go: scontrol release {job_id}"),
}
_HOPELESS = (
    "BadConstraints",
    "InvalidAccount",
    "InvalidQOS",
    "PartitionConfig",
    "PartitionTimeLimit",
    "PartitionNodeLimit",
    "ReservationDeleted",
)


def explain(job: Job) -> str:
    """Why a job is where it is, in one or two sentences.

    >>> explain(Job("7", "conqure", "quantum", "PENDING", "Licenses"))
    'job 7 waits: its licences are in use (Licenses). See who has them: scontrol show licenses.'
    """
    if job.state == "RUNNING":
        return f"job {job.job_id} runs on {job.nodes}."
    if job.state != "PENDING":
        return f"job {job.job_id} is {job.state}{f' ({job.reason})' if job.reason else ''}."
    if not job.reason:
        return f"job {job.job_id} was just submitted; Slurm has not looked at it yet."
    found = next((meaning for word, meaning in _MEANINGS.items() if job.reason.lstrip("(").startswith(word)), None)
    starts = f" Slurm expects to start it at {job.starts_at}." if job.starts_at else ""
    if found is None:
        return f"job {job.job_id} waits: {job.reason}. See: scontrol show job {job.job_id}.{starts}"
    meaning, step = found[0], found[1].format(job_id=job.job_id, partition=job.partition)
    return f"job {job.job_id} waits: {meaning} ({job.reason}). {step}.{starts}"


def is_hopeless(job: Job) -> bool:
    """Whether a waiting job will never start as it is, so that waiting for it makes no sense."""
    return job.state == "PENDING" and job.reason.startswith(_HOPELESS)
