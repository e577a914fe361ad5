"""Which addresses a connection may call: a user's URL must not become a way into the house's own network.

A name is resolved once, and the very address that was looked at is the one that is called; otherwise a name
could answer harmlessly first and point inside a moment later (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from pagoda.workspace.providers.base import ProviderError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

#: what clouds answer on with their machine's secrets, beside 169.254.0.0/16 and fe80::/10
_METADATA = frozenset(ipaddress.ip_address(each) for each in ("fd00:ec2::254", "100.100.100.200"))
_SHARED = ipaddress.ip_network("100.64.0.0/10")  # RFC 6598: neither private nor public
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: an IPv4 address in its last 32 bits


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads. authority: for the Host header. name: for TLS. base: the URL with the address in
    place of the name, without a slash at the end.
    """

    base: str
    authority: str
    name: str


@dataclass(frozen=True, slots=True)
class Guard:
    """allow_private: whether addresses of private networks and of this machine may be called. Link-local and
    metadata addresses never are.
    """

    allow_private: bool

    async def target(self, url: str, resolve: Resolve | None = None) -> Target:
        """Raises ProviderError for a URL that is none, that leads nowhere, or where nobody may call."""
        parts = split_url(url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            found = [ipaddress.ip_address(host)]
        except ValueError:
            try:
                names = await (resolve or _system)(host, port)
            except (OSError, UnicodeError) as error:
                raise ProviderError(
                    f"There is no server of the name {host}.",
                    502,
                    "unreachable",
                    code="address_unknown",
                    values={"host": host},
                ) from error
            found = [ipaddress.ip_address(name.partition("%")[0]) for name in names]
        # One address that may not be called is enough to refuse: the name is not what it seems.
        for address in found:
            if (why := self.refusal(address)) is not None:
                raise ProviderError(
                    f"{host} is {why}; ask an administrator.",
                    403,
                    "refused",
                    code="address_guarded",
                    values={"host": host},
                )
        if not found:
            raise ProviderError(
                f"There is no server of the name {host}.",
                502,
                "unreachable",
                code="address_unknown",
                values={"host": host},
            )
        literal = f"[{found[0]}]" if found[0].version == 6 else str(found[0])
        path = parts.path.rstrip("/")
        return Target(f"{parts.scheme}://{literal}:{port}{path}", parts.netloc.rpartition("@")[2], host)

    def refusal(self, address: Address) -> str | None:
        """What is wrong with an address, or None."""
        address = _inner(address)
        if address.is_link_local or address in _METADATA:
            return "a link-local or metadata address, which connections may not call"
        if address.is_unspecified or address.is_multicast:
            return "no address of a server"
        shared = address.version == 4 and address in _SHARED
        if not self.allow_private and (address.is_private or address.is_reserved or shared):
            return "in a private network, where users' own connections may not call"
        return None


def split_url(url: str) -> SplitResult:
    """The parts of a connection's address. Raises ProviderError for one that cannot be called."""
    try:
        parts = urlsplit(url.strip())
        _ = parts.port
    except ValueError as error:
        raise ProviderError(f"{url!r} is not an address.", 400, "refused", code="address_form") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ProviderError(
            f"{url!r} is not an address such as https://host/v1 (http or https).",
            400,
            "refused",
            code="address_form",
        )
    if parts.username is not None or parts.query or parts.fragment:
        raise ProviderError(
            "Give the address alone, and the key in its own field.", 400, "refused", code="address_alone"
        )
    return parts


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


async def _system(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]
