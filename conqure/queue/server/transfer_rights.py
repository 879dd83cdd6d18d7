"""Rights that travel in a URL: to put or get one object, for a quarter of an hour, by whoever has the URL."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer

from qpu_executors.errors import NotAllowed

PREFIX = "/transfer/"


@dataclass(frozen=True, slots=True)
class Transfer:
    """What a URL allows.

    Attributes:
        verb: ``PUT`` or ``GET``. object: ``works/WORK_ID/workload``, ``works/WORK_ID/results``,
            ``works/WORK_ID/outcome`` (the results, or a document about the error), ``devices/UUID/configuration``.
        claimant, attempt: of the claim whose results may be put.
        extension: of the file that is put.
    """

    verb: str
    object: str
    claimant: str = ""
    attempt: int = 0
    extension: str = ""


class TransferRights:
    """Signs transfers, and reads what it signed."""

    def __init__(self, key: bytes, lives_s: float) -> None:
        self._serializer = URLSafeTimedSerializer(key, salt="transfer")
        self._lives_s = lives_s

    def url(self, base_url: str, transfer: Transfer) -> str:
        """The URL that carries this right."""
        values = [transfer.verb, transfer.object, transfer.claimant, transfer.attempt, transfer.extension]
        return f"{base_url}{PREFIX}{quote(transfer.object)}?right={self._serializer.dumps(values)}"

    def read(self, right: str, verb: str, object: str) -> Transfer:
        """What the URL of this object allows; `NotAllowed` if it does not allow this."""
        try:
            transfer = Transfer(*self._serializer.loads(right, max_age=int(self._lives_s)))
        except SignatureExpired:
            raise NotAllowed("this URL is over. Ask for a new one.") from None
        except BadSignature:
            raise NotAllowed("this URL carries no right. Ask for one that does.") from None
        if (transfer.verb, transfer.object) != (verb, object):
            raise NotAllowed(f"this URL carries another right: to {transfer.verb} something else.")
        return transfer
