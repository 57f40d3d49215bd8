"""The files of a stack: what reads them takes them."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from natobs.config import Config, decode
from natobs.lab import topology
from natobs.lab.stack.files import ALERTMANAGER, agent_file, probe_file, prometheus_file
from natobs.lab.stack.plan import Timing, cluster
from natobs.probe_config import ProbeFile
from natobs.probes.service import ProbeService

SHAPES = [replace(shape(name), ipv6=ipv6) for name, shape in topology.TOPOLOGIES.items() for ipv6 in (True, False)]


def check(tool: str, *words: str) -> tuple[int, str]:
    program = shutil.which(tool)
    assert program, f"{tool} is missing; `make programs` fetches it"
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape.name}-{shape.families}")
def test_an_agent_takes_its_file(shape: topology.Topology) -> None:
    config = decode(agent_file(shape, Timing(10), "/run/stack/nat-1"), "agent.toml", Config)
    assert (config.census.interval_seconds, config.events.enabled) == (6, True)
    assert config.accounting.state_file == "/run/stack/nat-1.state"
    assert config.operations.state_file == "/run/stack/nat-1.operations.json"
    assert len(config.nat.inside) == 2 * len(shape.families)
    assert bool(config.responder.listen) == (shape.nat.arms == 2)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape.name}-{shape.families}")
@pytest.mark.parametrize("scale", [1, 300])
def test_a_prober_takes_its_file_and_has_about_ten_targets(shape: topology.Topology, scale: float) -> None:
    file = decode(probe_file(shape, 1, Timing(scale)), "probes.toml", ProbeFile)
    service = ProbeService(file)
    service.stop()
    assert {probe.kind for probe in file.probe} == {"udp", "tcp", "icmp", "stun", "http", "dns", "pmtu"}
    assert len(service.targets) == 10 + len(shape.families)
    (access,) = [probe for probe in file.probe if probe.access]
    assert access.targets == ({1: "203.0.113.10", 2: "10.0.2.1"}[shape.nat.arms],)
    (stun,) = [probe for probe in file.probe if probe.kind == "stun"]
    assert tuple(map(str, stun.expect.addresses)) == tuple(f"{one}/32" for one in shape.snat_addresses(4))
    compared = [probe.compare.responder for probe in file.probe if probe.compare.responder]
    assert compared == {1: [], 2: ["10.0.2.1:9653"]}[shape.nat.arms]


def test_prometheus_takes_its_file(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text("groups: [{name: one, rules: [{record: 'a:b:c', expr: up}]}]")
    path = tmp_path / "prometheus.yml"
    text = prometheus_file(cluster("game", topology.two_armed, nats=3, timing=Timing(15)), [str(rules)])
    path.write_text(text)
    status, said = check("promtool", "check", "config", str(path))
    assert status == 0, said
    assert "1 rules found" in said
    assert text.count("127.0.0.1:2000") == 9
    path.write_text(text.replace("scrape_timeout: 1000ms", "scrape_timeout: 9000ms"))
    assert check("promtool", "check", "config", str(path))[0] == 1


def test_alertmanager_takes_its_file(tmp_path: Path) -> None:
    path = tmp_path / "alertmanager.yml"
    path.write_text(ALERTMANAGER)
    status, said = check("amtool", "check-config", str(path))
    assert status == 0, said
    assert re.search(r"1 receivers", said)
    path.write_text(ALERTMANAGER.replace("receiver: pager", "receiver: nobody"))
    assert check("amtool", "check-config", str(path))[0] == 1
