"""`Settings`: what an administrator may decide about the service, read once at its start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..policies import AGING_S, PATIENCE_S
from ..work import MAX_WORKLOAD_BYTES


@dataclass(frozen=True)
class Settings:
    """The decisions of an administrator.

    Attributes:
        state: the folder with the service's key; nobody else can read it.
        public_url: how clients reach the service; empty: as each request says.
        site: what the site is called.
        max_workload, max_json: bytes of a workload or its results, and of any other body.
        token_s, refresh_s, personal_days: how long tokens act, refresh tokens refresh, and personal tokens act at most.
        transfer_s: how long an upload or download URL carries its right.
        requests_per_minute: of one user or device; 0: any number.
        logins_per_minute: attempts for one account from one address; ten times as many from one address.
        max_attempts: how often a work is given out before it ends as lost.
        refresh_timeout_s: of a device that says nothing else.
        legacy_done: clients that log in as AWS's do see DONE and an error document for a work that failed, since they
            would wait for ever.
        behind_proxy: believe the X-Forwarded headers of a proxy on this machine.
        keep_days: final works are forgotten after so many days; 0: never.
        sweep_s: time between looks at silent devices.
        policy, aging_s, patience_s: in which order a device gets its works (`conqure.queue.policies`).
    """

    state: Path
    public_url: str = ""
    site: str = ""
    max_workload: int = MAX_WORKLOAD_BYTES
    max_json: int = 16 * 2**20
    token_s: float = 3600.0
    refresh_s: float = 30 * 86400.0
    personal_days: int = 366
    transfer_s: float = 900.0
    requests_per_minute: int = 12_000
    logins_per_minute: int = 10
    max_attempts: int = 3
    refresh_timeout_s: float = 60.0
    legacy_done: bool = True
    behind_proxy: bool = False
    keep_days: int = 0
    sweep_s: float = 2.0
    policy: str = "fifo"
    aging_s: float = AGING_S
    patience_s: float = PATIENCE_S

    @classmethod
    def of_site(cls, queue: Mapping[str, Any], **others: Any) -> Settings:
        """What ``[queue]`` of a site file says, and what the command line says instead."""
        known = {field.name for field in fields(cls)}
        said = {name: value for name, value in queue.items() if name in known}
        return cls(**(said | {name: value for name, value in others.items() if value is not None}))
