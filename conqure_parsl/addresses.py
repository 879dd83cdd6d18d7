"""Where blocks on other machines reach this program."""

from __future__ import annotations

import socket

from qpu_executors import InvalidSite


def address_on(interface: str) -> str | None:
    """Our address on a network interface; None without one: whichever answers.

    Raises:
        InvalidSite: there is no such interface; lists those there are.
    """
    if not interface:
        return None
    found = _by_interface()
    if interface not in found:
        raise InvalidSite(
            f"this machine has no network interface {interface!r} with an IPv4 address. It has: {', '.join(found)}. "
            "See 'interface' in the site file."
        )
    return found[interface][0]


def own_addresses() -> list[str]:
    """All addresses of this machine; the loopback is last."""
    found = [address for addresses in _by_interface().values() for address in addresses]
    return sorted(found, key=lambda address: address.startswith("127."))


def _by_interface() -> dict[str, list[str]]:
    import psutil  # comes with Parsl

    every = psutil.net_if_addrs().items()
    found = {name: [each.address for each in all_of if each.family == socket.AF_INET] for name, all_of in every}
    return {name: addresses for name, addresses in sorted(found.items()) if addresses}
