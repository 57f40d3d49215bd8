import json
import subprocess
from contextlib import closing
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natobs.errors import FormatError
from natobs.kernel import address, netlink
from natobs.kernel.address import Address, Prefixes
from natobs.kernel.live import LiveMachine
from tests import rtnetlink
from tests.mutate import attempt, damaged

DUMP = (
    rtnetlink.address(1, "127.0.0.1/8", scope=254)
    + rtnetlink.address(2, "203.0.113.10/24")
    + rtnetlink.address(2, "2001:db8::10/64")
    + rtnetlink.address(2, "fe80::1/64", scope=253)
)


def test_addresses_of_both_families() -> None:
    found = address.parse(DUMP + rtnetlink.done())
    assert len(found) == 4
    assert Address(2, 2, bytes([203, 0, 113, 10]), 24, beyond_link=True, expects_default=True) in found
    assert {str(ip_address(one.address)) for one in found if one.expects_default} == {"203.0.113.10", "2001:db8::10"}


@pytest.mark.parametrize(
    ("text", "scope", "expected"),
    [
        ("10.0.0.5/24", 0, True),
        ("100.64.0.5/24", 0, True),
        ("10.0.0.5/24", 253, False),
        ("169.254.1.1/16", 0, False),
        ("127.0.0.2/32", 0, False),
        ("fd00::1/64", 0, False),
        ("fc12::1/64", 0, False),
        ("fe80::1/64", 0, False),
        ("2600::1/128", 0, True),
    ],
)
def test_which_addresses_let_one_expect_a_default_route(text: str, scope: int, *, expected: bool) -> None:
    (found,) = address.parse(rtnetlink.address(3, text, scope=scope))
    assert found.expects_default is expected


def test_on_a_point_to_point_link_the_near_end_counts() -> None:
    (found,) = address.parse(rtnetlink.address(3, "10.8.0.1/32", peer="10.8.0.2"))
    assert found.address == bytes([10, 8, 0, 1])


def test_other_families_are_passed_over_and_impossible_addresses_refused() -> None:
    head = bytes([28, 0, 0, 0]) + bytes(4)
    assert address.parse(netlink.request(address.RTM_NEWADDR, 0, 1, head)) == frozenset()
    for body in (bytes([2, 24, 0, 0]) + bytes(4), bytes([2, 33, 0, 0]) + bytes(4) + netlink.attribute(2, bytes(4))):
        with pytest.raises(FormatError):
            address.parse(netlink.request(address.RTM_NEWADDR, 0, 1, body))


@given(st.binary(max_size=80) | damaged(DUMP))
def test_damaged_answers_raise_only_format_errors(data: bytes) -> None:
    found = attempt(address.parse, data)
    assert found is None or all(len(one.address) in (4, 16) for one in found)


def test_this_machine_agrees_with_ip() -> None:
    told = json.loads(subprocess.run(["ip", "-j", "address"], capture_output=True, check=True).stdout)
    expected = {
        (link["ifindex"], one["local"], one["prefixlen"], one["scope"] in ("global", "site"))
        for link in told
        for one in link["addr_info"]
    }
    with closing(LiveMachine()) as machine:
        found = address.read(machine)
    assert {(one.device, str(ip_address(one.address)), one.prefix_length, one.beyond_link) for one in found} == expected


NETWORKS = st.ip_addresses().flatmap(
    lambda one: st.integers(0, one.max_prefixlen).map(lambda length: ip_network(f"{one}/{length}", strict=False))
)


@given(st.lists(NETWORKS, max_size=4), NETWORKS)
def test_prefixes_contain_what_the_standard_library_says_they_do(
    networks: list[address.Network], asked: address.Network
) -> None:
    prefixes = Prefixes(tuple(networks))
    family = rtnetlink.V4 if asked.version == 4 else rtnetlink.V6
    packed = asked.network_address.packed
    same = [network for network in networks if network.version == asked.version]
    assert prefixes.overlap(family, packed, asked.prefixlen) == any(asked.overlaps(network) for network in same)
    assert prefixes.contain(family, packed) == any(asked.network_address in network for network in same)
    assert packed[0] in prefixes.first_bytes[family] or not prefixes.contain(family, packed)
