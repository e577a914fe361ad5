"""Where connections may call."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pagoda.workspace.providers.base import ProviderError
from pagoda.workspace.providers.guard import Guard


def answers(*addresses: str):  # type: ignore[no-untyped-def]
    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return addresses

    return resolve


PRIVATE = ["10.0.0.1", "127.0.0.1", "192.168.1.1", "172.16.0.1", "::1", "fd00::1", "100.64.0.1"]
NEVER = ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "fd00:ec2::254", "0.0.0.0", "224.0.0.1"]
NEVER += ["64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "100.100.100.200"]


@pytest.mark.parametrize("address", [*PRIVATE, "::ffff:10.0.0.1", "2002:0a00:0001::1"])
async def test_private_addresses_are_the_administrators_choice(address: str) -> None:
    with pytest.raises(ProviderError, match="private network"):
        await Guard(allow_private=False).target("https://far.example/v1", answers(address))
    await Guard(allow_private=True).target("https://far.example/v1", answers(address))


@pytest.mark.parametrize("address", NEVER)
async def test_some_addresses_are_never_called(address: str) -> None:
    with pytest.raises(ProviderError, match=r"may not call|no address"):
        await Guard(allow_private=True).target("https://far.example/v1", answers(address))


async def test_one_bad_address_among_good_ones_is_enough() -> None:
    with pytest.raises(ProviderError):
        await Guard(allow_private=False).target("http://far.example", answers("8.8.8.8", "10.0.0.1"))


@pytest.mark.parametrize(
    ("url", "base", "authority"),
    [
        ("https://far.example/v1/", "https://8.8.8.8:443/v1", "far.example"),
        ("http://far.example:81", "http://8.8.8.8:81", "far.example:81"),
        ("http://[2001:4860::8]/v1", "http://[2001:4860::8]:80/v1", "[2001:4860::8]"),
    ],
)
async def test_the_address_that_was_looked_at_is_called(url: str, base: str, authority: str) -> None:
    target = await Guard(allow_private=False).target(url, answers("8.8.8.8"))
    assert (target.base, target.authority) == (base, authority)


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1"])
async def test_odd_spellings_of_addresses_are_names_of_the_resolver(host: str) -> None:
    with pytest.raises(ProviderError):
        await Guard(allow_private=False).target(f"http://{host}/")


@pytest.mark.parametrize(
    "url", ["ftp://far", "file:///etc/passwd", "far.example", "http://", "http://a:b@far/", "http://x:99999/"]
)
async def test_what_is_no_address_is_said(url: str) -> None:
    with pytest.raises(ProviderError) as found:
        await Guard(allow_private=True).target(url, answers("8.8.8.8"))
    assert found.value.status == 400
