"""What the service does by itself, from time to time: silent devices, logins that are over, old works."""

from __future__ import annotations

import asyncio
import logging
import time

from qpu_executors.errors import ConqureError

from ..redelivery import recover_expired
from .service import Service

LOG = logging.getLogger("conqure.queue.server")
_RARELY_S = 600.0
_KEPT_S = 7 * 86400.0  # a login that is over is remembered for so long, for those who ask why


async def sweep_on(service: Service) -> None:
    """Until it is cancelled. Whatever fails, the next sweep is due all the same."""
    rarely = 0.0
    while True:
        try:
            await give_out_again(service)
            if time.monotonic() >= rarely:
                await forget(service)
                rarely = time.monotonic() + _RARELY_S
        except ConqureError as error:
            LOG.warning("sweep failed", extra={"facts": {"error": error.kind, "reason": str(error)}})
        except Exception:
            LOG.exception("sweep failed")
        await asyncio.sleep(service.settings.sweep_s)


async def give_out_again(service: Service) -> None:
    """What devices and dispatchers had that are silent for longer than they may be."""
    moved = await asyncio.to_thread(recover_expired, service.works, time.time(), service.settings.max_attempts)
    for work in moved:
        LOG.warning("lost", extra={"facts": {"work_id": work.work_id, "status": work.status, "attempt": work.attempts}})
    service.metrics.redelivered.inc(len(moved))


async def forget(service: Service) -> None:
    await service.account("forget_sessions", time.time() - _KEPT_S)
    if service.settings.keep_days:
        purged = await service.search("purge", time.time() - service.settings.keep_days * 86400.0)
        LOG.info("purged", extra={"facts": {"works": purged}})
