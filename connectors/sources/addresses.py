"""Which hosts may be connected to: those whose addresses are all of the public internet."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address

from ragline.errors import Forbidden, Unavailable

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port to the addresses of the host."""

# IANA's registries of special-purpose addresses, and one of Azure's that is public in form only.
_PRIVATE_4 = [
    IPv4Network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
        *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"),
    )
]
_GLOBAL_6 = IPv6Network("2000::/3")
# Inside it: protocol assignments with Teredo, examples, 6to4, examples again.
_PRIVATE_6 = [IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")]
_NAT64 = IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """True for an IP address of the public internet. Addresses that wrap an IPv4 one are not, but for NAT64."""
    ip = ip_address(address)
    if isinstance(ip, IPv4Address):
        return not any(ip in network for network in _PRIVATE_4)
    if ip in _NAT64:
        return is_public(str(IPv4Address(int(ip) & 0xFFFFFFFF)))
    return ip in _GLOBAL_6 and not any(ip in network for network in _PRIVATE_6)


async def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of `host`, as the system finds them. Raises Unavailable for a host without."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unavailable(f"{host!r}: no such host, or no name server answers ({error})") from error
    return list(dict.fromkeys(str(address[4][0]) for address in found))


async def check_host(host: str, port: int, *, allow_private: bool) -> None:
    """Raise Forbidden if an address of `host` is not public, unless `allow_private`; Unavailable if it has none.

    For clients that connect by themselves: unlike `Fetcher`, this cannot see what they find when they resolve again.
    """
    if not allow_private:
        check_addresses(host, await resolve(host.strip("[]"), port), is_public)


def check_addresses(host: str, addresses: Sequence[str], allowed: Callable[[str], bool]) -> None:
    """Raise Forbidden if one is not allowed: all must pass, since which of them is connected to is nobody's promise."""
    for address in addresses:
        if not allowed(address):
            raise Forbidden(
                f"host {host!r} has the address {address}, which is not a public one; "
                "set allow_private = true if documents may come from private networks"
            )
