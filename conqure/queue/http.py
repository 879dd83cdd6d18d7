"""HTTP as clients of the queue need it: connections that are kept, time limits, repeats, a token that stays home."""

from __future__ import annotations

import http.client
import ipaddress
import json
import random
import ssl
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from qpu_executors.errors import ConqureError, InvalidWork, QueueUnavailable, error_of_kind

from .connections import Connections, NeverSent, Untrusted

READ_S = 60.0
PATIENCE_S = 30.0  # for this long a request is repeated while the service does not answer
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 2.0
_PASSING = frozenset({502, 503, 504})
_KINDS = {401: "not_logged_in", 403: "not_allowed", 404: "unknown_work", 409: "work_conflict", 413: "too_large"}
_KINDS |= {400: "invalid_work", 422: "invalid_work", 429: "too_many", 503: "store_error"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: its code, headers (names in lower case) and bytes as they travelled."""

    code: int
    headers: dict[str, str]
    content: bytes

    def json(self) -> Any:
        """The value; `QueueUnavailable` if this is not JSON, which our service never says."""
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):
            raise QueueUnavailable(
                f"the answer is not JSON: {self.content[:80]!r}. Is this the address of a cloud queue?"
            ) from None


class Line:
    """Connections to one service, used by several threads at once.

    A request is repeated for ``patience_s`` while the service does not answer, since most do no harm twice: works bring
    their own ids. Redirects are not followed, since the token would travel
    with them.

    Args:
        url: ``http(s)://HOST[:PORT][/PATH]``. ca: a file with the certificate that signed the service's.
        headers: sent with every request.

    Raises:
        InvalidWork: this is no such address, or the certificate file cannot be read.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        ca: str | Path | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.url = check_url(url)
        self.headers = {"User-Agent": "conqure", **(headers or {})}
        self.patience_s = patience_s
        self._path = urlsplit(self.url).path
        self._tls = _tls(ca) if self.url.startswith("https:") else None
        self._here = Connections(self.url, self._tls)
        self._elsewhere: dict[str, Connections] = {}

    def request(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, Any] | None = None,
        json_: Any = None,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        wait: float = 0.0,
        repeat: bool = True,
    ) -> Answer:
        """One request and its answer, whatever its code.

        Args:
            path: below the service's address; a whole URL carries its own right and gets no headers but ``headers``.
            json_, body: what is sent. wait: how long the service may think about it, seconds.
            repeat: False where doing it twice would do harm; it is then repeated only if it was never sent.

        Raises:
            QueueUnavailable: no answer in time.
        """
        elsewhere = path.startswith(("http://", "https://"))
        url = path if elsewhere else self._path + path or "/"
        if query := {key: value for key, value in (query or {}).items() if value not in (None, "")}:
            url += "?" + urlencode(query, doseq=True)
        sent = ({} if elsewhere else self.headers) | (headers or {})
        if json_ is not None:
            body = json.dumps(json_, separators=(",", ":")).encode()
            sent["Content-Type"] = "application/json"
        deadline, pause = time.monotonic() + self.patience_s, _FIRST_PAUSE_S
        while True:
            answer = self._once(method, url, body, sent, wait)
            if isinstance(answer, Answer) and answer.code not in _PASSING and answer.code != 429:
                return answer
            if not repeat and not isinstance(answer, NeverSent):
                return self._give_up(answer, url if elsewhere else self.url)
            hold = pause * random.uniform(0.5, 1.5)
            if isinstance(answer, Answer) and answer.code == 429:
                hold = max(hold, _seconds(answer.headers.get("retry-after")))
            if time.monotonic() + hold > deadline:
                return self._give_up(answer, url if elsewhere else self.url)
            time.sleep(hold)
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def ask(self, method: str, path: str, **request: Any) -> Answer:
        """A request whose answer must be a good one; else the error that the service names is raised here."""
        answer = self.request(method, path, **request)
        if 200 <= answer.code < 300:
            return answer
        raise error_in(answer, f"{self.url}{path}")

    def close(self) -> None:
        for connections in (self._here, *self._elsewhere.values()):
            connections.close()

    def _once(
        self, method: str, url: str, body: bytes | None, headers: dict[str, str], wait: float
    ) -> Answer | OSError | http.client.HTTPException:
        connections, target = self._here, url
        if not url.startswith("/"):
            place = _host(url)
            known = self._elsewhere.get(place)
            connections = known or self._elsewhere.setdefault(place, Connections(place, self._tls))
            target = url.partition("#")[0].removeprefix(place) or "/"
        try:
            return Answer(*connections.ask(method, target, body, headers, READ_S + wait))
        except Untrusted as error:
            raise QueueUnavailable(
                f"{_host(self.url if url.startswith('/') else url)} cannot be trusted: {error}. For a certificate of "
                "your own say ca=FILE."
            ) from error
        except (OSError, http.client.HTTPException) as error:
            return error

    def _give_up(self, answer: Answer | OSError | http.client.HTTPException, url: str) -> Answer:
        if isinstance(answer, Answer):
            return answer
        tried = f" Tried for {self.patience_s:g} s." if self.patience_s else ""
        raise QueueUnavailable(
            f"the cloud queue at {_host(url)} does not answer: {answer}.{tried} Is it running there (conqure serve), "
            "and can this machine reach it?"
        ) from answer


def error_in(answer: Answer, url: str) -> ConqureError:
    """The error that an answer is about."""
    try:
        said = json.loads(answer.content)
        kind, message = str(said["error"]["kind"]), str(said["error"]["message"])
    except (ValueError, RecursionError, KeyError, TypeError):
        kind, message = _KINDS.get(answer.code, "queue_unavailable"), _excerpt(answer, url)
    if answer.code == 401:
        how = f"conqure login {url.partition('/v1/')[0]}"
        message = message.replace("conqure login URL", how)
        message += "" if how in message else f" Log in with: {how}"
    return error_of_kind(kind, message)


def check_url(url: str) -> str:
    """The address of a service without a slash at its end; `InvalidWork` if it is none. Warns where it is not safe."""
    parts = urlsplit(str(url))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidWork(f"{url!r} is no address of a cloud queue. Give one like https://queue.lab.example.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise InvalidWork("the address of a cloud queue has no name, password, '?' or '#' in it. Give token=… instead.")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        warnings.warn(
            f"{parts.hostname} is asked by plain http: everybody on the way can read the token and the works. "
            "Use https, or a tunnel (ssh -L) to its machine.",
            stacklevel=6,
        )
    return str(url).rstrip("/")


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def same_place(one: str, other: str) -> bool:
    """Whether two addresses are the same service: scheme, host, port and path."""
    return _place(one) == _place(other)


def _place(url: str) -> tuple[str, str, int, str]:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts.scheme, (parts.hostname or "").lower(), port, parts.path.rstrip("/")


def _tls(ca: str | Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(Path(ca).expanduser()) if ca else None)
    except (OSError, ssl.SSLError) as error:
        raise InvalidWork(f"the certificate file {ca} cannot be used: {error}.") from error


def _host(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _seconds(text: str | None) -> float:
    try:
        return max(0.0, float(text or 0))
    except ValueError:  # a date
        return _LONGEST_PAUSE_S


def _excerpt(answer: Answer, url: str) -> str:
    if 300 <= answer.code < 400:
        return f"{url} sends us on to {answer.headers.get('location', 'nowhere')!r}, which is not followed. Use that."
    return f"{url} answered {answer.code}: {answer.content[:200].decode(errors='replace')}"
