"""Which addresses a flow may reach: decided on addresses, after resolving, whatever way the host was written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

ALWAYS_REFUSED = {
    "link-local": ("169.254.0.0/16", "fe80::/10"),
    "cloud metadata": (
        "fd00:ec2::/32", "fd20:ce::254", "fd00:42::42", "100.100.100.200", "168.63.129.16", "192.0.0.192",
    ),
    "multicast": ("224.0.0.0/4", "ff00::/8"),
    "unspecified": ("0.0.0.0/8", "::"),
    "broadcast": ("255.255.255.255",),
    "reserved": ("240.0.0.0/4",),
}  # fmt: skip
"""What no setting admits; most providers' metadata is link-local, these few are not."""

_REFUSED = [(reason, ip_network(text)) for reason, texts in ALWAYS_REFUSED.items() for text in texts]
_NAT64 = ip_network("64:ff9b::/96")
_LOCAL_NAT64 = ip_network("64:ff9b:1::/48")
_COMPATIBLE = ip_network("::/96")
_TRANSLATED = ip_network("::ffff:0:0:0/96")


class AddressRefused(Exception):
    """A connection that may not be made; nothing was sent."""


@dataclass(frozen=True, slots=True)
class Egress:
    """`deny` adds networks to those always refused, `allow`, when there is any, admits no others."""

    deny: tuple[Network, ...] = ()
    allow: tuple[Network, ...] = ()

    @classmethod
    def of(cls, deny: str, allow: str) -> Egress:
        """From two comma-separated lists of networks and addresses; ValueError names what is neither."""
        return cls(tuple(networks(deny)), tuple(networks(allow)))

    def check(self, address: str) -> None:
        """Raise AddressRefused, with the reason, when this address may not be reached."""
        if (reason := self.reason(address)) is not None:
            raise AddressRefused(f"the address {address} is not allowed ({reason})")

    def reason(self, address: str) -> str | None:
        """Why the address is refused; None when it may be reached."""
        try:
            given = ip_address(address.partition("%")[0])
        except ValueError:
            return "not an IP address"
        forms = list(_forms(given))
        for form in forms:
            by = "" if form == given else f", as {form}"
            for refused, network in _REFUSED:
                if form in network:
                    return f"{refused}{by}"
            for network in self.deny:
                if form in network:
                    return f"in {network}, EGRESS_DENY{by}"
        if self.allow and not any(form in network for form in _same(given) for network in self.allow):
            return "not in EGRESS_ALLOW"
        return None


def networks(text: str) -> Iterator[Network]:
    """The networks and addresses of a comma-separated list; ValueError names what is neither."""
    for item in filter(None, map(str.strip, text.split(","))):
        network = ip_network(item)
        if isinstance(network, IPv6Network) and network.prefixlen >= 96 and network.network_address.ipv4_mapped:
            network = ip_network(f"{network.network_address.ipv4_mapped}/{network.prefixlen - 96}")
        yield network


def _forms(address: Address) -> Iterator[Address]:
    """The address, and every IPv4 address that a router or this machine may take it for."""
    yield from _same(address)
    if isinstance(address, IPv4Address):
        return
    low = int(address) & 0xFFFF_FFFF
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if address in _TRANSLATED or _is_isatap(address):
        yield IPv4Address(low)
    if address in _COMPATIBLE and low > 1:  # Below are `::` and `::1`, which are what they say.
        yield IPv4Address(low)
    if address in _LOCAL_NAT64:  # RFC 6052: at the end of a /96; in a /48, around the eight bits that stay zero.
        forms = (low, (int(address) >> 64 & 0xFFFF) << 16 | int(address) >> 40 & 0xFFFF)
        yield from (IPv4Address(form) for form in forms if form >> 24)  # The other layout has zeros there.


def _same(address: Address) -> Iterator[Address]:
    """The address, and the IPv4 address that it is only another spelling of."""
    yield address
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            yield address.ipv4_mapped
        if address in _NAT64:
            yield IPv4Address(int(address) & 0xFFFF_FFFF)


def _is_isatap(address: IPv6Address) -> bool:
    return int(address) >> 32 & 0xFDFF_FFFF == 0x0000_5EFE
