from ipaddress import ip_network

import pytest

from natobs.kernel import address, device, route
from natobs.kernel.address import Prefixes
from natobs.kernel.roles import outside_of, roles
from tests import rtnetlink
from tests.rtnetlink import LOOPBACK, UP, V4, V6

ANY_PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
LINKS = rtnetlink.link(1, "lo", UP | LOOPBACK) + b"".join(rtnetlink.link(n, f"eth{n - 2}") for n in range(2, 5))


def told(inside: tuple[str, ...], addresses: list[bytes], routes: list[bytes]) -> dict[str, str]:
    prefixes = Prefixes(tuple(ip_network(text) for text in inside))
    tables = [route.parse(b"".join(routes), family, prefixes) for family in (V4, V6)]
    devices = device.parse(LINKS)
    towards = {way for table in tables for way in table.towards}
    found = roles(prefixes, devices, address.parse(b"".join(addresses)), towards, outside_of(tables))
    return {devices[index].name: role for index, role in found.items()}


def arm(index: int, text: str) -> tuple[bytes, bytes]:
    """Give an address and the route to its own network, which the kernel makes with it."""
    return rtnetlink.address(index, text), rtnetlink.route("", index, to=str(ip_network(text, strict=False)))


PUBLIC, PUBLIC_NET = arm(2, "203.0.113.10/24")
CLOUD, CLOUD_NET = arm(2, "10.0.0.5/24")
PRIVATE, PRIVATE_NET = arm(3, "10.0.1.1/24")
DOCKER, DOCKER_NET = arm(4, "172.17.0.1/16")
OUT_PUBLIC = rtnetlink.route("203.0.113.1", 2)
OUT_CLOUD = rtnetlink.route("10.0.0.1", 2)


@pytest.mark.parametrize(
    ("what", "inside", "addresses", "routes", "expected"),
    [
        (
            "two arms, public address",
            ANY_PRIVATE,
            [PUBLIC, PRIVATE],
            [OUT_PUBLIC, PUBLIC_NET, PRIVATE_NET],
            {"eth0": "outside", "eth1": "inside"},
        ),
        (
            "one arm, and the router knows the private hosts",
            ANY_PRIVATE,
            [PUBLIC],
            [OUT_PUBLIC, PUBLIC_NET],
            {"eth0": "both"},
        ),
        ("one arm in a cloud", ANY_PRIVATE, [CLOUD], [OUT_CLOUD, CLOUD_NET], {"eth0": "both"}),
        (
            "one arm, public address, private hosts behind a router",
            ANY_PRIVATE,
            [PUBLIC],
            [OUT_PUBLIC, PUBLIC_NET, rtnetlink.route("203.0.113.2", 2, to="10.0.0.0/16")],
            {"eth0": "both"},
        ),
        (
            "two arms in a cloud: the outside address is private too",
            ANY_PRIVATE,
            [CLOUD, PRIVATE],
            [OUT_CLOUD, CLOUD_NET, PRIVATE_NET],
            {"eth0": "outside", "eth1": "inside"},
        ),
        (
            "two arms in a cloud, and private hosts behind a gateway on the first",
            ANY_PRIVATE,
            [CLOUD, PRIVATE],
            [OUT_CLOUD, CLOUD_NET, PRIVATE_NET, rtnetlink.route("10.0.0.9", 2, to="10.0.9.0/24")],
            {"eth0": "both", "eth1": "inside"},
        ),
        (
            "one arm in a cloud with a bridge of containers: guessed wrong, as documented",
            ANY_PRIVATE,
            [CLOUD, DOCKER],
            [OUT_CLOUD, CLOUD_NET, DOCKER_NET],
            {"eth0": "outside", "eth2": "inside"},
        ),
        (
            "the same, with nat.inside set",
            ("10.0.0.0/16",),
            [CLOUD, DOCKER],
            [OUT_CLOUD, CLOUD_NET, DOCKER_NET],
            {"eth0": "both"},
        ),
        (
            "an inside that is only routed to",
            ANY_PRIVATE,
            [PUBLIC, rtnetlink.address(3, "198.18.0.1/31")],
            [OUT_PUBLIC, rtnetlink.route("198.18.0.0", 3, to="10.0.0.0/8")],
            {"eth0": "outside", "eth1": "inside"},
        ),
        ("no default route", ANY_PRIVATE, [PUBLIC, PRIVATE], [PRIVATE_NET], {"eth1": "inside"}),
        (
            "a route wider than the prefix leads to it, too",
            ("10.0.0.0/16",),
            [PUBLIC],
            [OUT_PUBLIC, rtnetlink.route("198.18.0.0", 3, to="10.0.0.0/8")],
            {"eth0": "outside", "eth1": "inside"},
        ),
        (
            "loopback is on no side",
            ANY_PRIVATE,
            [PUBLIC, rtnetlink.address(1, "10.255.0.1/32")],
            [OUT_PUBLIC],
            {"eth0": "both"},
        ),
        (
            "IPv6 alone",
            ANY_PRIVATE,
            [rtnetlink.address(2, "2001:db8::10/64"), rtnetlink.address(3, "fd00:a:1::1/64")],
            [rtnetlink.route("2001:db8::1", 2, family=V6, metric=1024), rtnetlink.route("", 3, to="fd00:a:1::/64")],
            {"eth0": "outside", "eth1": "inside"},
        ),
        ("a route by a device that is gone", ANY_PRIVATE, [], [rtnetlink.route("192.0.2.1", 99)], {}),
    ],
)
def test_roles(
    what: str, inside: tuple[str, ...], addresses: list[bytes], routes: list[bytes], expected: dict[str, str]
) -> None:
    assert told(inside, addresses, routes) == expected, what
