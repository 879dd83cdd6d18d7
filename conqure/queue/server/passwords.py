"""Passwords as scrypt hashes that carry their parameters: ``scrypt$log2(n)$r$p$salt$hash``.

A password that a person chose costs a third of a second and 32 MiB to try, one that we made (too long to guess) less.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets

from qpu_executors.errors import InvalidWork

MIN_LENGTH, MAX_LENGTH = 8, 1024
_R, _BY_PEOPLE, _BY_US = 8, (15, 3), (10, 1)  # (log2(n), p)
_MAX_LOG_N, _MAX_P = 20, 16  # of a hash that we did not make


def new_password() -> str:
    return secrets.token_urlsafe(24)


def check_password(password: str) -> str:
    """`InvalidWork` unless it may be somebody's password."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise InvalidWork(f"a password has {MIN_LENGTH} to {MAX_LENGTH:,} characters, not {len(password)}.")
    return password


def hashed(password: str, *, by_us: bool = False) -> str:
    log_n, p = _BY_US if by_us else _BY_PEOPLE
    salt = os.urandom(16)
    return f"scrypt${log_n}${_R}${p}${_text(salt)}${_text(_scrypt(password, salt, log_n, _R, p))}"


def fits(password: str, kept: str) -> bool:
    """Whether this is the password; takes as long for an account that has none."""
    try:
        _, log_n, r, p, salt, wanted = (kept or _NOBODY).split("$")
        parameters = int(log_n), int(r), int(p)
        if not (parameters[0] <= _MAX_LOG_N and parameters[1] <= 32 and parameters[2] <= _MAX_P):
            return False
        found = _scrypt(password[:MAX_LENGTH], base64.b64decode(salt), *parameters)
        return hmac.compare_digest(found, base64.b64decode(wanted)) and bool(kept)
    except ValueError:  # no hash of ours
        return False


def _scrypt(password: str, salt: bytes, log_n: int, r: int, p: int) -> bytes:
    text = password.encode(errors="surrogatepass")
    return hashlib.scrypt(text, salt=salt, n=1 << log_n, r=r, p=p, maxmem=2 * 128 * r * (1 << log_n))


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


_NOBODY = f"scrypt${_BY_PEOPLE[0]}${_R}${_BY_PEOPLE[1]}${_text(bytes(16))}${_text(bytes(64))}"
