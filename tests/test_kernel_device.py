import json
import subprocess
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natobs.errors import FormatError
from natobs.kernel import device, netlink
from natobs.kernel.device import Device
from natobs.kernel.live import LiveMachine
from tests import rtnetlink
from tests.mutate import attempt, damaged

DUMP = rtnetlink.link(1, "lo", rtnetlink.UP | rtnetlink.LOOPBACK | rtnetlink.LOWER_UP) + rtnetlink.link(2, "eth0")


def test_devices_by_number() -> None:
    assert device.parse(DUMP + rtnetlink.done()) == {
        1: Device(1, "lo", up=True, usable=True, loopback=True),
        2: Device(2, "eth0", up=True, usable=True, loopback=False),
    }


@pytest.mark.parametrize(
    ("flags", "up", "usable"),
    [(0, False, False), (rtnetlink.UP, True, False), (rtnetlink.LOWER_UP, False, False)],
)
def test_a_device_is_usable_when_it_is_on_and_has_a_carrier(flags: int, *, up: bool, usable: bool) -> None:
    found = device.parse(rtnetlink.link(5, "eth1", flags))[5]
    assert (found.up, found.usable) == (up, usable)


def test_what_a_bridge_says_of_its_ports_is_not_about_the_device() -> None:
    assert device.parse(rtnetlink.link(5, "veth1", family=7)) == {}


def test_a_link_without_a_name_is_none() -> None:
    with pytest.raises(FormatError):
        device.parse(netlink.request(device.RTM_NEWLINK, 0, 1, bytes(16)))


@given(st.binary(max_size=80) | damaged(DUMP, rtnetlink.link(3, "veth0", removed=True)))
def test_damaged_answers_raise_only_format_errors(data: bytes) -> None:
    found = attempt(device.parse, data)
    assert found is None or all(index == one.index > 0 for index, one in found.items())


def test_this_machine_agrees_with_ip() -> None:
    told = json.loads(subprocess.run(["ip", "-j", "link"], capture_output=True, check=True).stdout)
    with closing(LiveMachine()) as machine:
        found = device.read(machine)
    assert {one.name: one.up for one in found.values()} == {one["ifname"]: "UP" in one["flags"] for one in told}
    assert {one.name for one in found.values() if one.usable} == {
        one["ifname"] for one in told if "LOWER_UP" in one["flags"]
    }
