"""`Presence`: one status of a device, whatever its clients say."""

from __future__ import annotations

from .accounts import DeviceAccount

_RANK = {"OFFLINE": 0, "ONLINE": 1, "BUSY": 2}
_MOST = 64  # clients of one device that are remembered


class Presence:
    """What the clients of each device said last, as far as it still holds. Of this process alone."""

    def __init__(self) -> None:
        self._said: dict[str, dict[str, tuple[float, str]]] = {}  # by the device's UUID and the client's instance

    def status(self, device: DeviceAccount, instance: str, status: str, now: float) -> str:
        """The device's status, now that a client of it has said this: BUSY if any of them is, OFFLINE if all are."""
        oldest = now - device.refresh_timeout_s
        said = {who: it for who, it in self._said.get(device.uuid, {}).items() if it[0] >= oldest and who != instance}
        said = dict(list(said.items())[1 - _MOST :]) | {instance: (now, status)}
        self._said[device.uuid] = said
        return max((status for _, status in said.values()), key=_RANK.__getitem__)
