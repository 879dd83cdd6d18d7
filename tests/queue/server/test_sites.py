"""Sites that share a store: each has its own QPUs among the devices."""

from collections.abc import Callable

import pytest

from conqure.queue.server.accounts import OFFLINE, Accounts, DeviceAccount
from conqure.queue.stores.sql import SQLStore
from qpu_executors import QPU, AlreadyThere

NOW = 1_000_000.0


def qpu(name: str) -> QPU:
    return QPU(name, "statevector", 5)


@pytest.fixture
def accounts() -> Accounts:
    return Accounts(SQLStore("sqlite://"))


def statuses(accounts: Accounts, now: float = NOW) -> dict[str, str]:
    return {device.name: device.seen(now) for device in accounts.devices()}


def test_each_site_sets_and_refreshes_its_own_devices_only(accounts: Accounts) -> None:
    accounts.set_site_devices("north", [qpu("ion0"), qpu("ion1")], NOW)
    accounts.set_site_devices("south", [qpu("atom0")], NOW)
    accounts.refresh_site_devices("north", "ONLINE", NOW)
    assert statuses(accounts) == {"atom0": OFFLINE, "ion0": "ONLINE", "ion1": "ONLINE"}
    accounts.set_site_devices("north", [qpu("ion0")], NOW)
    accounts.refresh_site_devices("south", "ONLINE", NOW)
    accounts.refresh_site_devices("north", OFFLINE, NOW)
    assert statuses(accounts) == {"atom0": "ONLINE", "ion0": OFFLINE}


def test_a_name_that_another_running_site_has_is_refused(accounts: Accounts) -> None:
    accounts.set_site_devices("north", [qpu("ion0")], NOW)
    accounts.refresh_site_devices("north", "ONLINE", NOW)
    with pytest.raises(AlreadyThere, match="'ion0' is a QPU of the site 'south' and also of 'north'"):
        accounts.set_site_devices("south", [qpu("atom0"), qpu("ion0")], NOW)
    assert list(statuses(accounts)) == ["ion0"]


@pytest.mark.parametrize(
    "gone",
    [
        pytest.param(lambda accounts: accounts.refresh_site_devices("north", OFFLINE, NOW), id="it said so"),
        pytest.param(lambda accounts: accounts.refresh_site_devices("north", "ONLINE", NOW - 100), id="it fell silent"),
    ],
)
def test_the_devices_of_a_site_whose_dispatcher_is_gone_are_taken_over(
    accounts: Accounts, gone: Callable[[Accounts], None]
) -> None:
    accounts.set_site_devices("north", [qpu("ion0")], NOW)
    gone(accounts)
    before = accounts.device("ion0")
    accounts.set_site_devices("renamed", [QPU("ion0", "statevector", 7)], NOW)
    after = accounts.device("ion0")
    assert (after.uuid, after.site, after.n_qubits) == (before.uuid, "renamed", 7)


def test_a_device_with_a_client_is_never_taken_over(accounts: Accounts) -> None:
    accounts.add_device(DeviceAccount("u", "ion0"))
    with pytest.raises(AlreadyThere, match="conqure devices remove ion0"):
        accounts.set_site_devices("north", [qpu("ion0")], NOW)
    assert not accounts.device("ion0").at_site
