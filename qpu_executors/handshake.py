"""How two processes of one run prove to each other that they belong together, before either reads on."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable

SECRET_BYTES = 32  # of a secret, of a challenge and of its answer


class NotOneOfUs(ConnectionError):
    """The other side does not know the secret."""


def authenticate(
    send: Callable[[bytes], object], receive: Callable[[int], bytes], secret: bytes, we: bytes, they: bytes
) -> None:
    """Mutual challenge and response (HMAC-SHA256) over a connection.

    Args:
        send: sends some bytes. receive: the next so many bytes.
        we, they: the roles of the two sides, which must differ: so an echo proves nothing.

    Raises:
        NotOneOfUs: the other side has another secret.
    """
    ours = os.urandom(SECRET_BYTES)
    send(ours)
    theirs = receive(SECRET_BYTES)
    send(_proof(secret, we, ours, theirs))
    if not hmac.compare_digest(receive(SECRET_BYTES), _proof(secret, they, theirs, ours)):
        raise NotOneOfUs("the other side does not know the secret")


def _proof(secret: bytes, role: bytes, challenge: bytes, other: bytes) -> bytes:
    return hmac.digest(secret, role + challenge + other, hashlib.sha256)
