"""`Limits`: how often somebody may ask. Counted in this process; a service of several has several times as much."""

from __future__ import annotations

import math
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from qpu_executors.errors import TooMany

from .settings import Settings


class Limited(TooMany):
    """Too many requests; ``retry_after`` says in how many seconds there is room again."""

    retry_after = 1

    def after(self, seconds: float) -> Limited:
        self.retry_after = max(1, math.ceil(seconds))
        return self


class Limits:
    """Raises `Limited` where somebody asks too often.

    >>> Limits(Settings(Path("state"))).request("ada@lab.example")
    """

    def __init__(self, settings: Settings) -> None:
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._requests = _per_minute(settings.requests_per_minute)
        self._account = _per_minute(settings.logins_per_minute)
        self._address = _per_minute(10 * settings.logins_per_minute)

    def request(self, who: str) -> None:
        self._hit(self._requests, "request", who)

    def login(self, account: str, address: str) -> None:
        """One more attempt to log in, before the password is looked at."""
        self._hit(self._address, "login", address)
        self._hit(self._account, "login", account, address)

    def stranger(self, address: str) -> None:
        """Somebody came with a token that is none."""
        self._hit(self._address, "stranger", address)

    def _hit(self, item: RateLimitItemPerMinute | None, *names: str) -> None:
        if item is None or self._limiter.hit(item, *names):
            return
        again = self._limiter.get_window_stats(item, *names).reset_time - time.time()
        what = "attempts to log in" if names[0] == "login" else "requests"
        raise Limited(f"more than {item.amount} {what} in a minute. Wait {max(1, math.ceil(again))} s.").after(again)


def _per_minute(amount: int) -> RateLimitItemPerMinute | None:
    return RateLimitItemPerMinute(amount) if amount else None
