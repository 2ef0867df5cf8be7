"""Which hosts may be connected to: those whose addresses are all of the public internet."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

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
# Where clouds hand a machine its own keys: link-local, and the ones of Azure, Alibaba and AWS that are not.
_METADATA_4 = [IPv4Network(network) for network in ("169.254.0.0/16", "168.63.129.16/32", "100.100.100.200/32")]
_METADATA_6 = [IPv6Network(network) for network in ("fe80::/10", "fd00:ec2::/32")]
# Forms that wrap an IPv4 address in the last 32 bits: compatible, mapped, translated, and NAT64, well-known and local.
_WRAPPED = [IPv6Network(n) for n in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48")]


def is_public(address: str) -> bool:
    """True for an IP address of the public internet. Addresses that wrap an IPv4 one are not, but for NAT64."""
    ip = ip_address(address)
    if isinstance(ip, IPv4Address):
        return not any(ip in network for network in _PRIVATE_4)
    if ip in _NAT64:
        return is_public(str(IPv4Address(int(ip) & 0xFFFFFFFF)))
    return ip in _GLOBAL_6 and not any(ip in network for network in _PRIVATE_6)


def is_metadata(address: str) -> bool:
    """True for a link-local address, or one at which a cloud tells a machine its secrets; wrapped in IPv6 too."""
    ip = ip_address(address)
    if isinstance(ip, IPv6Address):
        if any(ip in network for network in _METADATA_6):
            return True
        wrapped = ip.sixtofour
        if wrapped is None and any(ip in network for network in _WRAPPED):
            wrapped = IPv4Address(int(ip) & 0xFFFFFFFF)
        if wrapped is None:
            return False
        ip = wrapped
    return any(ip in network for network in _METADATA_4)


async def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of `host`, as the system finds them. Raises Unavailable for a host without."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unavailable(f"{host!r}: no such host, or no name server answers ({error})") from error
    return list(dict.fromkeys(str(address[4][0]) for address in found))


async def check_host(host: str, port: int, *, allow_private: bool) -> None:
    """Raise Forbidden as `check_addresses` does, Unavailable if the host has no address.

    For clients that connect by themselves: unlike `Fetcher`, this cannot see what they find when they resolve again.
    """
    check_addresses(host, await resolve(host.strip("[]"), port), allow_private=allow_private)


def check_addresses(
    host: str, addresses: Sequence[str], *, allow_private: bool, is_public: Callable[[str], bool] = is_public
) -> None:
    """Raise Forbidden if an address is not public, unless `allow_private`, or one that nobody may ask (`is_metadata`).

    All must pass, since which of them is connected to is nobody's promise.
    """
    for address in addresses:
        if is_metadata(address):
            raise Forbidden(
                f"host {host!r} has the address {address}, at which machines are told their secrets; "
                "no source reads link-local and metadata addresses, whatever allow_private says"
            )
        if not (allow_private or is_public(address)):
            raise Forbidden(
                f"host {host!r} has the address {address}, which is not a public one; set allow_private = true if "
                "documents may come from private networks: it opens the hosts that the source's location names"
            )
