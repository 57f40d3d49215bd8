from dataclasses import replace

import pytest

from natobs.config import decode
from natobs.lab.demo_files import probe_file
from natobs.lab.topology import TOPOLOGIES
from natobs.probe_config import ProbeFile
from natobs.probes.service import ProbeService


@pytest.mark.parametrize("ipv6", [True, False])
@pytest.mark.parametrize("name", TOPOLOGIES)
def test_a_demo_files_its_own_internet_alone(name: str, *, ipv6: bool) -> None:
    topology = replace(TOPOLOGIES[name](name), ipv6=ipv6)
    service = ProbeService(decode(probe_file(topology), "demo", ProbeFile))
    service.stop()
    servers = {address for family in topology.families for address in topology.server_addresses(family)}
    assert {target.host for target in service.targets} == servers | {topology.dead_address(4)}
    assert {probe.kind for probe in service.file.probe} == {"tcp", "icmp", "udp", "stun"}  # which need no library
